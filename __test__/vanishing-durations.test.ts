import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import {
  type Batch,
  binnedEvents,
  type Delay,
  delayedXor,
  evaluate,
  evidenceAccumulation,
  firingRates,
  frozenPoisson,
  gradients,
  type Loss,
  loadNir,
  Model,
  type NetworkDescription,
  network,
  type Population,
  poissonRates,
  rules,
  saveNir,
  sequentialDigits,
  simulate,
  spikeCounts,
  storeRecall,
  sumOfSines,
  synchrony
} from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { rejectsInvalidAt } from './helpers/expect.js'

/** A duration or time constant that a user gives. */
interface Row {
  /** Where its type stands: file and name, as `src/` has them; several fields of a type that another one takes over. */
  readonly of: readonly string[]
  /** The path of the error. */
  readonly path: string
  /** Gives it a value in ms. The step is 1 ms. */
  readonly give: (ms: number) => unknown
  /** Whether 0 means something. */
  readonly zero: boolean
}

const base = () =>
  network({ seed: 1 })
    .input('in', 2)
    .lif('cells', 4)
    .readout('out', 2)
    .project('in', 'cells', { density: 1 })
    .project('cells', 'cells', { density: 1 })
    .project('cells', 'out', { density: 1 })

const delayed = (delay: Delay) => base().project('in', 'cells', { name: 'again', density: 1, delay }).build()

const injected = (given: Pick<Population, 'noise' | 'currents'>) => network().lif('driven', 2, given)

const model = Model.create(base().build())
const classes: Loss = { kind: 'cross-entropy' }
const LENGTH = 20
const batch: Batch = { length: LENGTH, inputs: {}, targets: [0, 1] }
const judged = (given: Partial<Batch>, loss: Loss = classes) => evaluate(model, { ...batch, ...given }, { loss })
const window = (from: number, to: number) => ({ trial: 0, from, to, class: 1 })
const segment = (to: number) => ({ trial: 0, units: [0, 2] as const, from: 5, to, rate: 100 })
const recording = await simulate(model, batch)
const secreted = (tauRise: number, tauDecay: number) =>
  ({ gain: 1, reach: 'nonlocal', kernel: { tauRise, tauDecay } }) as const
const channel = (tauRise: number, tauDecay: number) =>
  base().channel({ name: 'slow', from: 'cells', to: 'cells', ...secreted(tauRise, tauDecay) })
const ruled = (tauRise: number, tauDecay: number, list: boolean) => {
  const one = secreted(tauRise, tauDecay)
  const channels = list ? [{ name: 'slow', from: 'cells', to: 'cells', ...one }] : one
  return gradients(model, batch, { rule: { ...rules.mdgl, channels }, loss: classes })
}
/** The same population as plain JSON, its values one for each neuron. */
const plain = (population: object) =>
  Model.create({
    schema: 'mdgl-network/1',
    populations: [{ name: 'cells', size: 2, model: 'alif', ...population }]
  } as NetworkDescription)

