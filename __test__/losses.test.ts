import test, { type ExecutionContext } from 'ava'
import {
  type Batch,
  type CrossEntropy,
  type CustomLoss,
  defineRule,
  evaluate,
  fit,
  gradients,
  type LossByReadout,
  Model,
  network,
  predict,
  type SquaredError,
  type Task,
  train
} from '../src/index.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { collect } from './helpers/small.js'

const description = network({ seed: 1 })
  .input('in', 4)
  .lif('cells', 20)
  .readout('choice', 2)
  .readout('trace', 1)
  .project('in', 'cells', { density: 1 })
  .project('cells', 'choice', { density: 1 })
  .project('cells', 'trace', { density: 1 })
  .build()
const LENGTH = 40
const CLASSES = [0, 1, 1]
const wanted = Float64Array.from({ length: CLASSES.length * LENGTH }, (_, i) => Math.sin(i))
const fresh = () => Model.create(description, { precision: 'f64' })
const model = fresh()
const rates = CLASSES.map((side, trial) => ({
  trial,
  units: [2 * side, 2 * side + 2] as const,
  from: 0,
  to: LENGTH,
  rate: 300
}))
const batch: Batch<'in', 'choice' | 'trace'> = {
  length: LENGTH,
  trials: CLASSES.length,
  inputs: { in: { rates } },
  targets: { choice: CLASSES, trace: wanted },
  metadata: { wanted }
}
const choice: CrossEntropy = { kind: 'cross-entropy', window: 10 }
const squared: SquaredError = { kind: 'squared-error' }
type Both = LossByReadout<'choice' | 'trace'>

const near = (found: number, expected: number) => Math.abs(found - expected) <= 1e-10 * Math.max(1, Math.abs(expected))

/** The squared error as a custom loss, with an accuracy of a kind. */
const own = (more: Partial<CustomLoss> = {}): CustomLoss => ({
  kind: 'custom',
  evaluate: ({ values, trials }, { metadata }) => {
    const targets = (metadata as { readonly wanted: Float64Array }).wanted
    const errors = Float64Array.from(values, (y, i) => y - (targets[i] ?? 0))
    const loss = errors.reduce((sum, error) => sum + 0.5 * error * error, 0) / trials
    return { loss, delta: errors.map(error => error / trials), accuracy: 0.25 }
  },
  ...more
})

async function measured(t: ExecutionContext, loss: Both) {
  const { evaluation, projections } = await gradients(model, batch, { rule: 'mdgl', loss })
  t.deepEqual(evaluation, await evaluate(model, batch, { loss }))
  return { ...evaluation, gradient: Object.values(projections).flatMap(({ values }) => [...values]) }
}
test('the loss is the weighted sum of those of the readouts, which are reported by themselves', async t => {
  const plain = await measured(t, { choice, trace: squared })
  t.true(near(plain.loss, (plain.readouts.choice?.loss ?? 0) + (plain.readouts.trace?.loss ?? 0)))
  t.is(plain.readouts.choice?.accuracy, plain.accuracy)
  t.is(plain.readouts.trace?.accuracy, null)
  const weighed = await measured(t, { choice: { ...choice, weight: 3 }, trace: { ...squared, weight: 0.5 } })
  t.deepEqual(weighed.readouts, plain.readouts)
  t.true(near(weighed.loss, 3 * (plain.readouts.choice?.loss ?? 0) + 0.5 * (plain.readouts.trace?.loss ?? 0)))
  const parts = [await measured(t, { choice }), await measured(t, { trace: squared })]
  for (const [i, found] of weighed.gradient.entries()) {
    t.true(near(found, 3 * (parts[0]?.gradient[i] ?? 0) + 0.5 * (parts[1]?.gradient[i] ?? 0)))
  }
})

test('mean and sum over steps, and weights of classes', async t => {
  const [mean, sum] = [await measured(t, { choice }), await measured(t, { choice: { ...choice, reduction: 'sum' } })]
  t.true(near(sum.loss, 10 * mean.loss))
  t.deepEqual(await measured(t, { choice: { ...choice, reduction: 'mean' } }), mean)
  const [summed, averaged] = [
    await measured(t, { trace: squared }),
    await measured(t, { trace: { ...squared, reduction: 'mean' } })
  ]
  t.true(near(summed.loss, LENGTH * averaged.loss))
  t.true(summed.gradient.every((value, i) => near(value, LENGTH * (averaged.gradient[i] ?? 0))))
  const first = await measured(t, { choice: { ...choice, classWeights: [1, 0] } })
  const second = await measured(t, { choice: { ...choice, classWeights: Float32Array.of(0, 1) } })
  t.true(near(first.loss + second.loss, mean.loss) && first.loss > 0 && second.loss > 0)
  t.is(first.accuracy, mean.accuracy)
})

test('custom and built-in losses stand beside each other', async t => {
  const builtIn = await measured(t, { choice, trace: { ...squared, weight: 2 } })
  const mixed = await measured(t, { choice, trace: own({ weight: 2 }) })
  t.true(near(mixed.loss, builtIn.loss))
  t.true(mixed.gradient.every((value, i) => near(value, builtIn.gradient[i] ?? 0)))
  t.is(mixed.readouts.trace?.accuracy, 0.25)
  t.is(mixed.accuracy, ((builtIn.accuracy ?? 0) + 0.25) / 2)
  const rule = defineRule({ name: 'e-prop', signal: ({ learningSignal }) => learningSignal })
  const byRule = await gradients(model, batch, { rule, loss: { choice, trace: own({ weight: 2 }) } })
  const eprop = await gradients(model, batch, { rule: 'eprop', loss: { choice, trace: { ...squared, weight: 2 } } })
  for (const [i, value] of byRule.projections['in->cells'].values.entries()) {
    t.true(near(value, eprop.projections['in->cells'].values[i] ?? 0))
  }
  const { choice: answers } = await predict(model, batch, { loss: { choice, trace: own() } })
  t.is(answers.correct?.filter(Boolean).length, Math.round(CLASSES.length * (builtIn.accuracy ?? 0)))
})

