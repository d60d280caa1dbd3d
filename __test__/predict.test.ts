import test from 'ava'
import {
  delayedMatch,
  evaluate,
  gradients,
  Model,
  makeBatch,
  network,
  predict,
  simulate,
  storeRecall,
  type Task
} from '../src/index.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { sides, smallBatch, smallNetwork } from './helpers/small.js'

const softmax = (values: readonly number[]) => {
  const powers = values.map(Math.exp)
  return powers.map(power => power / powers.reduce((sum, other) => sum + other, 0))
}

test('classes, probabilities and values are those of the last step without a loss', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const { choice } = await predict(model, smallBatch())
  const { readout, shape } = await simulate(model, smallBatch())
  t.deepEqual(choice.trace, readout)
  t.is(choice.units, 2)
  t.deepEqual([...choice.trials], [0, 1, 2, 3])
  for (let trial = 0; trial < 4; trial++) {
    const last = readout.slice((trial * shape.steps + shape.steps - 1) * 2).slice(0, 2)
    t.deepEqual([...choice.values.slice(2 * trial, 2 * trial + 2)], [...last])
    t.is(choice.classes[trial], (last[1] ?? 0) > (last[0] ?? 0) ? 1 : 0)
    for (const [k, probability] of softmax([...last]).entries()) {
      t.true(Math.abs((choice.probabilities[2 * trial + k] ?? 0) - probability) < 1e-12)
    }
  }
  t.is(choice.correct, undefined, 'without a loss targets have no meaning')
})

test('what is correct agrees with the accuracy of evaluate: a window, windows of targets, trials of unequal lengths', async t => {
  const uneven: Task = {
    ...sides,
    loss: { kind: 'cross-entropy', window: 7 },
    batch: context => ({
      ...smallBatch([0, 1, 1, 0]),
      length: [60, 61, 75, 90],
      targets: [0, context.rng.integer(2), 1, 0]
    })
  }
  for (const [name, task, description] of [
    ['delayed match', delayedMatch(), delayedMatch().network({ seed: 2 })],
    ['store and recall', storeRecall(), storeRecall().network({ seed: 2 })],
    ['unequal', uneven, smallNetwork()]
  ] as const) {
    const model = Model.create(description)
    const batch = await makeBatch(task as Task, { split: 'test', size: 24, seed: 3 })
    const { accuracy } = await evaluate(model, batch)
    const predictions = Object.values(await predict(model, batch))
    t.is(predictions.length, 1)
    const { correct = [], trials } = predictions[0] ?? {}
    t.is(correct.length, trials?.length ?? -1, name)
    t.true(correct.length > 0, name)
    t.is(correct.filter(Boolean).length / correct.length, accuracy ?? -1, name)
  }
})

test('each readout has its own prediction', async t => {
  const description = network({ seed: 3 })
    .input('cues', 20)
    .lif('cells', 30)
    .readout('which', 3)
    .readout('where', 1)
    .project('cues', 'cells', { density: 1 })
    .project('cells', 'which', { density: 1 })
    .project('cells', 'where', { density: 1 })
    .build()
  const model = Model.create(description)
  const batch = { ...smallBatch([0, 1]), targets: undefined, trials: 2 }
  const { targets: _, ...bare } = batch
  const { which, where } = await predict(model, bare)
  const { readout } = await simulate(model, bare)
  t.deepEqual([which.units, where.units], [3, 1])
  t.deepEqual(
    [...where.trace],
    [...readout].filter((_, i) => i % 4 === 3)
  )
  t.deepEqual(
    [...which.trace],
    [...readout].filter((_, i) => i % 4 !== 3)
  )
  t.deepEqual([...where.classes, ...where.probabilities], [0, 0, 1, 1])
})

test('windows that the loss asks for are needed', async t => {
  const model = Model.create(smallNetwork())
  const { targets: _, ...bare } = smallBatch()
  const loss = { kind: 'cross-entropy', window: 'targets' } as const
  await rejectsInvalidAt(t, 'batch.targets.choice', () => predict(model, { ...bare, trials: 4 }, { loss }))
  await rejectsInvalidAt(t, 'options.window', () => predict(model, smallBatch(), { window: 3 } as never))
})

test('a batch that makeBatch made brings loss and regulariser along; what is given stands above it', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const task: Task = { ...sides, regulariser: { strength: 10, targetRate: 20 } }
  const batch = await makeBatch(task, { split: 'train', size: 8, seed: 1 })
  const own = await evaluate(model, batch)
  t.true(own.regulariser > 0)
  t.deepEqual(own, await evaluate(model, batch, { loss: task.loss, regulariser: task.regulariser }))
  t.is((await evaluate(model, batch, { regulariser: null })).regulariser, 0)
  t.is((await evaluate(model, batch, { loss: task.loss })).regulariser, 0)
  const { norm } = await gradients(model, batch, { rule: 'mdgl' })
  t.is(norm, (await gradients(model, batch, { rule: 'mdgl', loss: task.loss, regulariser: task.regulariser })).norm)
  await rejectsInvalidAt(t, 'options.loss', () => evaluate(model, smallBatch()))
  await rejectsInvalidAt(t, 'options.loss', () => gradients(model, smallBatch(), { rule: 'mdgl' }))
})

test('metadata of a batch comes to the loss as it is', async t => {
  const model = Model.create(smallNetwork())
  const metadata = { animal: 7 }
  let seen: unknown
  const loss = {
    kind: 'custom',
    evaluate: ({ values }: { values: ArrayLike<number> }, batch: { metadata?: unknown }) => {
      seen = batch.metadata
      return { loss: 0, delta: new Float64Array(values.length) }
    }
  } as const
  await evaluate(model, { ...smallBatch(), metadata }, { loss })
  t.is(seen, metadata)
})

test.serial('the rule as an argument of its own works in this version, with one warning', async t => {
  const warnings: Error[] = []
  const listen = (warning: Error) => warnings.push(warning)
  process.on('warning', listen)
  const model = Model.create(smallNetwork())
  const options = { loss: sides.loss }
  const [now, before] = [
    await gradients(model, smallBatch(), { rule: 'mdgl', ...options }),
    await gradients(model, smallBatch(), 'mdgl', options)
  ]
  await gradients(model, smallBatch(), 'mdgl', options)
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', listen)
  t.is(now.norm, before.norm)
  t.is(warnings.length, 1)
  t.regex(warnings[0]?.message ?? '', /gradients\(model, batch, \{ rule, … \}\)/)
})
