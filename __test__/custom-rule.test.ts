import test, { type ExecutionContext } from 'ava'
import {
  alignment,
  type Batch,
  type CustomRule,
  channelNorms,
  defineRule,
  type Gradients,
  gradients,
  type Losses,
  Model,
  type NetworkDescription,
  network,
  type Precision,
  profile,
  type RuleContext,
  type RuleName,
  simulate,
  train
} from '../src/index.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { eprop, mdgl, nonlocalMdgl } from './helpers/mdgl-rules.js'
import { collect, STEPS, sides, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy', window: 20 } as const
const regulariser = { strength: 1, targetRate: 20 }
const TWINS: readonly (readonly [CustomRule, RuleName])[] = [
  [eprop, 'eprop'],
  [mdgl, 'mdgl'],
  [nonlocalMdgl, 'nl-mdgl']
]

/** Equal to so much of each projection's largest entry, and as evaluations. */
function sameGradients(
  t: ExecutionContext,
  found: Gradients<NetworkDescription, Precision>,
  expected: Gradients<NetworkDescription, Precision>,
  error: number
) {
  t.deepEqual(found.evaluation, expected.evaluation)
  let largest = 0
  for (const [name, { values }] of Object.entries(expected.projections)) {
    const own = found.projections[name]?.values ?? new Float64Array()
    const most = Math.max(...Array.from(values, Math.abs))
    largest = Math.max(largest, most)
    t.is(own.length, values.length)
    t.true(
      values.every((value, i) => Math.abs((own[i] ?? Number.NaN) - value) <= error * most),
      name
    )
  }
  t.true(largest > 0)
  t.deepEqual(found.bias, expected.bias)
}

for (const [rule, name] of TWINS) {
  for (const [precision, error] of [
    ['f64', 1e-12],
    ['f32', 1e-4]
  ] as const) {
    test(`${rule.name} in TypeScript is the engine's (${precision})`, async t => {
      const model = Model.create(smallNetwork(), { precision })
      const [batch, options] = [smallBatch(Array.from({ length: 19 }, (_, i) => i % 2)), { loss, seed: 3 }]
      for (const more of [{}, { regulariser }]) {
        const found = await gradients(model, batch, { rule, ...options, ...more })
        sameGradients(t, found, await gradients(model, batch, { rule: name, ...options, ...more }), error)
      }
    })
  }
}

test('trials of different lengths end where they end', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const length = [STEPS, STEPS - 7, 30, 41]
  const rates = length.map((to, trial) => ({ trial, units: [0, 10 + trial] as const, from: 0, to, rate: 100 }))
  const batch: Batch<'cues'> = { length, inputs: { cues: { rates } }, targets: [0, 1, 1, 0] }
  for (const [rule, name] of TWINS) {
    sameGradients(
      t,
      await gradients(model, batch, { rule, loss, regulariser }),
      await gradients(model, batch, { rule: name, loss, regulariser }),
      1e-12
    )
  }
})

test('training with a rule in TypeScript is training with the engine’s', async t => {
  for (const [rule, name] of TWINS) {
    const [own, theirs] = [
      Model.create(smallNetwork(), { precision: 'f64' }),
      Model.create(smallNetwork(), { precision: 'f64' })
    ]
    const options = { iterations: 4, seed: 2, validateEvery: 2, freeze: ['back'] as const }
    const metrics = await collect(train(own, sides, { ...options, rule }))
    const expected = await collect(train(theirs, sides, { ...options, rule: name }))
    t.is(metrics.length, 6)
    for (const [i, { msPerIteration, ...found }] of metrics.entries()) {
      const { msPerIteration: _, readouts, ...wanted } = expected[i] ?? {}
      t.deepEqual(found.readouts, { choice: { loss: found.loss, accuracy: found.accuracy } })
      t.deepEqual(Object.keys(readouts ?? {}), ['choice'])
      for (const [key, value] of Object.entries(wanted)) {
        const given = found[key as keyof typeof found]
        if (typeof value === 'number') t.true(Math.abs((given as number) - value) <= 1e-9 * Math.abs(value), key)
        else t.deepEqual(given, value)
      }
    }
    const weights = own.weights.get('cells->cells').values
    const wanted = theirs.weights.get('cells->cells').values
    t.true(weights.every((weight, i) => Math.abs(weight - (wanted[i] ?? Number.NaN)) < 1e-8))
    t.deepEqual(own.weights.get('back').values, theirs.weights.get('back').values)
    t.notDeepEqual(weights, Model.create(smallNetwork(), { precision: 'f64' }).weights.get('cells->cells').values)
  }
})

