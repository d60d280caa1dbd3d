// What the fuzzer found (`fuzz.test.ts`), each by its name.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  analogueCurrent,
  binnedEvents,
  defineRule,
  evaluate,
  evidenceAccumulation,
  expandRule,
  firingRates,
  fixedRandom,
  frozenPoisson,
  functionalTypes,
  gradients,
  loadNir,
  MdglError,
  Model,
  makeBatch,
  network,
  networkActivity,
  normalisedError,
  openNMnist,
  openSpikingHeidelbergDigits,
  populationCode,
  type ReadoutTrace,
  readNpy,
  readNpz,
  rules,
  saveNir,
  simulate,
  sumOfSines,
  type Task,
  traceProfile,
  writeNpy,
  writeNpz
} from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { memories, revoked } from './helpers/hostile/values.js'
import { sides, smallBatch, smallNetwork } from './helpers/small.js'

const loose = (value: unknown) => value as never
const loss = { kind: 'cross-entropy' } as const

/** An array that is nothing but a length. */
function holes(): never {
  const array: unknown[] = []
  array.length = 2 ** 32 - 1
  return loose(array)
}

test('a list that holds anything but numbers is refused, not taken for some numbers', t => {
  using model = Model.create(smallNetwork())
  for (const wrong of ['1', '', null, true, undefined, 1n, Symbol('one'), [], [1], {}, new Date(0)]) {
    invalidAt(t, 'bias.choice[1]', () => model.bias.set('choice', [0, loose(wrong)]))
  }
  using session = model.session({ rule: 'eprop-online' })
  session.step()
  invalidAt(t, 'targets.choice.target[0]', () => session.addLoss({ choice: { target: [loose('1'), 0] } }))
  invalidAt(t, 'targets.choice.error[1]', () => session.addLoss({ choice: { error: [0, loose(null)] } }))
  invalidAt(t, 'targets.choice.error', () => session.addLoss({ choice: { error: loose(BigInt64Array.of(1n, 1n)) } }))
  t.deepEqual([...model.bias.get('choice')], [0, 0])
})

test('a view that its buffer has become too short for is refused', t => {
  using model = Model.create(smallNetwork())
  const { values } = model.weights.get('cells->choice')
  invalidAt(t, 'weights.cells->choice', () => model.weights.set('cells->choice', memories.shrunk(values)))
})

test('a proxy of a model or of a typed array is none, nor is what inherits from a signal', async t => {
  using model = Model.create(smallNetwork())
  const proxied = new Proxy(model, {})
  await rejectsInvalidAt(t, 'model', () => evaluate(proxied, smallBatch(), { loss }))
  const { signal } = new AbortController()
  for (const none of [{ aborted: false }, Object.create(AbortSignal.prototype), revoked(signal)]) {
    await rejectsInvalidAt(t, 'options.signal', () => evaluate(model, smallBatch(), { loss, signal: loose(none) }))
  }
  using session = model.session({ rule: 'eprop-online' })
  invalidAt(t, 'input.cues', () => session.step({ cues: new Proxy(Uint32Array.of(1), {}) }))
})

test('a proxy that was revoked is refused by name', async t => {
  using model = Model.create(smallNetwork())
  invalidAt(t, 'description', () => Model.create(loose(revoked({}))))
  invalidAt(t, 'description.populations', () => Model.create(loose({ ...smallNetwork(), populations: revoked([]) })))
  invalidAt(t, 'rule', () => expandRule(loose(revoked({}))))
  invalidAt(t, 'rule.signal', () => defineRule({ name: 'x', signal: loose(revoked(() => 1)) }))
  invalidAt(t, 'bias.choice', () => model.bias.set('choice', loose(revoked([]))))
  await rejectsInvalidAt(t, 'loss', () => evaluate(model, smallBatch(), { loss: loose(revoked({})) }))
})

