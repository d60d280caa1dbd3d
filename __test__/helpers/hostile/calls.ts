import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as api from '../../../src/index.js'
import {
  analogueBatch,
  batch,
  crossEntropy,
  customLoss,
  customRule,
  description,
  plainDescription,
  task,
  type World
} from './world.js'

/** One function of the library, with arguments that are right. */
export interface Call {
  /** Arguments as a careful caller gives them; made anew for each call. */
  args(world: World): unknown[]
  /** Calls the function. A long run is left after a few steps. */
  run(world: World, ...args: never[]): unknown
  /** How often it is called, compared with others. Default 10. */
  readonly weight?: number
  /** Whether it changes the model when it succeeds. */
  readonly changes?: boolean
  /** Places where a value that is no number may stand for one, or is not read at all, by their path. */
  readonly loose?: RegExp
  /** Whether it returns numbers of a file, which need not be finite. */
  readonly reads?: boolean
}

const any = api as unknown as Record<string, (...args: never[]) => unknown>

/** A function of the library called by its name as it is. */
const plain = (name: string, args: (world: World) => unknown[], more: Partial<Call> = {}): Call => ({
  args,
  run: (_, ...given) => any[name]?.(...given),
  ...more
})

/** A method of what `of` gives. */
const method = (
  of: (world: World) => unknown,
  name: string,
  args: (world: World) => unknown[],
  more: Partial<Call> = {}
): Call => ({
  args,
  run: (world, ...given) => (of(world) as Record<string, (...given: never[]) => unknown>)[name]?.(...given),
  ...more
})

const MOST_METRICS = 3

/** The first metrics of a training run; the world hears of the weights after each. */
async function someTraining(world: World, ...given: unknown[]): Promise<unknown> {
  const metrics: unknown[] = []
  for await (const told of api.train(...(given as Parameters<typeof api.train>))) {
    world.remember()
    // How long a step took is nobody's promise.
    metrics.push({ ...told, msPerIteration: 0 })
    if (metrics.length === MOST_METRICS) break
  }
  return metrics
}

const options = (world: World) => ({ loss: { ...crossEntropy }, seed: 3, threads: 1, signal: world.signal })
const weighed = () => ({ ...crossEntropy, weight: 2, reduction: 'sum', classWeights: [1, 0.5] })
const regularised = (world: World) => ({
  ...options(world),
  loss: weighed(),
  regulariser: { strength: 0.1, targetRate: 10 }
})
const squared = (world: World) => ({
  ...options(world),
  loss: { kind: 'squared-error', weight: 0.5, reduction: 'mean' }
})
const custom = (world: World) => ({ ...options(world), loss: customLoss() })
const training = (world: World) => ({
  rule: 'mdgl',
  iterations: 3,
  firstIteration: 1,
  batchSize: 3,
  seed: 4,
  optimiser: {
    kind: 'gradient-descent',
    learningRate: { kind: 'warm-up', iterations: 1, into: { kind: 'cosine', from: 0.01, to: 0, iterations: 2 } },
    learningRateFactors: { 'slow->cells': 0.5 },
    weightDecay: 0.01,
    l1: 0,
    temperature: 0.1,
    rewiring: true,
    frozen: []
  },
  regulariser: { strength: 0.1, targetRate: 10 },
  validateEvery: 2,
  validationSize: 2,
  stopAt: { loss: 0, accuracy: 1 },
  freeze: ['slow->cells'],
  threads: 1,
  signal: world.signal
})

const ruleValue = () => ({
  estimator: 'backward',
  feedback: { random: { seed: 2, density: 0.5, standardDeviation: 1 } },
  learningSignal: 'own',
  channels: [{ name: 'x', from: 'a', to: 'b', gain: 0.5, reach: 'synaptic', kernel: { tauRise: 1, tauDecay: 3 } }],
  hops: 1,
  recurrentDerivative: 'psi',
  readoutFilter: 'exact',
  trace: 'mdgl2021'
})
const modprop = () => ({ ...api.rules.modprop, feedback: { weights: Array.from({ length: 8 }, () => [0.1, -0.2]) } })
const adaptive = () => ({ ...api.rules.epropAdaptive })