test('a rule in TypeScript has an alignment', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const found = await alignment(model, smallBatch(), { rules: [mdgl, 'mdgl', eprop], loss })
  t.deepEqual(
    found.map(({ rule }) => ('kind' in rule ? rule.name : rule.estimator)),
    ['MDGL', 'backward', 'e-prop']
  )
  const [own, theirs, other] = found.map(({ all }) => all.cosine ?? Number.NaN)
  t.true(Math.abs((own ?? 0) - (theirs ?? 1)) < 1e-12)
  t.true(Math.abs((own ?? 0) - (other ?? 0)) > 1e-6)
})

test('the conventions of a network are those of its rules', async t => {
  const description = network({ conventions: 'bellec2020', seed: 2 })
    .input('cues', 20)
    .alif('cells', 12, { threshold: 0.02, adaptationTimeConstant: 100 })
    .readout('choice', 2)
    .project('cues', 'cells', { density: 0.6 })
    .project('cells', 'cells', { density: 0.3 })
    .project('cells', 'choice', { density: 1 })
    .build()
  const model = Model.create(description, { precision: 'f64' })
  const found = await gradients(model, smallBatch(), { rule: eprop, loss, regulariser })
  sameGradients(t, found, await gradients(model, smallBatch(), { rule: 'eprop', loss, regulariser }), 1e-12)
})

/** ½ Σ (y − 0.3)², the mean over trials, computed here. */
const custom: Losses = {
  kind: 'custom',
  evaluate: ({ values, trials }) => ({
    loss: Array.from(values).reduce((sum, y) => sum + (0.5 * (y - 0.3) ** 2) / trials, 0),
    delta: Float64Array.from(values, y => (y - 0.3) / trials),
    accuracy: 0.25
  })
}

test('losses and rules may both be TypeScript', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  for (const [rule, name] of TWINS) {
    sameGradients(
      t,
      await gradients(model, smallBatch(), { rule, loss: custom, regulariser }),
      await gradients(model, smallBatch(), { rule: name, loss: custom, regulariser }),
      1e-12
    )
  }
  const [metrics] = await collect(train(model, { ...sides, loss: custom }, { rule: mdgl, iterations: 1 }))
  t.is(metrics?.accuracy, 0.25)
})

test('a rule is shown what the network did', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const batch = smallBatch()
  let seen: RuleContext | undefined
  const rule = defineRule({
    name: 'look',
    signal: context => {
      seen = context
      return context.learningSignal
    }
  })
  await gradients(model, batch, { rule, loss, seed: 3 })
  const { shape, learningSignal, readout, voltage, spikes } = await simulate(model, batch, {
    rule: 'eprop',
    loss,
    voltage: true,
    seed: 3
  })
  t.deepEqual(seen?.shape, shape)
  t.deepEqual(seen?.learningSignal, learningSignal)
  t.deepEqual(seen?.readout, readout)
  t.deepEqual(seen?.voltage, voltage)
  t.is(seen?.batch, batch)
  const z = new Uint8Array(shape.trials * shape.steps * shape.neurons)
  for (let i = 0; i < spikes.length; i += 3) {
    const [trial = 0, step = 0, neuron = 0] = spikes.subarray(i, i + 3)
    z[(trial * shape.steps + step) * shape.neurons + neuron] = 1
  }
  t.true(spikes.length > 0)
  t.deepEqual(seen?.z, z)
  t.deepEqual(seen?.types, ['inhibitory', 'excitatory'])
  t.deepEqual([...(seen?.cells.type ?? [])], [...Array(6).fill(0), ...Array(34).fill(1)])
  t.is(seen?.cells.alpha[0], Math.exp(-1 / 20))
  t.is(seen?.cells.rho[35], Math.exp(-1 / 200))
  t.deepEqual([...(seen?.cells.beta ?? [])], [...Array(30).fill(0), ...Array(10).fill(1.8)])
  t.deepEqual([...(seen?.cells.kappa ?? [])], Array(2).fill(Math.exp(-1 / 20)))
  t.deepEqual(
    Object.entries(seen?.projections ?? {}).map(([name, { stage }]) => [name, stage]),
    [
      ['cues->cells', 'input'],
      ['cues->slow', 'input'],
      ['cells->cells', 'recurrent'],
      ['cells->slow', 'recurrent'],
      ['back', 'recurrent'],
      ['cells->choice', 'readout']
    ]
  )
  const back = model.weights.get('back')
  t.deepEqual(seen?.projections.back?.weights, back.values)
  t.deepEqual(
    seen?.projections.back?.pre,
    back.pre.map(unit => unit + 30)
  )
  t.deepEqual(seen?.projections.back?.post, back.post)
  // δ of the last 20 steps is that of a softmax over two units: they sum to 0, and none is 0.
  const error = seen?.error ?? new Float64Array()
  for (let i = 0; i < error.length; i += 2) {
    const counts = (i / 2) % STEPS >= STEPS - 20
    t.is((error[i] ?? 0) !== 0, counts)
    t.true(Math.abs((error[i] ?? 0) + (error[i + 1] ?? 0)) < 1e-15)
  }
})

