import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { type Delay, defineRule, gradients, Model, network, type RuleName, rules, simulate } from '../src/index.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy', window: 20 } as const
const events = [[0, 2, 0]] as const
const spread = { scheme: 'uniform', low: 2, high: 5 } as const

/** One neuron that drives another, so strongly that each event becomes a spike. */
function chain(delay: number | undefined, dt = 1) {
  const one = (value: number) => ({ connections: { pre: [0], post: [0], values: [value] } })
  return network({ dt })
    .input('in', 1)
    .lif('a', 1, { threshold: 0.1, refractoryPeriod: 30 })
    .lif('b', 1, { threshold: 0.1, refractoryPeriod: 30 })
    .readout('out', 2)
    .project('in', 'a', one(10))
    .project('a', 'b', { ...one(10), ...(delay !== undefined && { delay }) })
    .project('b', 'out', { density: 1 })
    .build()
}

/** The small network with slower projections; one of them, and one from an input, has a delay per synapse. */
function delayed() {
  const fast = smallNetwork()
  const projections = (fast.projections ?? []).map(projection => {
    if (projection.name === 'back') return { ...projection, delay: 7 }
    if (projection.name === 'cells->slow') return { ...projection, delay: spread }
    if (projection.name === 'cues->cells') return { ...projection, delay: spread }
    return projection.name === 'cells->cells' ? { ...projection, delay: 3 } : projection
  })
  return { ...fast, projections }
}

for (const [delay, dt, steps] of [
  [undefined, 1, 1],
  [1, 1, 1],
  [2.4, 1, 2],
  [3, 0.5, 6]
] as const) {
  test(`a delay of ${delay} ms is ${steps} steps of ${dt} ms`, async t => {
    const description = chain(delay, dt)
    t.is(description.projections?.[1]?.delay, steps * dt)
    const model = Model.create(description)
    const { spikes } = await simulate(model, { length: 20 * dt, inputs: { in: { events } }, targets: [0] })
    t.deepEqual([...spikes], [0, 2, 0, 0, 2 + steps, 1])
  })
}

test('an input event acts d − 1 steps later', async t => {
  const one = { connections: { pre: [0], post: [0], values: [10] } }
  for (const [delay, arrival] of [
    [1, 2],
    [4, 5]
  ] as const) {
    const description = network()
      .input('in', 1)
      .lif('a', 1, { threshold: 0.1, refractoryPeriod: 30 })
      .readout('out', 2)
      .project('in', 'a', { ...one, delay })
      .project('a', 'out', { density: 1 })
      .build()
    const batch = { length: 20, inputs: { in: { events } }, targets: [0] }
    t.deepEqual([...(await simulate(Model.create(description), batch)).spikes], [0, arrival, 0])
  }
})

test('a list of delays follows its synapses, rounded to whole steps', t => {
  const connections = { pre: [1, 0, 0], post: [0, 1, 0], values: [0.1, 0.2, 0.3] }
  const built = (delay: Delay) =>
    network({ dt: 0.5 }).input('in', 2).lif('a', 2).project('in', 'a', { connections, delay }).build()
  const description = built([1, 2.1, 3.3])
  t.deepEqual(Array.from(description.projections[0]?.delay as Float64Array), [1, 2, 3.5])
  for (const given of [description, JSON.parse(JSON.stringify(description)), built(Float32Array.of(1, 2.1, 3.3))]) {
    const { weights } = Model.create(given as typeof description)
    t.deepEqual([...weights.get('in->a').pre], [0, 1, 0])
    t.deepEqual([...weights.delays('in->a')], [3.5, 1, 2])
  }
  invalidAt(t, 'projections.in->a.delay', () => built([1, 2]))
  invalidAt(t, 'projections.in->a.delay[1]', () => built([1, 0.2, 3]))
  invalidAt(t, 'projections.in->a.delay[2]', () => built([1, 2, 6000]))
  invalidAt(t, 'projections.in->a.delay', () =>
    network()
      .input('in', 2)
      .lif('a', 2)
      .project('in', 'a', { density: 1, delay: [1] })
  )
})

