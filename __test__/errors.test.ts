import test, { type ExecutionContext } from 'ava'
import {
  type Batch,
  evaluate,
  evidenceAccumulation,
  expandRule,
  gradients,
  MdglError,
  Model,
  network,
  rules,
  simulate,
  type Task,
  type TrainOptions,
  train
} from '../src/index.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const model = Model.create(smallNetwork())
const loss = { kind: 'cross-entropy' } as const

/** Values that come from JavaScript, where the compiler is not looking. */
const loose = (value: unknown) => value as never

const builder = network().input('in', 2).lif('cells', 3).readout('out', 2)

test('an error names option, value and what is allowed', t => {
  const error = t.throws(() => network().lif('cells', -3), { instanceOf: MdglError })
  t.is(error.message, 'populations.cells.size is -3; allowed: a whole number from 1 to 16777216.')
  t.like(error, { name: 'MdglError', code: 'invalid', path: 'populations.cells.size', value: -3 })
})

const badNetworks: Record<string, [path: string | RegExp, build: () => unknown]> = {
  'a negative size': ['inputs.in.size', () => network().input('in', -1)],
  'a fractional size': ['readouts.out.size', () => network().readout('out', 1.5)],
  'a size that is no number': ['populations.x.size', () => network().lif('x', Number.NaN)],
  'an enormous size': ['populations.x.size', () => network().alif('x', 1e12)],
  'an empty name': ['populations.name', () => network().lif('', 1)],
  'a name taken twice': ['populations.name', () => network().input('x', 1).lif('x', 1)],
  'a fractional seed': ['seed', () => network({ seed: 0.5 })],
  'a step of 0': ['dt', () => network({ dt: 0 })],
  'a threshold of 0': ['populations.x.threshold', () => network().lif('x', 1, { threshold: 0 })],
  'too few values': [
    'populations.x.membraneTimeConstant',
    () => network().lif('x', 3, { membraneTimeConstant: [1, 2] })
  ],
  'a negative adaptation strength': [
    'populations.x.adaptationStrength',
    () => network().alif('x', 1, { adaptationStrength: -1 })
  ],
  'one bad value': ['populations.x.dampening[1]', () => network().lif('x', 2, { dampening: [1, Number.NaN] })],
  'an unknown option': ['populations.x.treshold', () => network().lif('x', 1, loose({ treshold: 1 }))],
  'adaptation of LIF neurons': [
    'populations.x.adaptationStrength',
    () => network().lif('x', 1, loose({ adaptationStrength: 1 }))
  ],
  'a name given twice': ['options.size', () => network().lif('x', 1, loose({ size: 2 }))],
  'a model of another method': ['options.model', () => network().lif('x', 1, loose({ model: 'rate' }))],
  'ends given twice': ['options.from', () => builder.project('in', 'cells', loose({ density: 1, from: 'cells' }))],
  'signs that do not add up': [
    'inputs.in.sign',
    () => network().input('in', 4, { sign: { excitatory: 3, inhibitory: 2 } })
  ],
  'a density above 1': ['projections.in->cells.density', () => builder.project('in', 'cells', { density: 1.1 })],
  'a density of 0': ['projections.in->cells.density', () => builder.project('in', 'cells', { density: 0 })],
  'an unknown population': [
    'projections.in->nowhere.to',
    () => builder.project('in', loose('nowhere'), { density: 1 })
  ],
  'an input to a readout': ['projections.in->out.to', () => builder.project('in', loose('out'), { density: 1 })],
  'neither density nor connections': ['projections.in->cells', () => builder.project('in', 'cells', loose({}))],
  'a delay to a readout': [
    'projections.cells->out.delay',
    () => builder.project('cells', 'out', { density: 1, delay: 2 }).build()
  ],
  'a NaN weight': [
    'projections.in->cells.connections.values[0]',
    () => builder.project('in', 'cells', { connections: { pre: [0], post: [0], values: [Number.NaN] } })
  ],
  'a synapse out of range': [
    'projections.in->cells.connections.pre[0]',
    () => builder.project('in', 'cells', { connections: { pre: [2], post: [0], values: [1] } })
  ],
  'a synapse twice': [
    /connections/,
    () => builder.project('in', 'cells', { connections: { pre: [1, 1], post: [0, 0], values: [1, 1] } }).build()
  ],
  'a weight against its sign': [
    /connections/,
    () =>
      network()
        .input('in', 1, { sign: 'inhibitory' })
        .lif('cells', 1)
        .project('in', 'cells', { connections: { pre: [0], post: [0], values: [1] } })
        .build()
  ],
  'an unknown unit in a type': ['types.t.cells', () => builder.type('t', { cells: [3] })],
  'a range that goes too far': ['types.t.cells', () => builder.type('t', { cells: { from: 0, to: 4 } })],
  'types that leave a neuron out': [/types/, () => builder.type('t', { cells: [0, 1] }).build()],
  'types that overlap': [
    /types/,
    () =>
      builder
        .type('t', { cells: 'all' })
        .type('u', { cells: [0] })
        .build()
  ],
  'two channels that are one': [
    /channels/,
    () =>
      builder
        .channel({ name: 'one', from: 'cells', to: 'cells' })
        .channel({ name: 'two', from: 'cells', to: 'cells', gain: 1 })
        .build()
  ],
  'plain JSON with a negative size': [
    'populations.cells.size',
    () => Model.create({ schema: 'mdgl-network/1', populations: [{ name: 'cells', size: -1, model: 'lif' }] })
  ],
  'plain JSON with an unknown field': [
    'description.population',
    () => Model.create(loose({ schema: 'mdgl-network/1', population: [] }))
  ],
  'a misspelt option': ['options.sed', () => network(loose({ sed: 1 }))],
  'options that are none': ['options', () => network(loose(5))],
  'no sign': ['inputs.in.sign', () => network().input('in', 2, loose({ sign: null }))],
  'no threshold': ['populations.x.threshold', () => network().lif('x', 2, loose({ threshold: null }))],
  'a channel that is none': ['channels', () => builder.channel(loose(undefined))],
  'a type without members': ['types.A', () => builder.type('A', loose(undefined))],
  'a type of misspelt members': ['types.A.cells', () => builder.type('A', loose({ cells: 'al' }))],
  'connections without synapses': [
    'projections.in->cells.connections.pre',
    () => builder.project('in', 'cells', loose({ connections: {} }))
  ],
  'plain JSON with a part that is none': [
    'description.populations[0]',
    () => Model.create(loose({ schema: 'mdgl-network/1', populations: [null] }))
  ],
  'another schema': ['description.schema', () => Model.create(loose({ schema: 'mdgl-network/2', populations: [] }))]
}

