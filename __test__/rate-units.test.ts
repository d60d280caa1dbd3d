import test from 'ava'
import {
  delayedXor,
  evaluate,
  gradients,
  Model,
  makeBatch,
  network,
  type Rule,
  rules,
  simulate,
  train
} from '../src/index.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { collect } from './helpers/small.js'

const loss = { kind: 'squared-error' } as const
const LENGTH = 25

function rates(connections = {}) {
  return network({ seed: 3 })
    .input('in', 3)
    .rate('units', 12, { membraneTimeConstant: 10 })
    .readout('out', 2, { timeConstant: 5 })
    .project('in', 'units', { density: 1, ...connections })
    .project('units', 'units', { density: 0.5 })
    .project('units', 'out', { density: 1 })
    .build()
}

const values = Float64Array.from({ length: 2 * LENGTH * 3 }, (_, i) => Math.sin(0.3 * i) + 0.2)
const targets = Float64Array.from({ length: 2 * LENGTH * 2 }, (_, i) => Math.cos(0.1 * i))
const batch = { length: LENGTH, trials: 2, inputs: { in: { analogue: values } }, targets }

test('a rate unit is a leaky integrator whose positive part is read', async t => {
  const one = (value: number) => ({ connections: { pre: [0], post: [0], values: [value] } })
  const description = network()
    .input('in', 1)
    .rate('unit', 1)
    .readout('out', 1, { timeConstant: 0, bias: false })
    .project('in', 'unit', one(1))
    .project('unit', 'out', one(2))
    .build()
  const model = Model.create(description, { precision: 'f64' })
  const given = Float64Array.from([1, 0, -3, 0, 0])
  const { voltage, readout, spikes } = await simulate(
    model,
    { length: 5, trials: 1, inputs: { in: { analogue: given } } },
    { voltage: true }
  )
  const alpha = Math.exp(-1 / 100)
  let v = 0
  for (const [step, x] of given.entries()) {
    v = alpha * v + (1 - alpha) * x
    t.true(Math.abs((voltage?.[step] ?? Number.NaN) - v) < 1e-15)
    t.true(Math.abs((readout[step] ?? Number.NaN) - 2 * Math.max(0, v)) < 1e-15)
  }
  t.true(v < 0)
  t.is(spikes.length, 0)
})

test('the gradient of BPTT is the slope of the loss', async t => {
  const model = Model.create(rates(), { precision: 'f64' })
  const { projections } = await gradients(model, batch, { rule: 'bptt', loss })
  const value = async () => (await evaluate(model, batch, { loss })).loss
  for (const name of ['in->units', 'units->units', 'units->out'] as const) {
    const { values: weights } = model.weights.get(name)
    for (const i of [0, 3, 7].filter(i => weights[i] !== 0)) {
      const slope = async (by: number) => {
        model.weights.set(
          name,
          weights.map((weight, k) => (k === i ? weight + by : weight))
        )
        return await value()
      }
      const found = ((await slope(1e-6)) - (await slope(-1e-6))) / 2e-6
      model.weights.set(name, weights)
      t.true(
        Math.abs(found - (projections[name].values[i] ?? Number.NaN)) < 1e-6 * Math.max(1, Math.abs(found)),
        `${name} ${i}`
      )
    }
  }
})

test('ModProp: its taps come to all, and mu changes what arrives', async t => {
  const model = Model.create(rates(), { precision: 'f64' })
  const norm = async (rule: Rule) => (await gradients(model, batch, { rule, loss })).norm
  const all = await norm(rules.modprop)
  t.true(Math.abs((await norm({ ...rules.modprop, hops: LENGTH })) - all) < 1e-12 * all)
  t.not(await norm({ ...rules.modprop, hops: 1 }), all)
  t.not(await norm({ ...rules.modprop, recurrentDerivative: { mu: 0.5 } }), all)
  const eprop = { ...rules.eprop, trace: 'rflo' } as const
  t.true(Math.abs((await norm({ ...rules.modprop, recurrentDerivative: { mu: 1e-12 } })) - (await norm(eprop))) < 1e-9)
})