test('training learns from both, and its metrics tell them apart', async t => {
  const task: Task = {
    name: 'both',
    loss: { choice, trace: own({ weight: 0.1 }) },
    optimiser: { kind: 'adam', learningRate: 0.01, l1: 0 },
    iterations: 40,
    batchSize: CLASSES.length,
    validateEvery: 40,
    batch: () => batch
  }
  const metrics = await collect(train(fresh(), task, { rule: 'bptt' }))
  const [first, last] = [metrics[0], metrics.at(-1)]
  t.is(last?.split, 'validation')
  for (const name of ['choice', 'trace']) {
    t.true((last?.readouts[name]?.loss ?? 9) < (first?.readouts[name]?.loss ?? 0), name)
  }
  const alone: Task = { ...task, loss: { trace: squared } }
  await rejectsInvalidAt(t, 'options.monitor', () => fit(fresh(), alone, { rule: 'mdgl', monitor: 'accuracy' }))
  const unknowing = own({
    evaluate: ({ values }) => ({ loss: 1, delta: new Float64Array(values.length) })
  })
  const silent: Task = { ...task, loss: { trace: unknowing } }
  await rejectsInvalidAt(t, 'options.monitor', () => fit(fresh(), silent, { rule: 'mdgl', monitor: 'accuracy' }))
  const { best } = await fit(fresh(), task, { rule: 'mdgl', monitor: 'accuracy', validateEvery: 20 })
  t.true((best?.accuracy ?? 0) > 0)
})

test('losses are those of readouts, whatever their order in the object', async t => {
  const [one, other] = await Promise.all(
    [
      { choice, trace: squared },
      { trace: squared, choice }
    ].map(loss => gradients(model, batch, { rule: 'bptt', loss }))
  )
  t.deepEqual(one, other)
})

test('what is not allowed is refused by name', async t => {
  await rejectsInvalidAt(t, 'loss', () => evaluate(model, batch, { loss: { none: choice } as never }))
  await rejectsInvalidAt(t, 'loss', () => evaluate(model, batch, { loss: {} }))
  await rejectsInvalidAt(t, 'loss', () => evaluate(model, batch, { loss: choice }))
  await rejectsInvalidAt(t, 'loss', () => evaluate(model, batch, { loss: 'cross-entropy' as never }))
  await rejectsInvalidAt(t, 'loss.choice', () => evaluate(model, batch, { loss: { choice: null } as never }))
  await rejectsInvalidAt(t, 'loss.choice.kind', () => evaluate(model, batch, { loss: { choice: {} } as never }))
  await rejectsInvalidAt(t, 'loss.choice.windw', () =>
    evaluate(model, batch, { loss: { choice: { ...choice, windw: 1 } } as never })
  )
  await rejectsInvalidAt(t, 'loss.choice.window', () =>
    evaluate(model, batch, { loss: { choice: { ...choice, window: 41 } } })
  )
  await rejectsInvalidAt(t, 'loss.trace.evaluate', () =>
    evaluate(model, batch, { loss: { trace: { kind: 'custom' } } as never })
  )
  const attempt = (loss: object) => () => evaluate(model, batch, { loss })
  await rejectsInvalidAt(t, 'loss.choice.weight', attempt({ choice: { ...choice, weight: -1 } }))
  await rejectsInvalidAt(t, 'loss.choice.weight', attempt({ choice: { ...choice, weight: '2' } }))
  await rejectsInvalidAt(t, 'loss.trace.weight', attempt({ choice, trace: own({ weight: Number.NaN }) }))
  await rejectsInvalidAt(t, 'loss.trace.reduction', attempt({ trace: { ...squared, reduction: 'none' } }))
  await rejectsInvalidAt(t, 'loss.trace.reduction', attempt({ trace: { ...own(), reduction: 'mean' } }))
  await rejectsInvalidAt(t, 'loss.trace.classWeights', attempt({ trace: { ...squared, classWeights: [1] } }))
  await rejectsInvalidAt(t, 'loss.choice.classWeights', attempt({ choice: { ...choice, classWeights: [1] } }))
  await rejectsInvalidAt(t, 'loss.choice.classWeights[1]', attempt({ choice: { ...choice, classWeights: [1, -2] } }))
  await rejectsInvalidAt(t, 'loss.choice.classWeights[0]', attempt({ choice: { ...choice, classWeights: ['1', 2] } }))
  const wrong = { choice: { ...choice, weight: -1 } }
  await rejectsInvalidAt(t, 'loss.choice.weight', () => predict(model, batch, { loss: wrong }))
  const task: Task = { name: 'wrong', loss: wrong, batch: () => batch }
  invalidAt(t, 'loss.choice.weight', () => train(fresh(), task, { rule: 'mdgl' }))
})

test('what a custom loss returns is read once, whatever its getters answer the next time', async t => {
  let reads = 0
  const loss: CustomLoss = {
    kind: 'custom',
    evaluate: ({ values }) => ({
      loss: 1,
      delta: new Float64Array(values.length),
      get accuracy() {
        reads++
        return reads === 1 ? 0.5 : ({} as number)
      }
    })
  }
  const { readouts } = await evaluate(model, batch, { loss: { trace: loss } })
  t.is(readouts.trace?.accuracy, 0.5)
  t.is(reads, 1)
})
