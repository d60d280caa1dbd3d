import { join } from 'node:path'
import test from 'ava'
import { guard, native } from '../src/addon/native.js'
import {
  type Batch,
  type CubaAlifOptions,
  functionalTypes,
  gradients,
  MdglError,
  Model,
  type NetworkDescription,
  network,
  networkActivity,
  type Population,
  type RuleName,
  rules,
  simulate,
  type Task,
  train
} from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { collect } from './helpers/small.js'

const LENGTH = 60
const loss = { kind: 'cross-entropy', window: 20 } as const

/** Both models, one that adapts, beside LIF cells; currents add up, so that weights are smaller. */
function mixed({ seed = 1, synapticTimeConstant = 10 } = {}) {
  const small = { initialise: { scheme: 'normal', standardDeviation: 0.02 } } as const
  return network({ seed })
    .input('cues', 8)
    .cubaLif('cells', 12, { synapticTimeConstant, refractoryPeriod: 2 })
    .cubaAlif('slow', 6, {
      synapticTimeConstant: [1, 2, 4, 8, 16, 0],
      adaptationTimeConstant: 100,
      refractoryPeriod: 2
    })
    .lif('plain', 6)
    .readout('choice', 2)
    .project('cues', 'cells', { density: 1, ...small })
    .project('cues', 'slow', { density: 1, ...small })
    .project('cells', 'slow', { density: 0.5, ...small })
    .project('cells', 'cells', { density: 0.3, ...small })
    .project('slow', 'plain', { density: 1 })
    .project('plain', 'cells', { density: 0.5, delay: 3, ...small })
    .project('cells', 'choice', { density: 1 })
    .project('plain', 'choice', { density: 1 })
    .build()
}

/** One trial per class: its half of the cues fires. */
function cues(classes: readonly number[]): Batch<'cues'> {
  const rates = classes.map((side, trial) => ({
    trial,
    units: [4 * side, 4 * side + 4] as const,
    from: 0,
    to: LENGTH,
    rate: 150
  }))
  return { length: LENGTH, inputs: { cues: { rates } }, targets: classes }
}

const batch = cues([0, 1, 1])

const sides: Task = {
  name: 'sides',
  loss,
  batchSize: 16,
  iterations: 25,
  validateEvery: 0,
  batch: ({ size, rng }) => cues(Array.from({ length: size }, (_, trial) => rng.trial(trial).integer(2)))
}

/** What a description has of its populations. */
const populations = (description: NetworkDescription) =>
  JSON.parse(JSON.stringify(description.populations)) as Population[]

test('descriptions have every default', t => {
  const usual = { sign: 'free', membraneTimeConstant: 20, synapticTimeConstant: 5, threshold: 0.01 }
  const spiking = { ...usual, refractoryPeriod: 5, dampening: 0.3 }
  t.deepEqual(populations(network().cubaLif('a', 2).cubaAlif('b', 3).build()), [
    { name: 'a', size: 2, model: 'cuba-lif', ...spiking },
    { name: 'b', size: 3, model: 'cuba-alif', ...spiking, adaptationTimeConstant: 2000, adaptationStrength: 1.8 }
  ])
  const model = Model.create(network().cubaLif('a', 2).build())
  t.is(model.description.populations[0]?.synapticTimeConstant, 5)
})

/** The equations, one cell, an input a step; gives v and the steps with a spike. */
function cell(
  input: readonly number[],
  p: Required<Omit<CubaAlifOptions, 'sign' | 'dampening' | 'noise' | 'currents'>>
) {
  const decay = (tau: unknown) => (tau === 0 ? 0 : Math.exp(-1 / (tau as number)))
  const [alpha, synaptic, rho] = [p.membraneTimeConstant, p.synapticTimeConstant, p.adaptationTimeConstant].map(
    decay
  ) as [number, number, number]
  const [threshold, strength, period] = [p.threshold, p.adaptationStrength, p.refractoryPeriod] as [
    number,
    number,
    number
  ]
  let [c, v, b, z, blocked] = [0, 0, 0, 0, 0]
  const voltage: number[] = []
  const spikes: number[] = []
  for (const [step, x] of input.entries()) {
    c = synaptic * c + x
    v = alpha * v + (1 - alpha) * c - threshold * z
    b = rho * b + (1 - rho) * z
    z = v > threshold + strength * b && blocked === 0 ? 1 : 0
    blocked = z === 1 ? period : Math.max(0, blocked - 1)
    voltage.push(v)
    if (z === 1) spikes.push(step)
  }
  return { voltage, spikes }
}