test('spiking cells and rate units train together', async t => {
  const description = network({ seed: 2 })
    .input('in', 3)
    .lif('spiking', 10, { threshold: 0.1 })
    .rate('units', 10)
    .readout('out', 2)
    .project('in', 'spiking', { density: 1 })
    .project('spiking', 'units', { density: 1 })
    .project('units', 'spiking', { density: 0.5, delay: 2 })
    .project('units', 'out', { density: 1 })
    .build()
  const model = Model.create(description)
  const task = { name: 'waves', loss, batchSize: 2, iterations: 200, validateEvery: 0, batch: () => batch }
  const metrics = await collect(train(model, task, { rule: 'bptt', optimiser: { kind: 'adam', learningRate: 0.05 } }))
  t.true((metrics.at(-1)?.loss ?? Number.NaN) < 0.8 * (metrics[0]?.loss ?? Number.NaN))
  t.true((metrics[0]?.rate ?? 0) > 0)
})

test('what rate units cannot do is refused', async t => {
  const draft = network()
  for (const key of ['threshold', 'refractoryPeriod', 'dampening', 'adaptationStrength'] as const) {
    invalidAt(t, `populations.units.${key}`, () => draft.rate('units', 2, { [key]: 1 } as never))
  }
  invalidAt(t, 'populations.units.model', () => network({ conventions: 'bellec2020' }).rate('units', 2))
  const model = Model.create(rates())
  for (const rule of ['eprop-online', 'rtrl', 'snap1', 'uoro', 'kf-rtrl'] as const) {
    await rejectsInvalidAt(t, 'rule.estimator', () => gradients(model, batch, { rule, loss }))
  }
  invalidAt(t, 'rule.estimator', () => model.session({ rule: 'mdgl-online' }))
  invalidAt(t, 'model.description.populations', () => model.session())
  await rejectsInvalidAt(t, /kernel/, () => gradients(model, batch, { rule: 'mdgl-membrane', loss }))
  const regulariser = { strength: 1, targetRate: 10 }
  await rejectsInvalidAt(t, 'regulariser', () => gradients(model, batch, { rule: 'bptt', loss, regulariser }))
})

test('ModProp needs what its recursion is made of', async t => {
  const model = Model.create(rates())
  const refused = (path: string, rule: Partial<Rule>) =>
    rejectsInvalidAt(t, path, () => gradients(model, batch, { rule: { ...rules.modprop, ...rule }, loss }))
  await refused('rule.recurrentDerivative.mu', { recurrentDerivative: { mu: 0 } })
  await refused('rule.recurrentDerivative', { recurrentDerivative: 'mu' as never })
  await refused('rule.trace', { trace: 'mdgl2021' })
  await refused('rule.hops', { hops: 0 })
  await refused('rule.estimator', { estimator: 'online' })
  await refused('rule.channels.kernel', { channels: { gain: 'mean-weight', reach: 'synaptic', kernel: 'none' } })
})

test('delayed XOR on the published cells', async t => {
  const task = delayedXor({ units: 'rate', delay: 20 })
  t.is(task.name, 'delayed-xor-rate')
  const model = Model.create(task.network({ seed: 1 }))
  const { populations, projections } = model.description
  t.like(populations[0], { model: 'rate', size: 120, membraneTimeConstant: 100 })
  t.is(model.weights.get('cells->cells').values.length, 120 * 119)
  t.is(projections?.length, 3)
  const trial = await makeBatch(task, { split: 'train', size: 4, seed: 1 })
  t.true(Number.isFinite((await gradients(model, trial, { rule: 'modprop', loss: task.loss })).norm))
  invalidAt(t, 'options.units', () => delayedXor({ units: 'analogue' as never }))
})