for (const [what, [path, build]] of Object.entries(badNetworks)) {
  test(`a network is refused: ${what}`, t => {
    invalidAt(t, path, build)
  })
}

function detached<T extends Float64Array | Uint32Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] })
  return array
}

const shared = (bytes: number) => new SharedArrayBuffer(bytes)

const badBatches: Record<string, [path: string | RegExp, batch: unknown]> = {
  'a segment beyond the trial': ['batch.inputs.cues.rates[0].to', withRate({ to: 61 })],
  'a segment in an unknown trial': ['batch.inputs.cues.rates[0].trial', withRate({ trial: 4 })],
  'units beyond the population': ['batch.inputs.cues.rates[0].units[1]', withRate({ units: [0, 21] })],
  'a negative rate': ['batch.inputs.cues.rates[0].rate', withRate({ rate: -1 })],
  'a segment that ends before it starts': ['batch.inputs.cues.rates[0].from', withRate({ from: 20, to: 10 })],
  'an event beyond the trial': [/^batch\.inputs\.cues\[1\]\.step/, withEvents(new Uint32Array([0, 59, 0, 0, 60, 0]))],
  'an event in a negative step': ['batch.inputs.cues.events[0][1]', withEvents([[0, -1, 0]])],
  'an event of an unknown unit': [/^batch\.inputs\.cues\[0\]\.unit/, withEvents([[0, 1, 20]])],
  'half a triple': ['batch.inputs.cues.events', withEvents(new Uint32Array(4))],
  'detached events': ['batch.inputs.cues.events', withEvents(detached(new Uint32Array(3)))],
  'shared events': ['batch.inputs.cues.events', withEvents(new Uint32Array(shared(12)))],
  'detached values': ['batch.inputs.cues.analogue', withInput({ analogue: detached(new Float64Array(4 * 60 * 20)) })],
  'shared values': ['batch.inputs.cues.analogue', withInput({ analogue: new Float64Array(shared(4 * 60 * 20 * 8)) })],
  'too few values': [/^batch\.inputs\.cues/, withInput({ analogue: new Float64Array(7) })],
  'values that are no numbers': [
    /^batch\.inputs\.cues/,
    withInput({ analogue: new Float64Array(4 * 60 * 20).fill(Number.NaN) })
  ],
  'no inputs': ['batch.inputs', { length: 60, targets: [0] }],
  'a segment without units': ['batch.inputs.cues.rates[0].units', withRate({ units: undefined })],
  'a segment that is none': ['batch.inputs.cues.rates[0]', withInput({ rates: [null] })],
  'an event that is none': ['batch.inputs.cues.events[0]', withEvents([null])],
  'two kinds of input': ['batch.inputs.cues', withInput({ events: [], rates: [] })],
  'targets that are a number': ['batch.targets', { ...smallBatch(), trials: 4, targets: 7 }],
  'an unknown input': ['batch.inputs', { ...smallBatch(), inputs: { clues: { rates: [] } } }],
  'no kind of input': ['batch.inputs.cues', withInput({})],
  'a negative length': ['batch.length', { ...smallBatch(), length: -5 }],
  'a length of 0': ['batch.length', { ...smallBatch(), length: 0 }],
  'lengths for other trials': ['batch.length', { ...smallBatch(), trials: 4, length: [60, 60] }],
  'a class out of range': ['batch.targets.choice[1]', { ...smallBatch(), targets: [0, 2, 0, 0] }],
  'a class that is no whole number': ['batch.targets.choice[0]', { ...smallBatch(), targets: [0.5, 0, 0, 0] }],
  'too few classes': ['batch.targets.choice', { ...smallBatch(), trials: 4, targets: [0, 1] }],
  'detached classes': ['batch.targets.choice', { ...smallBatch(), trials: 4, targets: detached(new Uint32Array(4)) }],
  'shared classes': ['batch.targets.choice', { ...smallBatch(), trials: 4, targets: new Uint32Array(shared(16)) }],
  'no targets': ['batch.targets.choice', { ...smallBatch(), trials: 4, targets: undefined }],
  'not a batch': ['batch', null]
}