/** Numbers that may also be words, or nothing. */
const LOOSE_BATCH = /\.targets/
const LOOSE_OPTIONS = /\.(signal|regulariser|decay|clipNorm|window|threads)$/

const recording = (): unknown => ({
  spikes: Uint32Array.of(0, 1, 0, 0, 3, 1, 1, 2, 0, 1, 4, 0),
  shape: {
    trials: 2,
    steps: 6,
    lengths: [6, 6],
    dt: 1,
    neurons: 2,
    populations: { cells: { from: 0, to: 2 } },
    types: { cells: [0, 1] },
    readouts: {}
  }
})
const window = () => ({ from: 0, to: 6 })

const builder = () => api.network({ seed: 1 }).input('in', 2).lif('cells', 3).readout('out', 2)
const modulation = () => ({
  ligands: { a: 'A', b: ['B'] },
  receptors: { a: { A: 'mean-weight', B: -0.5 }, b: { A: { gain: 0.2, reach: 'nonlocal', kernel: 'none' } } }
})

const recordOptions = () => ({
  slow: { variables: ['voltage', 'adaptation', 'spikes'], units: [2, 0] },
  choice: ['readout']
})

const lifOptions = () => ({
  sign: { excitatory: 2, inhibitory: 1, shuffled: true },
  membraneTimeConstant: [10, 20, 30],
  threshold: 0.02,
  refractoryPeriod: 3,
  dampening: 0.2,
  noise: { mean: 0.1, standardDeviation: 0.2, timeConstant: 5 },
  currents: [{ from: 2, to: 4, amplitude: 0.3 }]
})

const presets: Record<string, () => object> = {
  evidenceAccumulation: () => ({ cues: 1, cueDuration: 20, delay: 30, types: 'six' }),
  delayedMatch: () => ({}),
  delayedXor: () => ({}),
  storeRecall: () => ({}),
  patternGeneration: () => ({}),
  sequentialDigits: () => ({}),
  sequentialMnist: () => {
    const of = (count: number) => ({
      images: { data: new Uint8Array(784 * count), shape: [count, 28, 28] },
      labels: { data: new Uint8Array(count), shape: [count] }
    })
    return { ...of(3), test: of(2), validation: 1, mode: 'rows' }
  }
}

/** A task of the library is asked for its network and a batch, which is where its options matter. */
const preset = (name: string): Call => ({
  args: () => [presets[name]?.() ?? {}],
  run: async (_, ...given) => {
    const made = any[name]?.(...given) as api.Task
    const { loss, ...batch } = await api.makeBatch(made, { split: 'test', size: 2, seed: 1 })
    // Without the functions of a custom loss, which are others each time.
    return [made.network?.({ seed: 1 }), batch, JSON.stringify(loss)]
  },
  loose: /./
})

/** A neuron model, whose parameters a network checks. */
const neurons = (name: string, args: () => unknown[]): Call => ({
  args,
  run: (_, ...given) => Object.keys(any[name]?.(...given) as object),
  loose: /./
})

/** A method of a random generator. */
const random = (name: string, args: unknown[]) =>
  method(
    () => api.fixedRandom(7),
    name,
    () => args
  )

const target = (world: World, name: string) => join(world.files.folder, name)

