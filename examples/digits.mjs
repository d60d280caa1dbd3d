// Handwritten digits, row by row, by two rules; the test images are never shown in training.
import { evaluate, Model, makeBatch, sequentialDigits, train } from 'mdgl'

const task = sequentialDigits()
const iterations = Number(process.argv[2] ?? 300)
const test = await makeBatch(task, { split: 'test', size: 360, seed: 1 })

for (const rule of ['eprop', 'bptt']) {
  const model = Model.create(task.network({ seed: 1 }))
  for await (const { split, iteration, loss } of train(model, task, {
    rule,
    seed: 1,
    iterations,
    validateEvery: 100
  })) {
    if (split === 'validation') console.log(`${rule}  iteration ${iteration}  loss ${loss.toFixed(3)}`)
  }
  const { accuracy } = await evaluate(model, test, { loss: task.loss, seed: 1 })
  console.log(`${rule}: ${((accuracy ?? 0) * 100).toFixed(1)} % of 360 test images`)
  model.dispose()
}
