// Evidence accumulation without the built-in task: cues come from the left and the right, and after a pause the network says
// which side had more (Liu et al. 2021, Fig. 3C, smaller).
import { evaluate, Model, makeBatch, network, train } from 'mdgl'

const CUES = 5
const CUE = 100 // ms
const WAIT = 200
const ANSWER = 100
const LENGTH = CUES * CUE + WAIT + ANSWER

// Twenty inputs for the left, twenty for the right, twenty that ask for the answer.
const description = network({ seed: 1 })
  .input('cues', 60)
  .lif('regular', 40, { sign: { excitatory: 32, inhibitory: 8 } })
  .alif('adaptive', 40, { sign: 'excitatory', adaptationTimeConstant: 800 })
  .readout('side', 2)
  .project('cues', 'regular', { density: 0.2 })
  .project('cues', 'adaptive', { density: 0.2 })
  .project('regular', 'adaptive', { density: 0.1 })
  .project('adaptive', 'regular', { density: 0.1 })
  .project('adaptive', 'adaptive', { density: 0.1 })
  .project('regular', 'side', { density: 0.3 })
  .project('adaptive', 'side', { density: 0.3 })
  .build()

const task = {
  name: 'more on which side',
  loss: { kind: 'cross-entropy', window: ANSWER },
  optimiser: { kind: 'adam', l1: 0.01, rewiring: true },
  batchSize: 32,
  validateEvery: 20,
  batch({ size, rng }) {
    const rates = []
    const targets = new Uint32Array(size)
    for (let trial = 0; trial < size; trial++) {
      const random = rng.trial(trial)
      let left = 0
      for (let cue = 0; cue < CUES; cue++) {
        const side = random.integer(2)
        left += side === 0 ? 1 : 0
        const from = cue * CUE
        rates.push({ trial, units: [20 * side, 20 * side + 20], from, to: from + 80, rate: 60 })
      }
      rates.push({ trial, units: [40, 60], from: LENGTH - ANSWER, to: LENGTH, rate: 60 })
      targets[trial] = left > CUES / 2 ? 0 : 1
    }
    return { length: LENGTH, trials: size, inputs: { cues: { rates } }, targets }
  }
}

const iterations = Number(process.argv[2] ?? 200)
const model = Model.create(description)
for await (const { split, iteration, loss, accuracy } of train(model, task, { rule: 'mdgl', iterations })) {
  if (split === 'validation')
    console.log(`iteration ${iteration}  loss ${loss.toFixed(3)}  accuracy ${accuracy?.toFixed(2)}`)
}

const test = await makeBatch(task, { split: 'test', size: 200, seed: 2 })
const { accuracy } = await evaluate(model, test, { loss: task.loss, seed: 2 })
console.log(`on 200 new trials ${((accuracy ?? 0) * 100).toFixed(0)} % are right`)