test('drawn delays lie within their bounds, follow from the seed, and stay in a file', async t => {
  const uniform = { scheme: 'uniform', low: 2, high: 4 } as const
  const build = (seed: number) =>
    Model.create(
      network({ seed })
        .input('in', 20)
        .lif('a', 20)
        .project('in', 'a', { probability: 0.5, delay: uniform })
        .project('a', 'a', { density: 1, delay: { scheme: 'normal', mean: 3, standardDeviation: 1 } })
        .build()
    )
  const model = build(1)
  t.deepEqual([...new Set(model.weights.delays('in->a'))].sort(), [2, 3, 4])
  t.true(model.weights.delays('a->a').every(delay => delay >= 1 && Number.isInteger(delay)))
  t.deepEqual(build(1).weights.delays('in->a'), model.weights.delays('in->a'))
  t.notDeepEqual(build(2).weights.delays('a->a'), model.weights.delays('a->a'))
  const again = await Model.fromBytes(await model.toBytes())
  t.deepEqual(again.weights.delays('a->a'), model.weights.delays('a->a'))
  t.deepEqual(again.description.projections?.[0]?.delay, uniform)
  invalidAt(t, 'projection', () => model.weights.delays('typo' as never))
})

test('delays that cannot be are refused by their path', t => {
  const draft = network().input('in', 2).lif('a', 2).readout('out', 1)
  invalidAt(t, 'projections.a->out.delay', () => draft.project('a', 'out', { density: 1, delay: 2 }).build())
  for (const delay of [0, 0.4, -1, Number.NaN, Number.POSITIVE_INFINITY, 10_001, '2']) {
    const project = (from: 'in' | 'a') => draft.project(from, 'a', { density: 1, delay: delay as number }).build()
    invalidAt(t, 'projections.a->a.delay', () => project('a'))
    invalidAt(t, 'projections.in->a.delay', () => project('in'))
  }
  const uniform = { scheme: 'uniform', low: 1, high: 3 } as const
  const normal = { scheme: 'normal', mean: 3, standardDeviation: 1 } as const
  for (const [delay, path] of [
    [{ ...uniform, low: 0 }, '.low'],
    [{ ...uniform, high: Number.NaN }, '.high'],
    [{ ...uniform, low: 4 }, '.high'],
    [{ ...uniform, high: 20_000 }, '.high'],
    [{ ...uniform, scheme: 'even' }, '.scheme'],
    [{ ...uniform, mean: 1 }, '.mean'],
    [{ ...normal, mean: 0 }, '.mean'],
    [{ ...normal, standardDeviation: 0 }, '.standardDeviation']
  ] as const) {
    invalidAt(t, `projections.a->a.delay${path}`, () =>
      draft.project('a', 'a', { density: 1, delay: delay as Delay }).build()
    )
  }
  invalidAt(t, 'projections.a->out.delay', () => draft.project('a', 'out', { density: 1, delay: uniform }).build())
})

for (const rule of ['eprop', 'mdgl', 'mdgl-membrane', 'on-mdgl'] as const) {
  test(`${rule} over delays: its online form is its backward form, and threads change nothing`, async t => {
    const model = Model.create(delayed(), { precision: 'f64' })
    const batch = smallBatch()
    const backward = await gradients(model, batch, { rule, loss, threads: 1 })
    const online = await gradients(model, batch, { rule: `${rule}-online`, loss, threads: 2 })
    t.deepEqual((await gradients(model, batch, { rule, loss, threads: 2 })).projections, backward.projections)
    for (const [name, { values }] of Object.entries(backward.projections)) {
      const most = Math.max(...Array.from(values, Math.abs))
      const other = Object.entries(online.projections).find(([own]) => own === name)?.[1].values ?? []
      t.true(
        values.length > 0 && values.every((value, i) => Math.abs(value - (other[i] ?? Number.NaN)) <= 1e-10 * most)
      )
    }
  })
}

test('delays change the gradient, hops along the true weights come to that of BPTT', async t => {
  const [fast, slow] = [
    Model.create(smallNetwork(), { precision: 'f64' }),
    Model.create(delayed(), { precision: 'f64' })
  ]
  const batch = smallBatch()
  const norm = async (model: Model, rule: RuleName) => (await gradients(model, batch, { rule, loss })).norm
  t.not(await norm(fast, 'bptt'), await norm(slow, 'bptt'))
  const channels = { gain: 'weight', reach: 'synaptic', kernel: 'exact' } as const
  const hops = await gradients(slow, batch, { rule: { ...rules.hops2, hops: 60, channels }, loss })
  const bptt = await gradients(slow, batch, { rule: 'bptt', loss })
  t.true(Math.abs(hops.norm - bptt.norm) < 1e-10 * bptt.norm)
})