function withInput(cues: unknown) {
  return { ...smallBatch(), inputs: { cues } }
}

function withEvents(events: unknown) {
  return withInput({ events })
}

function withRate(change: object) {
  return withInput({ rates: [{ trial: 0, units: [0, 20], from: 0, to: 60, rate: 10, ...change }] })
}

for (const [what, [path, batch]] of Object.entries(badBatches)) {
  test(`a batch is refused: ${what}`, async t => {
    await rejectsInvalidAt(t, path, () => evaluate(model, batch as Batch, { loss }))
    await stillWorks(t)
  })
}

async function stillWorks(t: ExecutionContext): Promise<void> {
  t.true((await evaluate(model, smallBatch(), { loss })).loss > 0)
}

const badOptions: Record<string, [path: string, options: Partial<TrainOptions<typeof model.description>>]> = {
  'an unknown rule': ['rule', { rule: loose('mdlg') }],
  'an unknown option': ['options.iteration', loose({ iteration: 3 })],
  'iterations below 1': ['options.iterations', { iterations: 0 }],
  'a fractional batch size': ['options.batchSize', { batchSize: 1.5 }],
  'a negative seed': ['options.seed', { seed: -1 }],
  'no threads': ['options.threads', { threads: 0 }],
  'an unknown projection': ['options.freeze', { freeze: [loose('cells')] }],
  'a signal that is none': ['options.signal', { signal: loose({ aborted: true }) }],
  'a target without validations': ['options.stopAt', { stopAt: { loss: 0.1 }, validateEvery: 0 }],
  'a text for a list': ['options.freeze', { freeze: loose('back') }],
  'no optimiser': ['optimiser', { optimiser: loose(null) }],
  'an unknown optimiser': ['optimiser.kind', { optimiser: loose({ kind: 'sgd' }) }],
  'a negative learning rate': ['optimiser.learningRate', { optimiser: { kind: 'adam', learningRate: -1 } }],
  'a beta of 1': ['optimiser.beta1', { optimiser: { kind: 'adam', beta1: 1 } }],
  'beta of gradient descent': ['optimiser.beta1', { optimiser: loose({ kind: 'gradient-descent', beta1: 0.9 }) }],
  'a regulariser without a rate': ['regulariser.targetRate', { regulariser: loose({ strength: 1 }) }]
}