test('what a rule writes into what it is shown changes nothing', async t => {
  const model = Model.create(smallNetwork())
  const vandal = defineRule({
    name: 'vandal',
    signal: context => {
      const signal = context.learningSignal.slice()
      t.throws(() => Object.assign(context, { psi: new Float32Array() }), { instanceOf: TypeError })
      t.throws(() => Object.assign(context.cells, { alpha: new Float64Array() }), { instanceOf: TypeError })
      for (const { weights, pre } of Object.values(context.projections)) {
        weights.fill(7)
        pre.fill(0)
      }
      for (const array of [context.psi, context.voltage, context.error, context.learningSignal, context.z])
        array.fill(1)
      context.cells.alpha.fill(0)
      return signal
    }
  })
  const found = await gradients(model, smallBatch(), { rule: vandal, loss })
  t.deepEqual(found, await gradients(model, smallBatch(), { rule: eprop, loss }))
})

test('a rule may take its time', async t => {
  const model = Model.create(smallNetwork())
  const slow = defineRule({
    name: 'slow',
    signal: async ({ learningSignal }) => {
      await new Promise(resolve => setTimeout(resolve, 20))
      return learningSignal
    }
  })
  const found = await gradients(model, smallBatch(), { rule: slow, loss })
  t.deepEqual(found, await gradients(model, smallBatch(), { rule: eprop, loss }))
})

const signalOf = (signal: unknown) => defineRule({ name: 'mine', signal: signal as CustomRule['signal'] })
const BAD: readonly (readonly [string, CustomRule, string | RegExp])[] = [
  ['of the wrong length', signalOf(() => new Float64Array(5)), "signal() of rule 'mine'"],
  ['of the wrong kind', signalOf(() => [1, 2, 3]), "signal() of rule 'mine'"],
  ['that is missing', signalOf(() => undefined), "signal() of rule 'mine'"],
  [
    'with NaN',
    signalOf(({ psi }: RuleContext) => Float64Array.from(psi, (_, i) => (i === 40 * STEPS + 83 ? Number.NaN : 0))),
    "signal() of rule 'mine' at trial 1, step 2, neuron 3"
  ],
  [
    'over shared memory',
    signalOf(({ psi }: RuleContext) => new Float64Array(new SharedArrayBuffer(8 * psi.length))),
    "signal() of rule 'mine'"
  ]
]

for (const [what, rule, path] of BAD) {
  test(`a signal ${what} is refused, and nothing is lost`, async t => {
    const model = Model.create(smallNetwork())
    await rejectsInvalidAt(t, path, () => gradients(model, smallBatch(), { rule, loss }))
    const before = model.weights.get('cells->cells')
    await rejectsInvalidAt(t, path, () => collect(train(model, sides, { rule })))
    t.deepEqual(model.weights.get('cells->cells'), before)
    // The model is free again.
    t.is((await collect(train(model, sides, { rule: 'eprop' }))).length, 3)
  })
}

test('what a rule throws passes through; the model is as the last iteration left it, and training goes on from there', async t => {
  const model = Model.create(smallNetwork())
  let calls = 0
  const failing = (error: unknown) =>
    defineRule({
      name: 'failing',
      signal: ({ learningSignal }) => {
        calls += 1
        if (calls === 3) throw error
        return learningSignal
      }
    })
  const reference = Model.create(smallNetwork())
  await collect(train(reference, sides, { rule: eprop, iterations: 2 }))
  const mine = new RangeError('no')
  const found = await t.throwsAsync(collect(train(model, sides, { rule: failing(mine), iterations: 5 })))
  t.is(found, mine)
  t.deepEqual(model.weights.get('cells->cells'), reference.weights.get('cells->cells'))
  t.is((await collect(train(model, sides, { rule: eprop, iterations: 2 }))).length, 2)
  calls = 2
  t.is(await t.throwsAsync(gradients(model, smallBatch(), { rule: failing(mine), loss })), mine)
  const rejecting = defineRule({ name: 'rejecting', signal: () => Promise.reject(mine) })
  t.is(await t.throwsAsync(gradients(model, smallBatch(), { rule: rejecting, loss })), mine)
})