test('a cell is what the equations say, with and without adaptation', async t => {
  const shared = { membraneTimeConstant: 15, synapticTimeConstant: 10, threshold: 0.5, refractoryPeriod: 3 }
  const adaptation = { adaptationTimeConstant: 50, adaptationStrength: 4 }
  const one = { connections: { pre: [0], post: [0], values: [0.7] } }
  const model = Model.create(
    network()
      .input('in', 1)
      .cubaLif('plain', 1, shared)
      .cubaAlif('slow', 1, { ...shared, ...adaptation })
      .project('in', 'plain', one)
      .project('in', 'slow', one)
      .build(),
    { precision: 'f64' }
  )
  const values = Array.from({ length: 150 }, (_, step) => (step < 100 ? 0.3 + Math.sin(0.2 * step) : 0))
  const given = { length: 150, trials: 1, inputs: { in: { analogue: Float64Array.from(values) } } }
  const { voltage = [], spikes } = await simulate(model, given, { voltage: true })
  const input = values.map(x => 0.7 * x)
  const plain = cell(input, { ...shared, ...adaptation, adaptationStrength: 0 })
  const slow = cell(input, { ...shared, ...adaptation })
  t.true(plain.spikes.length > slow.spikes.length && slow.spikes.length > 3, `${plain.spikes}, ${slow.spikes}`)
  for (const [neuron, expected] of [plain, slow].entries()) {
    const fired = Array.from(spikes).flatMap((_, i, all) => (i % 3 === 2 && all[i] === neuron ? [all[i - 1]] : []))
    t.deepEqual(fired, expected.spikes)
    for (const [step, v] of expected.voltage.entries()) {
      t.true(Math.abs((voltage[2 * step + neuron] ?? Number.NaN) - v) < 1e-13, `${neuron}, ${step}`)
    }
  }
})

for (const rule of ['bptt', 'mdgl', 'eprop'] as const) {
  test(`${rule} trains current-based cells`, async t => {
    const model = Model.create(mixed())
    const metrics = await collect(
      train(model, sides, { rule, seed: 2, optimiser: { kind: 'adam', learningRate: 0.01 } })
    )
    const [first, last] = [metrics[0]?.loss ?? Number.NaN, metrics.at(-1)?.loss ?? Number.NaN]
    t.true(last < 0.5 * first, `${first} to ${last}`)
    const { rate = Number.NaN } = metrics.at(-1) ?? {}
    t.is(networkActivity(model.description, rate), 'normal', `${rate} Hz`)
  })
}

/** Of two gradients, the largest difference as a part of the largest entry. */
async function apart(model: Model<NetworkDescription, 'f64'>, first: RuleName, second: RuleName) {
  const options = { loss, regulariser: { strength: 1, targetRate: 20 } }
  const [one, other] = await Promise.all([first, second].map(rule => gradients(model, batch, { rule, ...options })))
  const differences = Object.entries(one?.projections ?? {}).map(([name, { values }]) => {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const theirs = other?.projections[name]?.values ?? []
    const difference = values.reduce((most, value, i) => Math.max(most, Math.abs(value - (theirs[i] ?? Number.NaN))), 0)
    return largest > 0 ? difference / largest : Number.NaN
  })
  return Math.max(...differences)
}

test('rules are the same forwards and backwards', async t => {
  const model = Model.create(mixed() as NetworkDescription, { precision: 'f64' })
  for (const [online, backwards] of [
    ['eprop-online', 'eprop'],
    ['mdgl-online', 'mdgl'],
    ['on-mdgl-online', 'on-mdgl']
  ] as const) {
    const difference = await apart(model, online, backwards)
    t.true(difference < 1e-9, `${online}: ${difference}`)
  }
  t.true((await apart(model, 'eprop', 'mdgl')) > 1e-3)
})