/** Every function and method that the library exports. */
export const calls: Readonly<Record<string, Call>> = {
  // Networks.
  network: plain('network', () => [
    {
      dt: 0.5,
      seed: 3,
      pseudoDerivative: { shape: 'arctangent', steepness: 3 },
      sheet: { width: 3, height: 4, positions: 'sorted', spread: 0.5 }
    }
  ]),
  'NetworkBuilder#input': method(
    () => api.network(),
    'input',
    () => ['in', 3, { sign: [1, -1, 0] }]
  ),
  'NetworkBuilder#population': method(
    () => api.network(),
    'population',
    () => ['cells', 3, { model: 'alif', ...lifOptions(), adaptationTimeConstant: 50, adaptationStrength: [0, 1, 2] }]
  ),
  lif: neurons('lif', () => [lifOptions()]),
  alif: neurons('alif', () => [{ ...lifOptions(), adaptationTimeConstant: 50 }]),
  cubaLif: neurons('cubaLif', () => [{ ...lifOptions(), synapticTimeConstant: 4 }]),
  cubaAlif: neurons('cubaAlif', () => [{ ...lifOptions(), synapticTimeConstant: 4 }]),
  rate: neurons('rate', () => [{ sign: 'free', membraneTimeConstant: 30 }]),
  'NetworkBuilder#project of lists': method(
    () => builder().lif('more', 2),
    'project',
    () => [['in', 'cells'], ['cells', 'more'], { density: 0.5 }]
  ),
  'NetworkBuilder#lif': method(
    () => api.network(),
    'lif',
    () => ['cells', 3, lifOptions()]
  ),
  'NetworkBuilder#alif': method(
    () => api.network(),
    'alif',
    () => ['cells', 3, { ...lifOptions(), adaptationTimeConstant: 50, adaptationStrength: [0, 1, 2] }]
  ),
  'NetworkBuilder#cubaLif': method(
    () => api.network(),
    'cubaLif',
    () => ['cells', 3, { ...lifOptions(), synapticTimeConstant: [0, 3, 10] }]
  ),
  'NetworkBuilder#cubaAlif': method(
    () => api.network(),
    'cubaAlif',
    () => ['cells', 3, { ...lifOptions(), synapticTimeConstant: 4, adaptationTimeConstant: 50, adaptationStrength: 2 }]
  ),
  'NetworkBuilder#rate': method(
    () => api.network(),
    'rate',
    () => ['cells', 3, { sign: 'free', membraneTimeConstant: 30 }]
  ),
  'NetworkBuilder#readout': method(
    () => api.network(),
    'readout',
    () => ['out', 3, { timeConstant: 10, bias: true }]
  ),
  'NetworkBuilder#type': method(builder, 'type', () => ['a', { cells: { from: 0, to: 2 } }]),
  'NetworkBuilder#project': method(builder, 'project', () => [
    'in',
    'cells',
    {
      name: 'p',
      connections: { pre: new Uint32Array([0, 1]), post: [0, 2], values: Float32Array.of(0.1, -0.2) },
      delay: Float32Array.of(1, 3),
      plastic: true
    }
  ]),
  'NetworkBuilder#channel': method(builder, 'channel', () => [
    {
      name: 'c',
      from: 'cells',
      to: 'cells',
      gain: 0.5,
      reach: 'synaptic',
      kernel: { membrane: { mean: 'batch', initial: 0.2 } }
    }
  ]),
  'NetworkBuilder#modulation': method(
    () =>
      builder()
        .type('a', { cells: [0] })
        .type('b', { cells: [1, 2] }),
    'modulation',
    () => [modulation()],
    { loose: /receptors/ }
  ),
  'NetworkBuilder#lesion': method(builder, 'lesion', () => [{ from: 'cells', to: 'cells' }]),
  'NetworkBuilder#build': method(builder, 'build', () => []),
  // A receptor may be an object, all of whose parts have defaults.
  expandModulation: plain('expandModulation', () => [modulation()], { loose: /receptors/ }),
  networkActivity: plain('networkActivity', () => [api.evidenceAccumulation().network({ seed: 1 }), 12], { weight: 1 }),
  networkGraph: plain('networkGraph', () => [api.evidenceAccumulation().network({ seed: 1 })], { weight: 1 }),
  functionalTypes: plain('functionalTypes', () => [api.evidenceAccumulation({ types: 'two' }).network({ seed: 1 })], {
    weight: 1
  }),

  // Rules.
  expandRule: plain('expandRule', () => [ruleValue()]),
  defineRule: { args: () => [customRule()], run: (_, rule) => api.defineRule(rule).name },

  // Learning rates.
  cosine: plain('cosine', () => [0.01, { to: 0.001, iterations: 10 }]),
  stepDecay: plain('stepDecay', () => [0.01, { factor: 0.5, every: 10 }]),
  warmUp: plain('warmUp', () => [10, { kind: 'step', from: 0.01, factor: 0.5, every: 2 }], { loose: /^\[1\]/ }),

  // Models.
  'Model.create': {
    args: () => [description(), { precision: 'f64' }],
    run: (_, ...args) => told(api.Model.create(...(args as [never])))
  },
  'Model.createAsync': {
    args: () => [description(), { precision: 'f32' }],
    run: async (_, ...args) => told(await api.Model.createAsync(...(args as [never])))
  },
  'Model.load': { args: world => [world.files.weights], run: async (_, path) => told(await api.Model.load(path)) },
  'Model.fromBytes': {
    args: world => [Uint8Array.from(readFileSync(world.files.weights))],
    run: async (_, bytes) => told(await api.Model.fromBytes(bytes))
  },
  'Model#toBytes': method(
    world => world.model,
    'toBytes',
    () => [{ optimiser: true }],
    { weight: 4 }
  ),
  'Model#save': method(
    world => world.model,
    'save',
    world => [target(world, 'own'), { optimiser: true }],
    { weight: 4 }
  ),
  'Model#session': {
    args: () => [{ rule: 'mdgl-online', optimiser: { kind: 'adam', beta1: 0.5, beta2: 0.9, epsilon: 1e-6 }, seed: 3 }],
    run: (world, given) => {
      using session = world.model.session(given)
      session.step({ cues: Uint32Array.of(1) })
      session.addLoss({ choice: { target: 0 } })
      return session.update()
    },
    changes: true
  },
  'Model#clone': { args: () => [], run: world => told(world.model.clone()), weight: 1 },
  'Model#lesion': method(
    world => world.model.clone(),
    'lesion',
    () => [{ projection: 'cells->cells', pre: Uint32Array.of(0, 1), post: [2, 3] }],
    { weight: 1 }
  ),
  'Model#dispose': method(
    world => world.model.clone(),
    'dispose',
    () => [],
    { weight: 1 }
  ),
  'weights.names': method(
    world => world.model.weights,
    'names',
    () => [],
    { weight: 1 }
  ),
  'weights.get': method(
    world => world.model.weights,
    'get',
    () => ['cells->choice']
  ),
  'weights.delays': method(
    world => world.model.weights,
    'delays',
    () => ['cells->choice']
  ),
  'weights.set': method(
    world => world.model.weights,
    'set',
    () => ['slow->cells', Float64Array.of(0.3, 0.2, 0.1)],
    { changes: true }
  ),
  'weights.set of a list': method(
    world => world.model.weights,
    'set',
    () => ['slow->cells', [0.3, 0.2, 0.1]],
    { changes: true }
  ),
  'bias.get': method(
    world => world.model.bias,
    'get',
    () => ['choice']
  ),
  'bias.set': method(
    world => world.model.bias,
    'set',
    () => ['choice', [0.5, -0.5]],
    { changes: true }
  ),
  'ProjectionValues#dense': method(
    world => world.model.weights.get('cells->choice'),
    'dense',
    () => [],
    { weight: 1 }
  ),

  // Sessions.
  'OnlineSession#step': method(
    world => world.session,
    'step',
    () => [{ cues: Uint32Array.of(0, 2, 2), noise: Float32Array.of(0.25, -1) }]
  ),
  'OnlineSession#learn': method(
    world => world.session,
    'learn',
    () => [{ choice: { target: Float64Array.of(0.5, 1), weight: 0.5 } }],
    { weight: 1 }
  ),
  'OnlineSession#apply': method(
    world => world.session,
    'apply',
    () => [],
    { changes: true, weight: 1 }
  ),
  'OnlineSession#addLoss': method(
    world => world.session,
    'addLoss',
    () => [{ choice: { target: Float64Array.of(0.5, 1), weight: 0.5 } }]
  ),
  'OnlineSession#addLoss by error': method(
    world => world.session,
    'addLoss',
    () => [{ choice: { error: [0.5, 1] } }]
  ),
  'OnlineSession#update': method(
    world => world.session,
    'update',
    () => [],
    { weight: 1, changes: true }
  ),
  'OnlineSession#state': method(
    world => world.session,
    'state',
    () => [],
    { weight: 1 }
  ),
  'OnlineSession#restore': method(
    world => world.session,
    'restore',
    world => [world.session.state()]
  ),
  'OnlineSession#reset': method(
    world => world.session,
    'reset',
    () => [],
    { weight: 1 }
  ),
  'OnlineSession#dispose': method(
    world => world.model.clone().session({ rule: 'rflo' }),
    'dispose',
    () => [],
    { weight: 1 }
  ),

  // Runs.
  // What the task gave is handed on as it is.
  makeBatch: {
    args: () => [task(), { split: 'test', size: 3, seed: 1, iteration: 2, share: { rank: 0, size: 1 } }],
    run: async (_, ...args) => void (await api.makeBatch(...(args as unknown as Parameters<typeof api.makeBatch>))),
    loose: /^\[0\]/
  },
  evaluate: plain('evaluate', world => [world.model, batch(), regularised(world)], {
    loose: LOOSE_OPTIONS,
    weight: 20
  }),
  'evaluate of values': plain('evaluate', world => [world.model, analogueBatch(), squared(world)], {
    loose: LOOSE_OPTIONS,
    weight: 20
  }),
  'evaluate by a custom loss': plain('evaluate', world => [world.model, batch(), custom(world)], {
    loose: new RegExp(`${LOOSE_OPTIONS.source}|${LOOSE_BATCH.source}`)
  }),
  simulate: plain(
    'simulate',
    world => [world.model, batch(), { ...regularised(world), rule: ruleValue(), voltage: true, inputs: true }],
    { loose: LOOSE_OPTIONS }
  ),
  'simulate, chosen units recorded': plain(
    'simulate',
    world => [
      world.model,
      batch(),
      { ...regularised(world), rule: ruleValue(), layout: 'time-trial-unit', record: recordOptions() }
    ],
    { loose: LOOSE_OPTIONS }
  ),
  gradients: plain('gradients', world => [world.model, batch(), { rule: 'bptt', ...regularised(world) }], {
    loose: LOOSE_OPTIONS,
    weight: 20
  }),
  'gradients of a rule': plain(
    'gradients',
    world => [world.model, analogueBatch(), { rule: ruleValue(), ...squared(world) }],
    {
      loose: LOOSE_OPTIONS
    }
  ),
  'gradients of given feedback': plain(
    'gradients',
    world => [world.model, batch(), { rule: modprop(), ...options(world) }],
    {
      loose: LOOSE_OPTIONS
    }
  ),
  'gradients by a custom rule': plain(
    'gradients',
    world => [world.model, batch(), { rule: customRule(), ...options(world) }],
    {
      loose: LOOSE_OPTIONS
    }
  ),
  'gradients by both': plain('gradients', world => [world.model, batch(), { rule: customRule(), ...custom(world) }], {
    loose: new RegExp(`${LOOSE_OPTIONS.source}|${LOOSE_BATCH.source}`)
  }),
  train: {
    args: world => [world.model, task(), training(world)],
    run: someTraining,
    changes: true,
    weight: 20,
    loose: /^\[1\]|signal|clipNorm|decay|regulariser|threads/
  },
  'train by a custom loss': {
    args: world => [world.model, { ...task(), loss: customLoss() }, { ...training(world), rule: adaptive() }],
    run: someTraining,
    changes: true,
    loose: /^\[1\]|signal|clipNorm|decay|regulariser|threads/
  },
  'train by a custom rule': {
    args: world => [world.model, task(), { ...training(world), rule: customRule() }],
    run: someTraining,
    changes: true,
    loose: /^\[1\]|signal|clipNorm|decay|regulariser|threads/
  },
  fit: {
    args: world => [
      world.model,
      task(),
      {
        ...training(world),
        patience: 2,
        monitor: 'loss',
        leastImprovement: 0.001,
        keepBest: true,
        checkpoint: { path: target(world, 'fit'), every: 2 }
      }
    ],
    run: async (world, ...args) => {
      const [model, given, options] = args as unknown as Parameters<typeof api.fit>
      const remembering = { ...options, onMetrics: () => world.remember() }
      const { history, stopped } = await api.fit(model, given, remembering)
      return [history.train.map(({ loss }) => loss), history.validation.map(({ loss }) => loss), stopped]
    },
    changes: true,
    loose: /^\[1\]|signal|clipNorm|decay|regulariser|threads/
  },
  predict: plain('predict', world => [world.model, batch(), options(world)], { loose: LOOSE_OPTIONS }),
  alignment: {
    args: world => [world.model, batch(), { rules: ['mdgl', ruleValue(), customRule()], ...options(world) }],
    // A rule of one's own is another function each time.
    run: async (_, ...args) =>
      (await api.alignment(...(args as unknown as Parameters<typeof api.alignment>))).map(({ all, projections }) => [
        all,
        projections
      ]),
    loose: LOOSE_OPTIONS
  },
  perturbChannels: plain('perturbChannels', world => ['mdgl', world.model.description, { 'a->b': 0.5 }]),
  channelNorms: plain('channelNorms', world => [world.model, batch(), { rule: 'mdgl', ...options(world) }], {
    loose: LOOSE_OPTIONS
  }),
  profile: {
    args: world => [
      world.model,
      batch(),
      { rule: 'mdgl', ...options(world), optimiser: { kind: 'adam' }, iterations: 1, every: 1, peaks: false }
    ],
    run: async (_, ...args) => (await api.profile(...(args as unknown as Parameters<typeof api.profile>))).loss,
    loose: LOOSE_OPTIONS
  },
  traceProfile: plain(
    'traceProfile',
    () => [
      {
        simd: 'avx2',
        precision: 'f32',
        threads: 2,
        every: 1,
        iterations: [{ begin: 0, end: 9, profiled: 1, preempted: 0, plain: 1 }],
        kernels: [],
        peaks: [],
        slices: [{ stage: 'draw', thread: 0, block: null, begin: 1, end: 2, processor: 1 }],
        loss: 1,
        gradientNorm: 1
      }
    ],
    { loose: /kernels|peaks|simd|precision|every|loss|gradientNorm|profiled|preempted|plain|block/ }
  ),

  // Statistics.
  firingRates: plain('firingRates', () => [recording(), window()], { loose: /readouts|\.trials$/ }),
  intervalVariation: plain('intervalVariation', () => [recording(), window()], { loose: /readouts|\.trials$/ }),
  spikeCounts: plain('spikeCounts', () => [recording(), window()], { loose: /readouts|\.trials$/ }),
  synchrony: plain('synchrony', () => [recording(), { ...window(), bin: 2 }], { loose: /readouts|\.trials$/ }),
  denseRecording: plain('denseRecording', () => [recording(), 'spikes', { layout: 'time-trial-unit', of: 'cells' }], {
    loose: /readouts|types|\.trials$|\.units$|\.dt$/
  }),
  normalisedError: plain('normalisedError', () => [[1, 2, 3], Float64Array.of(1, 2, 4)]),

  // Tasks and encoders.
  ...Object.fromEntries(Object.keys(presets).map(name => [name, preset(name)])),
  sumOfSines: plain('sumOfSines', () => [
    { duration: 20, frequencies: [1, 2], weights: [0.5, 1], phases: Float64Array.of(0, 1), dt: 0.5 }
  ]),
  analogueCurrent: plain('analogueCurrent', () => [
    { trials: 2, steps: 3, units: 2 },
    (a: number, b: number, c: number) => a + b * c
  ]),
  denseEvents: plain('denseEvents', () => [
    [
      [
        [0, 1],
        [2, 0]
      ]
    ],
    { layout: 'trial-time-unit', shape: [1, 2, 2] }
  ]),
  denseCurrents: plain('denseCurrents', () => [
    Float32Array.of(0.5, -1, 0, 2),
    { layout: 'time-trial-unit', shape: [2, 1, 2] }
  ]),
  binnedEvents: plain('binnedEvents', () => [
    [
      { times: [1, 2.5], units: Uint32Array.of(0, 3) },
      { times: Float64Array.of(0.5), units: [1] },
      { times: Float32Array.of(0.3, 0.7), units: Uint8Array.of(1, 2) },
      { times: BigInt64Array.of(1n, 2n), units: BigUint64Array.of(1n, 0n) }
    ],
    { duration: 10, dt: 0.1 }
  ]),
  frozenPoisson: {
    args: () => [{ units: 3, duration: 20, rate: 100, seed: 2, dt: 1 }, 2],
    run: (_, given, trials) => api.frozenPoisson(given)(trials)
  },
  poissonRates: plain('poissonRates', () => [[10, 20], { trial: 0, from: 0, to: 10, firstUnit: 1, unitsEach: 2 }]),
  populationCode: plain('populationCode', () => [
    0.5,
    { groups: 3, range: [0, 1], width: 0.2, peakRate: 100 },
    { trial: 0, from: 0, to: 10 }
  ]),
  fixedRandom: { args: () => [3, 2], run: (_, seed, part) => api.fixedRandom(seed, part).uniform() },
  'Random#uniform': random('uniform', []),
  'Random#integer': random('integer', [6]),
  'Random#normal': random('normal', []),
  'Random#permutation': random('permutation', [6]),

  // Files.
  readNpy: plain('readNpy', world => [world.files.npy], { reads: true }),
  writeNpy: plain(
    'writeNpy',
    world => [target(world, 'own.npy'), { data: Uint8Array.of(1, 0), shape: [2, 1], bool: true }],
    { weight: 4 }
  ),
  readNpz: plain('readNpz', world => [world.files.npz], { reads: true }),
  writeNpz: plain(
    'writeNpz',
    world => [target(world, 'own.npz'), { a: Float64Array.of(1), b: { data: Int16Array.of(1), shape: [1] } }],
    { weight: 4 }
  ),
  npyFromBytes: plain('npyFromBytes', world => [Uint8Array.from(readFileSync(world.files.npy))], { reads: true }),
  npyToBytes: plain('npyToBytes', () => [{ data: Uint8Array.of(1, 0), shape: [2, 1], bool: true }]),
  npzFromBytes: plain('npzFromBytes', world => [Uint8Array.from(readFileSync(world.files.npz))], { reads: true }),
  npzToBytes: plain('npzToBytes', () => [{ a: Float64Array.of(1), b: { data: Int16Array.of(1), shape: [1] } }]),
  nirFromBytes: {
    args: world => [Uint8Array.from(readFileSync(world.files.nir)), { dt: 1, timeUnit: 's', precision: 'f64' }],
    run: async (_, ...args) =>
      told(await api.nirFromBytes(...(args as unknown as Parameters<typeof api.nirFromBytes>))),
    weight: 1
  },
  nirToBytes: {
    args: () => [api.Model.create(plainDescription())],
    // HDF5 notes the time.
    run: async (_, model) => (await api.nirToBytes(model)).length,
    weight: 1
  },
  loadNir: {
    args: world => [world.files.nir, { dt: 1, timeUnit: 's', precision: 'f64' }],
    run: async (_, ...args) => told(await api.loadNir(...(args as [never]))),
    weight: 1
  },
  saveNir: {
    args: world => [api.Model.create(plainDescription()), target(world, 'own.nir')],
    run: (_, ...args) => api.saveNir(...(args as unknown as Parameters<typeof api.saveNir>)),
    weight: 1
  },
  openIdx: plain('openIdx', world => [world.files.idx]),
  openNMnist: { args: world => [world.files.digits], run: async (_, folder) => (await api.openNMnist(folder)).length },
  'EventSet#sample': {
    args: () => [0],
    run: async (world, index) => (await api.openNMnist(world.files.digits)).sample(index),
    weight: 4
  },
  'EventSet#dispose': {
    args: () => [],
    run: async world => (await api.openNMnist(world.files.digits)).dispose(),
    weight: 1
  },
  openSpikingHeidelbergDigits: {
    args: world => [world.files.spoken],
    run: async (_, path) => (await api.openSpikingHeidelbergDigits(path)).dispose(),
    weight: 1
  },

  MdglError: {
    args: () => [{ code: 'invalid', message: 'm', path: 'p', value: 1, allowed: 'a' }],
    run: (_, details) => void new api.MdglError(details),
    loose: /./
  }
}

/** What a caller sees of a model. */
function told(model: api.Model): unknown {
  using own = model
  const names = (own.description.projections ?? []).map(({ name, from, to }) => name ?? `${from}->${to}`)
  return [own.description, own.precision, names.map(name => own.weights.get(name).values)]
}