test('an error shows a value without running its getters', t => {
  const value = Object.defineProperty({}, 'x', {
    enumerable: true,
    get: () => {
      throw new Error('a getter of the caller')
    }
  })
  const error = invalidAt(t, 'options.precision', () => Model.create(smallNetwork(), { precision: loose(value) }))
  t.is(error.message, "options.precision is an object {x}; allowed: 'f32' or 'f64'.")
  // Descriptions are copied first, and a getter's own error passes.
  t.throws(() => network({ dt: loose(value) }), { message: 'a getter of the caller' })
})

test('the name of a part is a text, and a long one is not repeated in full', t => {
  using model = Model.create(smallNetwork())
  for (const wrong of [5, undefined, null, {}, Symbol('name'), 'x'.repeat(100_000)]) {
    const error = invalidAt(t, 'projection', () => model.weights.get(loose(wrong)))
    t.true(error.message.length < 300)
    invalidAt(t, 'projection', () => model.weights.set(loose(wrong), []))
    invalidAt(t, 'readout', () => model.bias.get(loose(wrong)))
    invalidAt(t, 'readout', () => model.bias.set(loose(wrong), []))
  }
})

test('a path that is none is refused by every reader and writer, before anything is read from a file descriptor', async t => {
  using model = Model.create(smallNetwork())
  const wrong = [0, 1, undefined, null, '', 'a\0b', {}, new URL('https://example.org/x'), Buffer.from('x')]
  for (const path of wrong.map(loose)) {
    await rejectsInvalidAt(t, 'path', () => Model.load(path))
    await rejectsInvalidAt(t, 'path', () => model.save(path))
    await rejectsInvalidAt(t, 'path', () => readNpy(path))
    await rejectsInvalidAt(t, 'path', () => readNpz(path))
    await rejectsInvalidAt(t, 'path', () => writeNpy(path, Float64Array.of(1)))
    await rejectsInvalidAt(t, 'path', () => writeNpz(path, {}))
    await rejectsInvalidAt(t, 'path', () => loadNir(path))
    await rejectsInvalidAt(t, 'path', () => saveNir(model, path))
    await rejectsInvalidAt(t, 'path', () => openSpikingHeidelbergDigits(path))
    await rejectsInvalidAt(t, 'folder', () => openNMnist(path))
  }
})

const recording = (shape: object) => ({
  spikes: Uint32Array.of(0, 1, 0),
  shape: {
    trials: 1,
    steps: 5,
    lengths: [5],
    dt: 1,
    neurons: 1,
    units: 0,
    populations: { cells: { from: 0, to: 1 } },
    types: { cells: [0] },
    readouts: {},
    ...shape
  }
})

test('a recording that is none is refused by name', t => {
  t.is(firingRates(recording({})).all, 200)
  const rates = (shape: object) => () => firingRates(loose(recording(shape)))
  invalidAt(t, 'recording', () => firingRates(loose(undefined)))
  invalidAt(t, 'recording.shape', () => firingRates(loose({ spikes: new Uint32Array() })))
  invalidAt(t, 'recording.spikes', () => firingRates(loose({ ...recording({}), spikes: [0, 1, 0] })))
  invalidAt(t, 'recording.shape.neurons', rates({ neurons: 2 ** 31 }))
  invalidAt(t, 'recording.shape.types.cells[0]', rates({ types: { cells: [1] } }))
  invalidAt(t, 'recording.shape.types.cells', rates({ types: { cells: holes() } }))
  invalidAt(t, 'recording.shape.populations.cells.to', rates({ populations: { cells: { from: 0, to: Number.NaN } } }))
  invalidAt(t, 'recording.shape.lengths[0]', rates({ lengths: [6] }))
})