test('a session is the same as a batch of one, and its state has the current', async t => {
  const model = Model.create(mixed(), { precision: 'f64' })
  const firing = (step: number) => Uint32Array.of(step % 8, (3 * step) % 8)
  using session = model.session({ rule: 'mdgl-online' })
  using second = model.clone().session({ rule: 'mdgl-online' })
  const steps = Array.from({ length: LENGTH }, (_, step) => session.step({ cues: firing(step) }))
  const events = steps.flatMap((_, step) => [...firing(step)].map(unit => [0, step, unit] as const))
  const { spikes, readout } = await simulate(model, { length: LENGTH, trials: 1, inputs: { cues: { events } } })
  t.deepEqual(
    steps.flatMap(({ outputs }) => [...outputs.choice]),
    [...readout]
  )
  t.true(spikes.length > 300, `${spikes.length / 3} spikes`)
  const state = session.state()
  const current = state.variables?.current ?? new Float64Array()
  t.is(current.length, 24)
  t.true(current.slice(0, 17).every(c => c !== 0))
  // Without a memory, and of cells without a current.
  t.deepEqual([...current.slice(17)].map(Math.abs), [0, 0, 0, 0, 0, 0, 0])
  second.restore(structuredClone(state))
  t.deepEqual(second.step({ cues: firing(3) }), session.step({ cues: firing(3) }))
  t.deepEqual(second.state(), session.state())
  invalidAt(t, 'state.variables', () => second.restore({ ...state, variables: {} }))
  invalidAt(t, 'state.variables.current', () => second.restore({ ...state, variables: { current: current.slice(1) } }))
})

for (const precision of ['f32', 'f64'] as const) {
  test(`saved, loaded and cloned models are the same to the last bit, ${precision}`, async t => {
    const path = join(await temporaryFolder(t), 'model.safetensors')
    const model = Model.create(mixed() as NetworkDescription, { precision })
    await model.save(path)
    const expected = await simulate(model, batch, { voltage: true })
    t.true(expected.spikes.length > 300)
    for (const copy of [await Model.load(path), model.clone()]) {
      t.deepEqual(copy.description, model.description)
      t.deepEqual(await simulate(copy, batch, { voltage: true }), expected)
      t.deepEqual(
        await gradients(copy, batch, { rule: 'mdgl', loss }),
        await gradients(model, batch, { rule: 'mdgl', loss })
      )
    }
  })
}

/** The same network of current-based cells without memory, and of LIF and ALIF ones. */
function pair(connect: (builder: ReturnType<typeof cells>) => { build(): NetworkDescription }) {
  const lif = connect(cells('lif', 'alif')).build()
  return { lif, cuba: connect(cells('cubaLif', 'cubaAlif')).build() }
}

function cells(regular: 'lif' | 'cubaLif', adaptive: 'alif' | 'cubaAlif') {
  const without = regular === 'lif' ? {} : { synapticTimeConstant: 0 }
  const start = network({ seed: 4 }).input('cues', 8)
  return start[regular]('first', 8, { refractoryPeriod: 2, ...without })
    [adaptive]('second', 8, { adaptationTimeConstant: 60, ...without })
    .readout('choice', 2)
    .project('second', 'choice', { density: 1 })
}

test('without memory of the current a cell with one synapse is LIF or ALIF to the last bit', async t => {
  const units = Array.from({ length: 8 }, (_, i) => i)
  const join = (values: number) => ({
    connections: { pre: units, post: units, values: units.map(i => values + 0.01 * i) }
  })
  const { lif, cuba } = pair(builder =>
    builder.project('cues', 'first', join(0.3)).project('first', 'second', join(0.5))
  )
  for (const precision of ['f32', 'f64'] as const) {
    const [first, second] = [Model.create(lif, { precision }), Model.create(cuba, { precision })]
    const expected = await simulate(first, batch, { voltage: true })
    t.true(expected.spikes.length > 300, `${expected.spikes.length}`)
    t.deepEqual(await simulate(second, batch, { voltage: true }), expected)
    for (const rule of ['bptt', 'mdgl', 'eprop', 'eprop-online', 'rflo', 'rtrl'] as const) {
      t.deepEqual(await gradients(second, batch, { rule, loss }), await gradients(first, batch, { rule, loss }), rule)
    }
  }
})

test('without memory of the current a network is one of LIF and ALIF cells, but for the order of its sums', async t => {
  const { lif, cuba } = pair(builder =>
    builder
      .project('cues', 'first', { density: 1 })
      .project('first', 'first', { density: 0.5 })
      .project('first', 'second', { density: 1, delay: 2 })
  )
  const [first, second] = [Model.create(lif, { precision: 'f64' }), Model.create(cuba, { precision: 'f64' })]
  const expected = await simulate(first, batch, { voltage: true })
  const got = await simulate(second, batch, { voltage: true })
  t.true(expected.spikes.length > 300, `${expected.spikes.length}`)
  t.deepEqual(got.spikes, expected.spikes)
  const off = (got.voltage ?? []).map((v, i) => Math.abs(v - (expected.voltage?.[i] ?? Number.NaN)))
  t.true(Math.max(...off) < 1e-13)
})