const rows: readonly Row[] = [
  {
    of: ['network/description.ts membraneTimeConstant'],
    path: 'populations.a.membraneTimeConstant',
    give: ms => network().lif('a', 1, { membraneTimeConstant: ms }),
    zero: true
  },
  {
    of: [],
    path: 'populations.a.membraneTimeConstant',
    give: ms => network().rate('a', 1, { membraneTimeConstant: ms }),
    zero: true
  },
  {
    of: [],
    path: 'populations.cells.membraneTimeConstant[1]',
    give: ms => plain({ membraneTimeConstant: [20, ms] }),
    zero: true
  },
  {
    of: ['network/description.ts synapticTimeConstant'],
    path: 'populations.a.synapticTimeConstant',
    give: ms => network().cubaLif('a', 1, { synapticTimeConstant: ms }),
    zero: true
  },
  {
    of: [],
    path: 'populations.cells.synapticTimeConstant[1]',
    give: ms => plain({ model: 'cuba-alif', synapticTimeConstant: [20, ms] }),
    zero: true
  },
  {
    of: ['network/description.ts adaptationTimeConstant'],
    path: 'populations.cells.adaptationTimeConstant[1]',
    give: ms => plain({ adaptationTimeConstant: [20, ms] }),
    zero: true
  },
  {
    of: ['network/description.ts refractoryPeriod'],
    path: 'populations.cells.refractoryPeriod[0]',
    give: ms => plain({ refractoryPeriod: [ms, 5] }),
    zero: true
  },
  {
    of: [],
    path: 'populations.a.refractoryPeriod',
    give: ms => network().lif('a', 1, { refractoryPeriod: ms }),
    zero: true
  },
  {
    of: ['network/description.ts timeConstant'],
    path: 'readouts.y.timeConstant',
    give: ms => network().lif('a', 1).readout('y', 1, { timeConstant: ms }),
    zero: true
  },
  {
    of: [],
    path: 'projections.again.delay',
    give: ms => base().project('cells', 'cells', { name: 'again', density: 1, delay: ms }),
    zero: false
  },
  {
    of: ['network/description.ts low'],
    path: 'projections.again.delay.low',
    give: ms => delayed({ scheme: 'uniform', low: ms, high: 9 }),
    zero: false
  },
  {
    of: ['network/description.ts high'],
    path: 'projections.again.delay.high',
    give: ms => delayed({ scheme: 'uniform', low: 1, high: ms }),
    zero: false
  },
  {
    of: ['network/description.ts mean'],
    path: 'projections.again.delay.mean',
    give: ms => delayed({ scheme: 'normal', mean: ms, standardDeviation: 1 }),
    zero: false
  },
  {
    of: [],
    path: 'populations.driven.noise.timeConstant',
    give: ms => injected({ noise: { standardDeviation: 1, timeConstant: ms } }),
    zero: true
  },
  {
    of: ['network/description.ts from', 'network/description.ts to'],
    path: 'populations.driven.currents[0].to',
    give: ms => injected({ currents: [{ from: 3, to: 3 + ms, amplitude: 1 }] }),
    zero: true
  },
  {
    of: ['network/description.ts tauRise'],
    path: 'channels.slow.kernel.tauRise',
    give: ms => channel(ms, 20),
    zero: true
  },
  {
    of: ['network/description.ts tauDecay'],
    path: 'channels.slow.kernel.tauDecay',
    give: ms => channel(0, ms),
    zero: false
  },
  { of: [], path: 'rule.channels.kernel.tauRise', give: ms => ruled(ms, 20, false), zero: true },
  { of: [], path: 'rule.channels[0].kernel.tauDecay', give: ms => ruled(0, ms, true), zero: false },
  {
    of: ['task/batch.ts window'],
    path: 'loss.window',
    give: ms => judged({}, { kind: 'cross-entropy', window: ms }),
    zero: false
  },
  {
    of: [],
    path: 'loss.out.window',
    give: ms => evaluate(model, batch, { loss: { out: { kind: 'cross-entropy', window: ms } } }),
    zero: false
  },
  { of: ['task/batch.ts length'], path: 'batch.length', give: ms => judged({ length: ms }), zero: false },
  { of: [], path: 'batch.length[1]', give: ms => judged({ length: [3, ms] }), zero: false },
  {
    of: ['task/batch.ts from', 'task/batch.ts to', 'encoders/poisson.ts TimeWindow'],
    path: 'batch.inputs.in.rates[0].to',
    give: ms => judged({ inputs: { in: { rates: [segment(5 + ms)] } } }),
    zero: true
  },
  {
    of: [],
    path: 'batch.inputs.in.rates[0].to',
    // Two groups of units; without time nothing remains to be refused.
    give: ms => judged({ inputs: { in: { rates: poissonRates([10, 10], { trial: 0, from: 5, to: 5 + ms }) } } }),
    zero: true
  },
  {
    of: [],
    path: 'batch.targets.out[0].to',
    give: ms => judged({ trials: 1, targets: [window(5, 5 + ms)] }, { kind: 'cross-entropy', window: 'targets' }),
    zero: false
  },
  {
    of: ['analysis/spike-trains.ts SpikeWindow'],
    path: 'window.to',
    give: ms => firingRates(recording, { from: 5, to: 5 + ms }),
    zero: false
  },
  { of: [], path: 'window.to', give: ms => spikeCounts(recording, { to: ms }), zero: false },
  {
    of: ['analysis/statistics.ts bin'],
    path: 'options.bin',
    give: ms => synchrony(recording, { bin: ms }),
    zero: false
  },
  {
    of: ['encoders/binned-events.ts duration'],
    path: 'options.duration',
    give: ms => binnedEvents([], { duration: ms }),
    zero: false
  },
  {
    of: ['encoders/frozen-poisson.ts duration'],
    path: 'options.duration',
    give: ms => frozenPoisson({ units: 1, duration: ms, rate: 1, seed: 1 }),
    zero: false
  },
  {
    of: ['tasks/sum-of-sines.ts duration'],
    path: 'options.duration',
    give: ms => sumOfSines({ duration: ms, frequencies: [1], weights: [1] }),
    zero: false
  },
  {
    of: ['tasks/evidence-accumulation.ts EvidenceOptions'],
    path: 'options.cueDuration',
    give: ms => evidenceAccumulation({ cueDuration: ms }),
    zero: false
  },
  {
    of: [],
    path: 'options.cueInterval',
    give: ms => evidenceAccumulation({ cueInterval: ms, cueDuration: ms === 0.5 ? 0.5 : 0.6 }),
    zero: false
  },
  { of: [], path: 'options.recallDuration', give: ms => evidenceAccumulation({ recallDuration: ms }), zero: false },
  { of: [], path: 'options.delay', give: ms => evidenceAccumulation({ delay: ms }), zero: true },
  { of: ['tasks/delayed-xor.ts delay'], path: 'options.delay', give: ms => delayedXor({ delay: ms }), zero: true },
  {
    of: ['tasks/store-recall.ts symbolDuration'],
    path: 'options.symbolDuration',
    give: ms => storeRecall({ symbolDuration: ms }),
    zero: false
  },
  {
    of: ['tasks/sequential-digits.ts rowDuration'],
    path: 'options.rowDuration',
    give: ms => sequentialDigits({ rowDuration: ms }),
    zero: false
  }
]