test('a rule that never answers is left when the signal aborts', async t => {
  const model = Model.create(smallNetwork())
  const before = model.weights.get('cells->cells')
  for (const run of [
    (rule: CustomRule, signal: AbortSignal) => gradients(model, smallBatch(), { rule, loss, signal }),
    (rule: CustomRule, signal: AbortSignal) => collect(train(model, sides, { rule, signal }))
  ]) {
    const controller = new AbortController()
    const reason = new Error('enough')
    const rule = defineRule({
      name: 'silent',
      signal: () => {
        setImmediate(() => controller.abort(reason))
        return new Promise<Float64Array>(() => undefined)
      }
    })
    t.is(await t.throwsAsync(run(rule, controller.signal)), reason)
  }
  t.deepEqual(model.weights.get('cells->cells'), before)
  t.is((await collect(train(model, sides, { rule: 'eprop' }))).length, 3)
})

test('leaving the loop while a rule thinks ends the run', async t => {
  const model = Model.create(smallNetwork())
  let asked = () => {}
  const thinking = new Promise<void>(resolve => {
    asked = resolve
  })
  const rule = defineRule({
    name: 'thinking',
    signal: () => {
      asked()
      return new Promise<Float64Array>(() => undefined)
    }
  })
  const training = train(model, sides, { rule })
  const next = training.next()
  await thinking
  t.deepEqual(await training.return(), { done: true, value: undefined })
  t.deepEqual(await next, { done: true, value: undefined })
  t.is((await collect(train(model, sides, { rule: 'eprop' }))).length, 3)
})

test('between two iterations, and while a rule thinks, the model can be read and saved', async t => {
  const model = Model.create(smallNetwork())
  const initial = model.weights.get('cells->cells').values
  const rule = defineRule({
    name: 'curious',
    signal: async ({ learningSignal, projections }) => {
      t.deepEqual(projections['cells->cells']?.weights, model.weights.get('cells->cells').values)
      const { norm } = await gradients(model, smallBatch(), { rule: 'bptt', loss })
      t.true(norm > 0)
      t.throws(() => model.weights.set('cells->cells', initial), { message: /being trained/ })
      return learningSignal
    }
  })
  const reference = Model.create(smallNetwork())
  const wanted = await collect(train(reference, sides, { rule: eprop }))
  const found = await collect(train(model, sides, { rule }))
  t.deepEqual(
    found.map(({ loss }) => loss),
    wanted.map(({ loss }) => loss)
  )
  t.deepEqual(model.weights.get('cells->cells'), reference.weights.get('cells->cells'))
})

test('the number of threads changes nothing', async t => {
  const model = Model.create(smallNetwork())
  const batch = smallBatch(Array.from({ length: 40 }, (_, i) => i % 2))
  const [one, three] = await Promise.all([1, 3].map(threads => gradients(model, batch, { rule: mdgl, loss, threads })))
  t.deepEqual(one, three)
})

test('a rule that is none is refused by name', t => {
  const signal = () => new Float64Array()
  invalidAt(t, 'rule.name', () => defineRule({ name: '', signal }))
  invalidAt(t, 'rule.signal', () => defineRule({ name: 'x', signal: 5 as never }))
  invalidAt(t, 'rule.gamma', () => defineRule({ name: 'x', signal, gamma: 1 } as never))
  invalidAt(t, 'rule.signal', () =>
    train(Model.create(smallNetwork()), sides, { rule: { kind: 'custom', name: 'x' } as never })
  )
  t.true(Object.isFrozen(defineRule({ name: 'x', signal })))
})

test('what looks like a rule of your own is told how to become one, and a missing rule what it may be', t => {
  const model = Model.create(smallNetwork())
  const signal = () => new Float64Array()
  for (const rule of [signal, { name: 'x', signal }]) {
    const error = invalidAt(t, 'rule', () => train(model, sides, { rule: rule as never }))
    t.regex(error.message, /defineRule\(\{ name, signal \}\)/)
  }
  t.regex(
    invalidAt(t, 'rule', () => train(model, sides, {} as never)).message,
    /is undefined; allowed: a published rule's name/
  )
})

test('where a rule of your own has no place it is refused', async t => {
  const model = Model.create(smallNetwork())
  const given = eprop as never
  await rejectsInvalidAt(t, 'rule', () => simulate(model, smallBatch(), { rule: given, loss }))
  await rejectsInvalidAt(t, 'rule', () => channelNorms(model, smallBatch(), { rule: given, loss }))
  await rejectsInvalidAt(t, 'rule', () => profile(model, smallBatch(), { rule: given, loss }))
  const error = invalidAt(t, 'rule', () => model.session({ rule: given }))
  t.regex(error.message, /train, gradients and alignment/)
})