test('a profile that is none is refused by name', t => {
  invalidAt(t, 'profile', () => traceProfile(loose(null)))
  const profile = { simd: 'avx2', threads: 2 ** 32, iterations: [], slices: [] }
  invalidAt(t, 'profile.threads', () => traceProfile(loose(profile)))
  invalidAt(t, 'profile.slices[0].begin', () =>
    traceProfile(loose({ ...profile, threads: 1, slices: [{ stage: 'draw', thread: 0, block: null, end: 1 }] }))
  )
})

test('the parts of an error are an object with a message', t => {
  for (const wrong of [undefined, null, 5, {}, { message: Symbol('m') }]) {
    invalidAt(t, 'details', () => new MdglError(loose(wrong)))
  }
})

test('an array that is nothing but a length is refused at once', async t => {
  invalidAt(t, 'rule.channels', () => expandRule({ ...rules.mdgl, channels: loose(new Array(2 ** 32 - 1)) }))
  using model = Model.create(smallNetwork())
  const batch = (change: object) => ({ ...smallBatch(), trials: 4, ...change })
  const run = (change: object) => () => evaluate(model, loose(batch(change)), { loss })
  await rejectsInvalidAt(t, 'batch.targets.choice', run({ targets: holes() }))
  await rejectsInvalidAt(t, 'batch.targets', run({ trials: undefined, targets: holes() }))
  await rejectsInvalidAt(t, 'batch.inputs.cues.rates', run({ inputs: { cues: { rates: holes() } } }))
  await rejectsInvalidAt(t, 'batch.inputs.cues.events', run({ inputs: { cues: { events: holes() } } }))
  await rejectsInvalidAt(t, 'batch.inputs.cues.analogue', run({ inputs: { cues: { analogue: holes() } } }))
  invalidAt(t, 'bias.choice', () => model.bias.set('choice', holes()))
  invalidAt(t, 'description.projections', () => Model.create(loose({ ...smallNetwork(), projections: holes() })))
})