test('what current-based cells cannot do is refused by name', async t => {
  const draft = network()
  for (const value of [0.4, -1, Number.NaN, '5', [1, 2, 3]]) {
    invalidAt(t, 'populations.x.synapticTimeConstant', () =>
      draft.cubaLif('x', 2, { synapticTimeConstant: value as never })
    )
  }
  const foreign = {
    cubaLif: 'adaptationStrength',
    lif: 'synapticTimeConstant',
    alif: 'synapticTimeConstant',
    rate: 'threshold'
  }
  const models = { cubaLif: 'cuba-lif', lif: 'lif', alif: 'alif', rate: 'rate' }
  for (const [method, key] of Object.entries(foreign) as [keyof typeof foreign, string][]) {
    const { message } = invalidAt(t, `populations.x.${key}`, () => draft[method]('x', 1, { [key]: 1 } as never))
    t.is(message, `populations.x.${key} is 1; allowed: not with model '${models[method]}'.`)
  }
  for (const method of ['cubaLif', 'cubaAlif'] as const) {
    invalidAt(t, 'populations.x.model', () => network({ conventions: 'bellec2020' })[method]('x', 1))
    invalidAt(t, 'populations.x.taoSyn', () => draft[method]('x', 1, { taoSyn: 1 } as never))
  }
  const model = Model.create(mixed())
  const { message } = await rejectsInvalidAt(t, 'rule.channels.kernel', () =>
    gradients(model, batch, { rule: 'mdgl-membrane', loss })
  )
  t.regex(
    message,
    /^rule\.channels\.kernel is 'membrane'; allowed: with current-based ALIF neurons: 'none', 'exact' or /
  )
  t.throws(() => model.session({ rule: { ...rules.mdglMembrane, estimator: 'online' } }), { message })
})

test('which model has which parameter is the same here as in the engine', t => {
  const models = ['lif', 'alif', 'rate', 'cuba-lif', 'cuba-alif'] as const
  const parameters = {
    membraneTimeConstant: 20,
    synapticTimeConstant: 5,
    threshold: 1,
    refractoryPeriod: 2,
    dampening: 0.3,
    adaptationTimeConstant: 100,
    adaptationStrength: 1
  }
  /** What is allowed in place of what is refused. */
  const refusal = (body: () => unknown) => {
    try {
      body()
      return null
    } catch (error) {
      return error instanceof MdglError ? error.allowed : error
    }
  }
  let refused = 0
  for (const model of models)
    for (const [name, value] of Object.entries(parameters)) {
      const description = {
        schema: 'mdgl-network/1',
        populations: [{ name: 'cells', size: 1, model, [name]: value }]
      } as const
      const here = refusal(() => Model.create(description))
      const json = JSON.stringify(description)
      t.deepEqual(
        refusal(() => guard(() => native.checkNetwork({ json, lists: [] }))),
        here,
        `${name} of ${model}`
      )
      if (here !== null) refused += 1
    }
  t.is(refused, 3 + 1 + 6 + 2)
})

test("current-based LIF cells have the kernel 'membrane', forwards and backwards", async t => {
  const description = network({ seed: 3 })
    .input('cues', 8)
    .cubaLif('cells', 12)
    .readout('choice', 2)
    .project('cues', 'cells', { density: 1 })
    .project('cells', 'cells', { density: 0.5 })
    .project('cells', 'choice', { density: 1 })
    .build()
  const model = Model.create(description as NetworkDescription, { precision: 'f64' })
  const difference = await apart(model, 'mdgl-membrane-online', 'mdgl-membrane')
  t.true(difference < 1e-9, `${difference}`)
  t.true((await apart(model, 'mdgl', 'mdgl-membrane')) > 1e-3)
})

test('functional types tell the adaptive form from the other', t => {
  const description = network()
    .cubaLif('a', 2, { sign: 'inhibitory' })
    .cubaAlif('b', 3, { sign: 'excitatory', adaptationStrength: [1, 0, 2] })
    .build()
  t.deepEqual(
    functionalTypes(description).types?.map(({ name, members }) => [name, members[0]?.units]),
    [
      ['inhibitory-regular-internal', [0, 1]],
      ['excitatory-regular-internal', [1]],
      ['excitatory-adaptive-internal', [0, 2]]
    ]
  )
})