for (const [what, [path, options]] of Object.entries(badOptions)) {
  test(`training is refused at once: ${what}`, t => {
    invalidAt(t, path, () => train(model, sides, { rule: 'mdgl', ...options }))
  })
}

test('training without a task, or with one that makes no batches, is refused at once', t => {
  invalidAt(t, 'task', () => train(model, loose(undefined), { rule: 'mdgl' }))
  invalidAt(t, 'task.batch', () => train(model, loose({ ...sides, batch: undefined }), { rule: 'mdgl' }))
})

test('values of a squared error do not say how many trials there are', async t => {
  const batch = { ...smallBatch(), targets: new Array(60 * 2).fill(0) }
  const squared = { loss: { kind: 'squared-error' } } as const
  await rejectsInvalidAt(t, 'batch.trials', () => evaluate(model, { ...batch, inputs: {} }, squared))
  t.true((await evaluate(model, { ...batch, inputs: {}, trials: 1 }, squared)).loss >= 0)
})

test('rules are refused: unknown values and combinations without an equation', t => {
  for (const hops of [65, 1.5, -1, '1']) {
    invalidAt(t, 'rule.hops', () => expandRule(loose({ ...rules.mdglExact, hops })))
  }
  invalidAt(t, 'rule.channels.kernel', () => expandRule({ ...rules.mdglCell, hops: 2 }))
  invalidAt(t, 'rule.feedback', () => expandRule(loose({ ...rules.eprop, feedback: 'random' })))
  invalidAt(t, 'rule.feedback', () => expandRule({ ...rules.bptt, feedback: { random: {} } }))
  invalidAt(t, 'rule.feedback.random.density', () =>
    expandRule({ ...rules.eprop, feedback: { random: { density: 0 } } })
  )
  invalidAt(t, 'rule.feedback.random.seed', () => expandRule({ ...rules.eprop, feedback: { random: { seed: -1 } } }))
  invalidAt(t, 'rule.feedback.random', () => expandRule(loose({ ...rules.mdgl, feedback: { random: 1 } })))
  invalidAt(t, 'rule.estimator', () => expandRule(loose({ ...rules.mdgl, estimator: 'rtrl' })))
  invalidAt(t, 'rule.estimator', () => expandRule({ ...rules.bptt, estimator: 'online' }))
  invalidAt(t, 'rule.channels', () => expandRule({ ...rules.bptt, channels: 'network' }))
  invalidAt(t, 'rule.channels[0]', () => expandRule(loose({ ...rules.mdgl, channels: [null] })))
  invalidAt(t, 'rule.speed', () => expandRule(loose({ ...rules.mdgl, speed: 1 })))
})

test('an error shows a short list and the numbers of an object', t => {
  const sign = { excitatory: 3, inhibitory: 2 }
  const { message } = invalidAt(t, 'inputs.in.sign', () => network().input('in', 4, { sign }))
  t.regex(message, /^inputs\.in\.sign is an object \{excitatory: 3, inhibitory: 2\}; allowed: /)
  const short = invalidAt(t, 'populations.x.threshold', () => network().lif('x', 3, { threshold: [1, 2] }))
  t.regex(short.message, /^populations\.x\.threshold is \[1, 2\]; allowed: /)
})

