import test from 'ava'
import { type Batch, type CustomLoss, evaluate, Model, network, type Targets } from '../src/index.js'
import { rejectsInvalidAt } from './helpers/expect.js'

const description = network({ seed: 1 })
  .input('in', 2)
  .lif('cells', 10)
  .readout('choice', 3)
  .readout('trace', 1)
  .project('in', 'cells', { density: 1 })
  .project('cells', 'choice', { density: 1 })
  .project('cells', 'trace', { density: 1 })
  .build()
const model = Model.create(description, { precision: 'f64' })
const only = Model.create(
  {
    ...description,
    readouts: description.readouts?.slice(0, 1) ?? [],
    projections: description.projections?.slice(0, 2) ?? []
  },
  { precision: 'f64' }
)

const LENGTH = 10
const events = [0, 1, 2].map(trial => [trial, trial, trial % 2] as const)
const batch = (targets: unknown): Batch => ({ length: LENGTH, inputs: { in: { events } }, targets: targets as Targets })
const classes: readonly number[] = [0, 2, 1]

test('classes of any kind of array say how many trials there are', async t => {
  const loss = { kind: 'cross-entropy' } as const
  const expected = await evaluate(only, { ...batch(classes), trials: 3 }, { loss })
  for (const given of [
    classes,
    Uint32Array.from(classes),
    Uint16Array.from(classes),
    Uint8Array.from(classes),
    Int32Array.from(classes),
    Int16Array.from(classes),
    Int8Array.from(classes),
    Float64Array.from(classes),
    Float32Array.from(classes),
    BigInt64Array.from(classes, BigInt),
    BigUint64Array.from(classes, BigInt)
  ]) {
    for (const targets of [given, { choice: given }]) {
      t.deepEqual(await evaluate(only, batch(targets), { loss }), expected, given.constructor.name)
    }
  }
  await rejectsInvalidAt(t, 'batch.targets.choice[1]', () => evaluate(only, batch(Int32Array.of(0, -1, 1)), { loss }))
  await rejectsInvalidAt(t, 'batch.targets.choice[0]', () => evaluate(only, batch(BigInt64Array.of(3n, 0n)), { loss }))
  await rejectsInvalidAt(t, 'batch.targets.choice[0]', () => evaluate(only, batch(Float32Array.of(0.5, 1)), { loss }))
})

test('classes of one readout among several say how many trials there are', async t => {
  const loss = { choice: { kind: 'cross-entropy' }, trace: { kind: 'squared-error' } } as const
  const targets = { choice: Uint8Array.from(classes), trace: new Float32Array(3 * LENGTH) }
  const { loss: found } = await evaluate(model, batch(targets), { loss })
  t.is(found, (await evaluate(model, { ...batch(targets), trials: 3 }, { loss })).loss)
})

test('what is no list of classes does not say how many trials there are', async t => {
  const squared = { kind: 'squared-error' } as const
  const windows = { kind: 'cross-entropy', window: 'targets' } as const
  const custom: CustomLoss = {
    kind: 'custom',
    evaluate: ({ values }) => ({ loss: 0, delta: new Float64Array(values.length) })
  }
  const cases = [
    [squared, new Float64Array(3 * LENGTH * 3)],
    [squared, { choice: new Float64Array(3 * LENGTH * 3) }],
    [windows, [{ trial: 0, from: 0, to: 5, class: 1 }]],
    [custom, new Float64Array(3)],
    [{ kind: 'cross-entropy' }, undefined],
    [{ kind: 'cross-entropy' }, new DataView(new ArrayBuffer(8))]
  ] as const
  for (const [loss, targets] of cases) {
    await rejectsInvalidAt(t, 'batch.trials', () => evaluate(only, batch(targets), { loss: loss as CustomLoss }))
  }
  t.is((await evaluate(only, { ...batch(Int32Array.from(classes)) }, { loss: custom })).loss, 0)
})
