import test from 'ava'
import {
  expandRule,
  type Gradients,
  gradients,
  Model,
  network,
  type Rule,
  type RuleName,
  rules,
  simulate,
  train
} from '../src/index.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy' } as const
const regulariser = { strength: 2, targetRate: 20 } as const
const model = Model.create(smallNetwork(), { precision: 'f64' })

type Found = Gradients<ReturnType<typeof smallNetwork>, 'f64'>

async function gradient(rule: RuleName | Rule, seed = 1): Promise<Found> {
  return await gradients(model, smallBatch(), { rule, loss, regulariser, seed })
}

/** Largest difference of two gradients, relative to each projection's largest entry. */
function difference(one: Found, other: Found): number {
  const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs))
  const names = Object.keys(other.projections) as (keyof Found['projections'])[]
  return Math.max(
    ...names.map(name => {
      const [a, b] = [one.projections[name].values, other.projections[name].values]
      return largest(a.map((value, i) => value - (b[i] ?? Number.NaN))) / largest(b)
    })
  )
}

test('RTRL is BPTT and SnAp-1 is e-prop', async t => {
  const [rtrl, snap1, bptt, eprop] = await Promise.all([
    gradient('rtrl'),
    gradient('snap1'),
    gradient('bptt'),
    gradient('eprop')
  ])
  t.true(difference(rtrl, bptt) < 1e-11)
  t.true(difference(snap1, eprop) < 1e-11)
  t.true(difference(eprop, bptt) > 0.01)
  t.is(rtrl.evaluation.loss, bptt.evaluation.loss)
  t.is(rtrl.evaluation.regulariser, bptt.evaluation.regulariser)
})

for (const rule of ['uoro', 'kf-rtrl'] as const) {
  test(`${rule}: one draw is fixed by its seed, and the readout's part is exact`, async t => {
    const [first, again, bptt] = await Promise.all([gradient(rule), gradient(rule), gradient('bptt')])
    t.deepEqual(again.projections, first.projections)
    t.true(difference(first, bptt) > 0.01)
    const exact = bptt.projections['cells->choice'].values
    first.projections['cells->choice'].values.forEach((value, i) => {
      t.true(Math.abs(value - (exact[i] ?? Number.NaN)) < 1e-12)
    })
  })

  test(`${rule}: the seed changes the signs, not only the input`, async t => {
    // Nothing of the input is random: one unit fires in each step, in turn.
    const events = Array.from({ length: 60 }, (_, step) => [0, step, step % 10] as const)
    const batch = { length: 60, inputs: { cues: { events } }, targets: [0] }
    const draw = async (seed: number) => {
      const found = await gradients(model, batch, { rule, loss, seed })
      return found.projections['cues->cells'].values
    }
    t.deepEqual(await draw(1), await draw(1))
    t.notDeepEqual(await draw(1), await draw(2))
  })

  test(`${rule} trains`, async t => {
    const trained = async (threads: number) => {
      const learner = Model.create(smallNetwork())
      const steps = await collect(train(learner, sides, { rule, seed: 3, threads }))
      t.is(steps.length, 3)
      return learner.weights.get('cues->cells').values
    }
    const [one, two] = await Promise.all([trained(1), trained(2)])
    t.deepEqual(one, two)
    t.notDeepEqual(one, Model.create(smallNetwork()).weights.get('cues->cells').values)
  })
}

test('the trace of RFLO differs from that of e-prop, and is a rule of its own', async t => {
  const rflo: Rule = { ...rules.epropOnline, trace: 'rflo' }
  t.deepEqual(expandRule(rflo), rflo)
  const [leaky, eprop] = await Promise.all([gradient(rflo), gradient('eprop-online')])
  t.true(difference(leaky, eprop) > 1e-3)
  t.deepEqual(leaky.projections['cells->choice'], eprop.projections['cells->choice'])
})

test('combinations without an equation are refused', t => {
  for (const estimator of ['rtrl', 'snap1', 'uoro', 'kf-rtrl'] as const) {
    t.deepEqual(expandRule({ ...rules.bptt, estimator }), expandRule(estimator))
    const error = invalidAt(t, 'rule.estimator', () => expandRule({ ...rules.mdgl, estimator }))
    t.true(error.message.includes(`'${estimator}'`))
    invalidAt(t, 'rule.trace', () => expandRule({ ...rules.bptt, estimator, trace: 'rflo' }))
  }
  invalidAt(t, 'rule.trace', () => expandRule({ ...rules.bptt, trace: 'rflo' }))
  invalidAt(t, 'rule.estimator', () => expandRule({ ...rules.bptt, estimator: 'rtlr' as 'rtrl' }))
  invalidAt(t, 'rule.trace', () => expandRule({ ...rules.eprop, trace: 'rlfo' as 'rflo' }))
})

test('custom losses and recorded signals need another estimator', async t => {
  const own = { kind: 'custom', evaluate: () => ({ loss: 0, delta: new Float64Array(4 * 60 * 2) }) } as const
  await rejectsInvalidAt(t, 'rule.estimator', () => gradients(model, smallBatch(), { rule: 'rtrl', loss: own }))
  await rejectsInvalidAt(t, 'rule.estimator', () => simulate(model, smallBatch(), { rule: 'uoro', loss }))
})

test('too much memory is refused, with its size', async t => {
  const connections = {
    pre: Array.from({ length: 100_000 }, (_, i) => i % 100),
    post: Array.from({ length: 100_000 }, (_, i) => Math.floor(i / 100)),
    values: Array.from({ length: 100_000 }, () => 0.01)
  }
  const description = network()
    .input('cues', 100)
    .lif('cells', 1000)
    .readout('choice', 2)
    .project('cues', 'cells', { connections })
    .project('cells', 'choice', { connections: { pre: [0, 0], post: [0, 1], values: [1, -1] } })
    .build()
  const wide = Model.create(description)
  const batch = { length: 3, inputs: { cues: { events: [] } }, targets: [0] }
  const error = await rejectsInvalidAt(t, 'rule.estimator', () => gradients(wide, batch, { rule: 'rtrl', loss }))
  // 8 bytes for each synapse and each of v, z of 1000 neurons and y of 2 units.
  t.regex(error.message, /'rtrl'.* 1601600000 bytes .*1000 neurons, 100000 .*at most 1073741824 bytes/)
  const { norm } = await gradients(wide, batch, { rule: 'snap1', loss })
  t.true(norm > 0)
})