test('losses are refused: unknown kinds, readouts and windows', async t => {
  const attempt = (given: unknown) => () => evaluate(model, smallBatch(), { loss: loose(given) })
  await rejectsInvalidAt(t, 'loss.kind', attempt({ kind: 'hinge' }))
  await rejectsInvalidAt(t, 'loss', attempt({ chioce: loss }))
  await rejectsInvalidAt(t, 'loss.choice', attempt({ choice: null }))
  await rejectsInvalidAt(t, 'loss.window', attempt({ kind: 'cross-entropy', window: -1 }))
  await rejectsInvalidAt(t, 'loss.window', attempt({ kind: 'cross-entropy', window: 61 }))
  await rejectsInvalidAt(t, 'loss.evaluate', attempt({ kind: 'custom' }))
  await rejectsInvalidAt(t, 'loss.kind', attempt({ window: 5 }))
  const beyond = await t.throwsAsync(attempt({ kind: 'cross-entropy', window: 61 }), { instanceOf: MdglError })
  t.is(beyond.message, 'loss.window is 61; allowed: at most the shortest trial, 60 ms.')
  const foreign = { ...smallBatch(), trials: 4, targets: { choice: [0, 1, 1, 0], other: [0, 1, 1, 0] } }
  await rejectsInvalidAt(t, 'batch.targets', () => evaluate(model, foreign, { loss: { choice: loss } }))
})

test('custom losses are refused: δ of a wrong length, shared, or not finite', async t => {
  const attempt = (make: (length: number) => unknown) => () =>
    gradients(model, smallBatch(), {
      rule: 'mdgl',
      loss: { kind: 'custom', evaluate: ({ values }) => ({ loss: 1, delta: loose(make(values.length)) }) }
    })
  await rejectsInvalidAt(
    t,
    'loss.choice.delta',
    attempt(() => new Float64Array(3))
  )
  await rejectsInvalidAt(
    t,
    'loss.choice.delta',
    attempt(length => new Float64Array(shared(length * 8)))
  )
  await rejectsInvalidAt(
    t,
    'loss.choice.delta',
    attempt(length => new Array(length).fill(0))
  )
  await rejectsInvalidAt(
    t,
    /^delta/,
    attempt(length => new Float64Array(length).fill(Number.NaN))
  )
})

test('an aborted signal rejects with its reason, whatever it is', async t => {
  const reason = { any: 'thing' }
  const signal = AbortSignal.abort(reason)
  const calls = [
    () => evaluate(model, smallBatch(), { loss, signal }),
    () => gradients(model, smallBatch(), { rule: 'mdgl', loss, signal }),
    () => collect(train(model, sides, { rule: 'mdgl', signal }))
  ]
  for (const call of calls) t.is(await t.throwsAsync<never>(call, { any: true } as never), reason as never)
  await stillWorks(t)
})

test('a task that gives nonsense rejects', async t => {
  const broken: Task = { ...sides, batch: () => loose('nonsense') }
  await rejectsInvalidAt(t, 'batch', () => collect(train(Model.create(smallNetwork()), broken, { rule: 'mdgl' })))
})

test('options of single runs are refused', async t => {
  await rejectsInvalidAt(t, 'options.regularizer', () =>
    evaluate(model, smallBatch(), loose({ loss, regularizer: null }))
  )
  await rejectsInvalidAt(t, 'options.threads', () => simulate(model, smallBatch(), { threads: 1.5 }))
  await rejectsInvalidAt(t, 'options.loss', () => simulate(model, smallBatch(), { rule: 'mdgl' }))
  await rejectsInvalidAt(t, 'options.loss', () => simulate(model, smallBatch(), { loss }))
  const regulariser = { strength: 1, targetRate: 10 }
  await rejectsInvalidAt(t, 'options.regulariser', () => simulate(model, smallBatch(), { regulariser }))
  t.throws(() => train(model, sides, { rule: 'mdgl', stopAt: { accuracy: 95 }, validateEvery: 1 }), {
    message: 'options.stopAt.accuracy is 95; allowed: 0 to 1, a fraction of trials.'
  })
  await rejectsInvalidAt(t, 'options.seed', () => gradients(model, smallBatch(), { rule: 'mdgl', loss, seed: -1 }))
})

test('options of evidence accumulation are refused', t => {
  invalidAt(t, 'options.cues', () => evidenceAccumulation({ cues: 4 }))
  invalidAt(t, 'options.cueDuration', () => evidenceAccumulation({ cueDuration: 200 }))
})