test('a duration that rounds to no step is refused wherever one is given, and half a step is one', async t => {
  for (const { path, give, zero } of rows) {
    for (const ms of [0.3, 1e-9]) {
      const error = await rejectsInvalidAt(t, path, async () => await give(ms))
      t.true(/half a step|later step/.test(error.message), error.message)
    }
    await t.notThrowsAsync(async () => await give(0.5), `${path}: half a step`)
    const nothing = async () => await give(0)
    if (zero) await t.notThrowsAsync(nothing, `${path}: 0`)
    else await t.throwsAsync(nothing, { code: 'invalid' }, `${path}: 0`)
  }
})

test('a default that a long step leaves nothing of is refused as one that is given', async t => {
  const coarse = () => network({ dt: 50 })
  await rejectsInvalidAt(t, 'populations.a.membraneTimeConstant', async () => coarse().lif('a', 1))
  await rejectsInvalidAt(t, 'populations.a.refractoryPeriod', async () =>
    coarse().lif('a', 1, { membraneTimeConstant: 100 })
  )
  await rejectsInvalidAt(t, 'readouts.y.timeConstant', async () => coarse().readout('y', 1))
  const whole = coarse()
    .lif('a', 1, { membraneTimeConstant: 100, refractoryPeriod: 0 })
    .readout('y', 1, { timeConstant: 25 })
  t.notThrows(() => Model.create(whole.build()))
})