test('estimators that carry influences forwards are refused', async t => {
  const model = Model.create(delayed())
  for (const rule of ['rtrl', 'snap1', 'uoro', 'kf-rtrl'] as const) {
    await rejectsInvalidAt(t, 'rule.estimator', () => gradients(model, smallBatch(), { rule, loss }))
  }
})

test('a rule of ones own is told the delays', async t => {
  const model = Model.create(delayed())
  const told: { [name: string]: number | Uint32Array } = {}
  const rule = defineRule({
    name: 'told',
    signal: ({ projections, learningSignal }) => {
      for (const [name, { delay }] of Object.entries(projections)) told[name] = delay
      return learningSignal
    }
  })
  await gradients(model, smallBatch(), { rule, loss })
  t.like(told, { back: 7, 'cells->cells': 3, 'cells->choice': 1 })
  for (const name of ['cells->slow', 'cues->cells'] as const) {
    t.deepEqual(told[name], Uint32Array.from(model.weights.delays(name)))
  }
})

test('the state of a session names the spikes in transit, and goes on from them', t => {
  const run = (from: number, to: number, session = Model.create(chain(4)).session({ rule: 'mdgl-online' })) => {
    const fired: number[] = []
    for (let step = from; step < to; step++) {
      const { spikes } = session.step({ in: Uint32Array.of(...(step === 2 ? [0] : [])) })
      if (spikes.b.length > 0) fired.push(step)
    }
    return { session, fired }
  }
  const { session } = run(0, 5)
  const state = structuredClone(session.state())
  t.deepEqual([...state.inTransit], [2, 0])
  const other = Model.create(chain(4)).session({ rule: 'mdgl-online' })
  other.restore(state)
  t.deepEqual(run(5, 12, other).fired, [6])
  invalidAt(t, 'state.inTransit', () => other.restore({ ...state, inTransit: Uint32Array.of(2) }))
  invalidAt(t, 'state.inTransit', () => other.restore({ ...state, inTransit: Uint32Array.of(4, 0) }))
  invalidAt(t, 'state.inTransit', () => other.restore({ ...state, inTransit: [2, 0] as never }))
})

test('the state of a session has the inputs in transit, events and values', t => {
  const one = { connections: { pre: [0], post: [0], values: [10] }, delay: 4 }
  const description = network()
    .input('in', 1)
    .lif('a', 1, { threshold: 0.1, refractoryPeriod: 30 })
    .readout('out', 1)
    .project('in', 'a', one)
    .project('a', 'out', { density: 1 })
    .build()
  const open = () => Model.create(description).session({ rule: 'mdgl-online' })
  for (const input of [Uint32Array.of(0, 0), Float32Array.of(2)]) {
    const session = open()
    session.step({ in: input })
    session.step()
    const state = structuredClone(session.state())
    const { events = [], places = [], values = [] } = state.inputsInTransit ?? {}
    const kept = [[...events], [...places], [...values]]
    t.deepEqual(kept, input instanceof Uint32Array ? [[1, 0, 2], [], []] : [[], [1, 0], [2]])
    const other = open()
    other.restore(state)
    const fired = Array.from({ length: 4 }, () => other.step().spikes.a.length)
    t.deepEqual(fired, [0, 1, 0, 0])
    const wrong = { ...state.inputsInTransit, events: Uint32Array.of(9, 0, 1) }
    invalidAt(t, 'state.inputsInTransit', () => other.restore({ ...state, inputsInTransit: wrong as never }))
    const odd = { ...state.inputsInTransit, places: Uint32Array.of(1) }
    invalidAt(t, 'state.inputsInTransit.places', () => other.restore({ ...state, inputsInTransit: odd as never }))
  }
})

test('a weights file keeps the delays', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-delays-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const model = Model.create(delayed())
  await model.save(join(folder, 'weights.safetensors'))
  const copy = await Model.load(join(folder, 'weights.safetensors'))
  t.deepEqual(copy.description.projections, model.description.projections)
  t.is(copy.description.projections?.find(({ name }) => name === 'back')?.delay, 7)
})