test('sizes that no memory has are refused before anything is made', async t => {
  for (const size of [2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    invalidAt(t, 'shape', () => analogueCurrent({ trials: size, steps: 1, units: 1 }, () => 0))
    invalidAt(t, /^options\./, () => frozenPoisson({ units: size, duration: 10, rate: 1, seed: 1 }))
    invalidAt(t, /^options\./, () => frozenPoisson({ units: 1, duration: size, rate: 1, seed: 1 }))
    invalidAt(t, 'trials', () => frozenPoisson({ units: 9, duration: 9, rate: 1000, seed: 1 })(size))
    invalidAt(t, 'options.duration', () => sumOfSines({ duration: size, frequencies: [1], weights: [1] }))
    invalidAt(t, 'tuning.groups', () =>
      populationCode(0, { groups: size, range: [0, 1], width: 1, peakRate: 1 }, { trial: 0, from: 0, to: 1 })
    )
    invalidAt(t, 'n', () => fixedRandom(1).permutation(size))
    invalidAt(t, 'populations.cells.size', () => network().lif('cells', size))
  }
  const large = network()
    .lif('cells', 2 ** 24)
    .project('cells', 'cells', { density: 1 })
  t.throws(() => large.build(), { instanceOf: MdglError })
})

test("a channel of a rule's names its types in text", t => {
  const channels = [{ name: 'c', from: 'a', to: {}, gain: 1, reach: 'synaptic', kernel: 'none' }]
  invalidAt(t, 'rule.channels[0].to', () => expandRule(loose({ ...rules.mdgl, channels })))
  invalidAt(t, 'rule.channels[0].too', () =>
    expandRule(loose({ ...rules.mdgl, channels: [{ ...channels[0], too: 1 }] }))
  )
})

test('the ends of a projection and the bounds of a range are checked before they are put into words', t => {
  const builder = network().lif('cells', 2)
  invalidAt(t, 'projections.to', () => builder.project('cells', loose(Symbol('cells')), { density: 1 }))
  invalidAt(t, 'types.a.cells', () => builder.type('a', { cells: { from: loose(Symbol('0')), to: 1 } }))
})

test('a NumPy array over memory that is gone is not written as an empty one', async t => {
  const path = join(await temporaryFolder(t), 'x.npy')
  await rejectsInvalidAt(t, 'values', () => writeNpy(path, loose(memories.detached(Float64Array.of(1)))))
  await rejectsInvalidAt(t, 'values.data', () =>
    writeNpy(path, { data: loose(memories.shrunk(Float64Array.of(1, 2))), shape: [0] })
  )
  t.false(existsSync(path))
})

test('an error of outputs that are no numbers, or too large, is none', t => {
  invalidAt(t, 'outputs[0]', () => normalisedError([Number.POSITIVE_INFINITY], [1]))
  invalidAt(t, 'targets[0]', () => normalisedError([1], [loose([])]))
  t.throws(() => normalisedError([1e308], [1]), { instanceOf: MdglError, code: 'not-finite' })
})

test('a getter that changes its answer after the check changes nothing', async t => {
  let reads = 0
  const fickle = { ...sides }
  Object.defineProperty(fickle, 'batch', { get: () => (reads++ === 0 ? sides.batch : 5) })
  t.is((await makeBatch(fickle as Task, { split: 'test', size: 2, seed: 1 })).length, 60)
  using model = Model.create(smallNetwork())
  using session = model.session({ rule: 'eprop-online' })
  const state = { ...session.state() }
  const { spikes } = state
  let looks = 0
  Object.defineProperty(state, 'spikes', { enumerable: true, get: () => (looks++ === 0 ? spikes : { length: 9 }) })
  t.notThrows(() => session.restore(state))
  t.throws(() => session.restore({ ...session.state(), steps: loose(1n) }), { instanceOf: MdglError, code: 'invalid' })
})

test('options are read once, and a description is checked before it is gone through', async t => {
  using model = Model.create(smallNetwork())
  let reads = 0
  const fickle = Object.defineProperty({ loss }, 'threads', {
    enumerable: true,
    get: () => (reads++ === 0 ? 1 : {})
  })
  t.true((await evaluate(model, smallBatch(), fickle)).loss > 0)
  t.is(reads, 1)
  let asked = 0
  const judge = ({ values }: ReadoutTrace) => ({ loss: 2, delta: new Float64Array(values.length) })
  const custom = Object.defineProperty({ kind: 'custom' }, 'evaluate', { get: () => (asked++ === 0 ? judge : 5) })
  t.is((await evaluate(model, { ...smallBatch(), trials: 4 }, { loss: loose(custom) })).loss, 2)
  invalidAt(t, 'description.readouts', () => functionalTypes(loose({ ...smallNetwork(), readouts: 1n })))
})

test('a rate or a network that is none has no activity', t => {
  t.is(networkActivity(smallNetwork(), 0), 'silent')
  t.is(networkActivity(smallNetwork(), 1), 'normal')
  t.is(networkActivity(smallNetwork(), 1000), 'epileptic')
  for (const rate of [NaN, -1, Infinity, '1']) invalidAt(t, 'rate', () => networkActivity(smallNetwork(), loose(rate)))
  const [cells] = smallNetwork().populations
  const unsized = { ...smallNetwork(), populations: [{ ...cells, size: NaN }] }
  invalidAt(t, /size$/, () => networkActivity(loose(unsized), 10))
})

test('an array of a custom loss may have methods of its own', async t => {
  const description = network({ seed: 1 })
    .input('in', 5)
    .lif('cells', 10)
    .readout('left', 1)
    .readout('right', 2)
    .project('in', 'cells', { density: 1 })
    .project('cells', 'left', { density: 1 })
    .project('cells', 'right', { density: 1 })
    .build()
  using model = Model.create(description)
  const batch = { trials: 2, length: 5, inputs: {} }
  const custom = (own: object) => ({
    kind: 'custom' as const,
    evaluate: ({ values }: { values: ArrayLike<number> }) => ({
      loss: 1,
      delta: Object.assign(new Float64Array(values.length).fill(0.5), own)
    })
  })
  const norm = async (own: object) => {
    const found = await gradients(model, batch, { rule: 'eprop', loss: { left: custom(own), right: custom(own) } })
    return found.norm
  }
  const plain = await norm({})
  t.true(plain > 0)
  t.is(await norm({ subarray: new Map(), slice: 1, set: null }), plain)
})

test('signals that are too large to be numbers are an error, not a recording', async t => {
  using model = Model.create(smallNetwork())
  const regulariser = { strength: 1e308, targetRate: 10 }
  await t.throwsAsync(simulate(model, smallBatch(), { rule: 'eprop', loss, regulariser }), {
    instanceOf: MdglError,
    code: 'not-finite'
  })
})

test('weights that single precision cannot hold are refused, given or drawn', t => {
  const drawn = network({ seed: 1 })
    .lif('cells', 10)
    .project('cells', 'cells', { density: 1, initialise: { scheme: 'normal', standardDeviation: 1e300 } })
    .build()
  invalidAt(t, 'projections.cells->cells.initialise', () => Model.create(drawn))
  t.notThrows(() => Model.create(drawn, { precision: 'f64' }).dispose())
  const given = network({ seed: 1 })
    .lif('cells', 2)
    .project('cells', 'cells', { connections: { pre: [0], post: [1], values: [1e300] } })
    .build()
  invalidAt(t, 'projections.cells->cells.connections.values', () => Model.create(given))
})

test('sines whose sum would be no number are refused', t => {
  invalidAt(t, 'options.frequencies[0]', () => sumOfSines({ duration: 9, frequencies: [1e308], weights: [1] }))
  invalidAt(t, 'options.weights', () => sumOfSines({ duration: 9, frequencies: [1, 2], weights: [1e308, 1e308] }))
})

test('null is no option that was left out', async t => {
  using model = Model.create(smallNetwork())
  invalidAt(t, 'options.dt', () => binnedEvents([], { duration: 5, dt: loose(null) }))
  invalidAt(t, 'options.cues', () => evidenceAccumulation({ cues: loose(null) }))
  await rejectsInvalidAt(t, 'options.seed', () => evaluate(model, smallBatch(), { loss, seed: loose(null) }))
  await rejectsInvalidAt(t, 'options.voltage', () => simulate(model, smallBatch(), { voltage: loose(null) }))
})

test('an entry of a list is read once', t => {
  using model = Model.create(smallNetwork())
  const values = Array.from(model.weights.get('cells->cells').values)
  let reads = 0
  Object.defineProperty(values, 3, { enumerable: true, get: () => (reads++ === 0 ? 0 : new Float64Array(2)) })
  t.notThrows(() => model.weights.set('cells->cells', values))
  t.is(reads, 1)
  t.is(model.weights.get('cells->cells').values[3], 0)
})

test('the bounds of a tuning are read once', t => {
  let reads = 0
  const range = Object.defineProperty([0, 1], 1, { get: () => (reads++ === 0 ? 1 : 'many') }) as [number, number]
  const tuning = { groups: 2, range, width: 1, peakRate: 1 }
  t.is(populationCode(0, tuning, { trial: 0, from: 0, to: 1 }).length, 2)
})

test('a name of a hundred thousand characters is not repeated in full', t => {
  const name = 'x'.repeat(100_000)
  const error = invalidAt(t, /^populations\.x+\.size$/, () => network().lif(name, -1))
  t.true(error.message.length < 500)
  const known = invalidAt(t, /\.from$/, () =>
    network()
      .lif(name, 1)
      .project(loose('other'), name as never, { density: 1 })
  )
  t.true(known.allowed !== undefined && known.allowed.length > 100_000)
  t.true(known.message.length < 2000)
})