test('NIR: a delay that a coarser step leaves nothing of is refused, and what it has none of is one step', async t => {
  const path = join(await temporaryFolder(t), 'delayed.nir')
  const fine = network({ dt: 0.1 })
    .lif('a', 2, { refractoryPeriod: 0 })
    .lif('b', 2, { refractoryPeriod: 0 })
    .project('a', 'b', { density: 1, delay: 0.3 })
    .project('b', 'a', { density: 1 })
    .build()
  t.deepEqual(
    fine.projections?.map(({ delay }) => delay),
    [0.3, 0.1]
  )
  await saveNir(Model.create(fine), path)
  t.deepEqual(
    (await loadNir(path)).description.projections?.map(({ delay }) => delay),
    [0.3, 0.1]
  )
  await rejectsInvalidAt(t, 'nodes.a->b.delay.delay', () => loadNir(path, { dt: 1 }))
  const half = await loadNir(path, { dt: 0.6 })
  t.deepEqual(
    half.description.projections?.map(({ delay }) => delay),
    [0.6, 0.6]
  )
})

test('cells and readouts without time constants remember nothing; NIR has none such', async t => {
  const unit = (value: number) => ({ connections: { pre: [0], post: [0], values: [value] } })
  const parts = network({ seed: 2 })
    .input('in', 1)
    .rate('unit', 1, { membraneTimeConstant: 0 })
    .alif('cell', 1, { membraneTimeConstant: 0, adaptationTimeConstant: 0, threshold: 1, refractoryPeriod: 0 })
    .readout('y', 1, { timeConstant: 0, bias: false })
    .project('in', 'unit', unit(1))
    .project('in', 'cell', unit(1))
    .project('unit', 'y', unit(2))
    .build()
  const given = [1, 3, 0, 4, 2, 0.5]
  const { voltage, readout } = await simulate(
    Model.create(parts, { precision: 'f64' }),
    { length: given.length, trials: 1, inputs: { in: { analogue: Float64Array.from(given) } } },
    { voltage: true }
  )
  t.deepEqual(
    Array.from(readout),
    given.map(value => 2 * value)
  )
  // The threshold is 1, and 1 + 1.8 in the step after a spike, which subtracts 1.
  t.deepEqual(
    Array.from(voltage ?? []).filter((_, i) => i % 2 === 1),
    [1, 3, -1, 4, 1, 0.5]
  )
  for (const [path, description] of [
    [
      'populations.a.membraneTimeConstant',
      network().lif('a', 2, { refractoryPeriod: 0, membraneTimeConstant: [20, 0] })
    ],
    ['readouts.y.timeConstant', network().lif('a', 1, { refractoryPeriod: 0 }).readout('y', 1, { timeConstant: 0 })]
  ] as const) {
    await rejectsInvalidAt(t, path, () => saveNir(Model.create(description.build()), 'nowhere.nir'))
  }
})

const source = fileURLToPath(new URL('../src', import.meta.url))
const FIELD = /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\s*readonly (\w+)\??: ([^\n{]+)/g
/** Times that the library tells, steps themselves, and times that are no stretch. */
const TOLD =
  /^(?:operations\/train|profile|analysis\/trial-snapshot|cli|bench|dashboard|plots|network\/recording-shape|addon|interchange\/event-set)\b/
const NO_STRETCH = new Set(['dt', 'times', 'timeUnit'])

test('every field whose documentation speaks of ms is in the table', t => {
  const known = new Set(rows.flatMap(({ of }) => of))
  const unknown: string[] = []
  let found = 0
  for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    const file = name.replaceAll('\\', '/')
    if (!file.endsWith('.ts') || TOLD.test(file)) continue
    for (const [, comment = '', field = '', type = ''] of readFileSync(join(source, name), 'utf8').matchAll(FIELD)) {
      const timed = /\bms\b/.test(comment) && /number|Parameter/.test(type)
      if (!timed || NO_STRETCH.has(field)) continue
      found += 1
      if (!known.has(`${file} ${field}`)) unknown.push(`${file} ${field}`)
    }
  }
  t.deepEqual(unknown, [])
  t.true(found >= 20, `${found} fields`)
})
