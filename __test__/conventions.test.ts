import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import {
  expandRule,
  gradients,
  Model,
  type NetworkDescription,
  network,
  type Rule,
  ruleNames,
  rules,
  simulate,
  train
} from '../src/index.js'
import { verifyEprop } from '../src/verify/eprop.js'
import { parseEpropFixture } from '../src/verify/eprop-fixture.js'
import { jsonLines, mdgl, temporaryFolder } from './helpers/cli.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'

const file = (name: string) => fileURLToPath(new URL(`./fixtures/eprop2020/${name}`, import.meta.url))
const REGRESSION = file('reference/eprop2020-regression.json')
const CLASSIFICATION = file('eprop2020-classification-small.json')

const build = (options: { inputGain?: 'one' | 'one-minus-alpha' } = {}) =>
  network({ conventions: 'bellec2020', ...options })
    .input('in', 3)
    .lif('regular', 4, { threshold: 0.5 })
    .alif('adaptive', 2, { threshold: 0.5, adaptationStrength: 0.02 })
    .readout('out', 2)
    .project('in', 'regular', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.5 } })
    .project('in', 'adaptive', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.5 } })
    .project('regular', 'adaptive', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.5 } })
    .project('adaptive', 'out', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.5 } })
    .build()

const feedback = { weights: Array.from({ length: 6 }, (_, p) => [Math.sin(p + 1), Math.cos(p + 1)]) }
const rule: Rule = { ...rules.eprop, feedback }
const batch = {
  length: 60,
  trials: 2,
  inputs: { in: { rates: [0, 1].map(trial => ({ trial, units: [0, 3], from: 0, to: 60, rate: 300 }) as const) } },
  targets: Uint32Array.of(0, 1)
}
const loss = { kind: 'cross-entropy', window: 20 } as const
const regulariser = { strength: 10, targetRate: 10 }

test('the published regression is reproduced: losses, spikes, gradient and weights', async t => {
  const rows = await verifyEprop(parseEpropFixture(JSON.parse(await readFile(REGRESSION, 'utf8'))))
  t.is(rows.length, 1)
  for (const { spikes, errors, passed } of rows) {
    t.true(spikes)
    t.true((errors.loss_nest ?? 1) < 1e-8, JSON.stringify(errors))
    t.true((errors.loss_tensorflow ?? 1) < 1e-6, JSON.stringify(errors))
    t.is(Object.keys(errors).length, 9)
    t.true(passed, JSON.stringify(errors))
  }
})

test('a classification with LIF, ALIF and Adam agrees with numpy for batches of one and three', async t => {
  const rows = await verifyEprop(parseEpropFixture(JSON.parse(await readFile(CLASSIFICATION, 'utf8'))))
  t.deepEqual(
    rows.map(({ run }) => run),
    ['batch_1', 'batch_3']
  )
  for (const { spikes, errors, passed } of rows) {
    t.true(spikes)
    t.true((errors.loss_oracle ?? 1) < 1e-10, JSON.stringify(errors))
    t.is(Object.keys(errors).length, 7)
    t.true(passed, JSON.stringify(errors))
  }
})

test('mdgl verify prints a row for each run, and JSON lines', async t => {
  const { code, stdout, stderr } = await mdgl('verify', CLASSIFICATION)
  t.is(code, 0, stderr)
  t.regex(stdout, /^ {2}batch_1 +f64 +equal +– +– .* ok$/m)
  t.regex(stdout, /^ {2}batch_3 +f64 +equal +– +– .* ok$/m)
  const lines = jsonLines((await mdgl('verify', '--json', CLASSIFICATION)).stdout)
  t.deepEqual(
    lines.map(({ run, passed }) => [run, passed]),
    [
      ['batch_1', true],
      ['batch_3', true]
    ]
  )
})

type Path = readonly (string | number)[]
type Change = readonly [path: Path, value: unknown]

/** What stands at a path of untyped JSON. */
function get<T>(from: unknown, ...path: Path): T {
  return path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], from) as T
}

/** What verifying the small file comes to with some places changed; `undefined` leaves a field out. */
async function changed(t: ExecutionContext, changes: readonly Change[]) {
  const fixture: unknown = JSON.parse(await readFile(CLASSIFICATION, 'utf8'))
  for (const [path, value] of changes)
    get<Record<string | number, unknown>>(fixture, ...path.slice(0, -1))[path.at(-1) ?? ''] = value
  const path = join(await temporaryFolder(t), 'changed.json')
  await writeFile(path, JSON.stringify(fixture))
  return await mdgl('verify', '--json', path)
}

for (const [what, ...changes] of [
  ['a wrong loss', [['runs', 'batch_1', 'oracle_loss', 2], 1.1]],
  [
    'a wrong spike',
    [
      ['spikes_first_sequence', 0],
      [0, 0]
    ]
  ],
  ['a wrong number of spikes', [['runs', 'batch_3', 'spikes_per_sequence', 4], 7]],
  ['a wrong norm of a gradient', [['runs', 'batch_3', 'first_update_gradient_norms', 'W_rec', 'l2'], 1]],
  ['a wrong gradient', [['runs', 'batch_3', 'first_update_gradient_W_out', 3, 1], 1]],
  ['a wrong norm of the last weights', [['runs', 'batch_1', 'final_weight_norms', 'W_in', 'sum'], 1]],
  ['a step of refraction more', [['config', 'refractory_steps_blocked'], 5], [['config', 't_ref_nest_ms'], 6]],
  ['another input gain', [['config', 'input_scale'], '1-alpha']],
  ['a regulariser twice as strong', [['config', 'c_reg'], 600]],
  ['other feedback', [['weights', 'W_fb', 2, 1], 1.5]]
] as const satisfies readonly (readonly [string, ...Change[]])[]) {
  test(`${what} fails`, async t => {
    const { code, stdout, stderr } = await changed(t, changes)
    t.is(code, 1, stdout)
    t.true(
      jsonLines(stdout).some(({ passed }) => passed === false),
      stderr
    )
  })
}

for (const [what, path, value, says] of [
  ['a trace with the reset', ['config', 'reset_term_in_trace'], true, /reset_term_in_trace is true; this version/],
  ['an undivided gradient', ['config', 'gradient_divided_by_window'], false, /gradient_divided_by_window is false/],
  ['periods that differ', ['config', 't_ref_nest_ms'], 4, /t_ref_nest_ms is 4, which does not block 4 steps/],
  ['another optimiser', ['optimizer', 'type'], 'sgd', /optimizer\.type is 'sgd'; expected/],
  ['a run without losses', ['runs', 'batch_1'], {}, /runs\.batch_1 has no losses/],
  ['a batch too large', ['runs', 'batch_4'], { oracle_loss: [1, 1, 1, 1] }, /runs\.batch_4 needs 4 sequences/],
  ['a class too many', ['targets', 0], 3, /targets\[0\] is 3; expected/]
] as const) {
  test(`a file with ${what} is refused`, async t => {
    const { code, stdout, stderr } = await changed(t, [[path, value]])
    t.is(code, 1)
    t.is(stdout, '')
    t.regex(stderr, says)
  })
}

test('a file with as many sequences as its iterations need takes the next ones', async t => {
  const fixture: unknown = JSON.parse(await readFile(CLASSIFICATION, 'utf8'))
  const [targets, inputs] = [get<number[]>(fixture, 'targets'), get<[number, number, number][]>(fixture, 'inputs')]
  const copies = [0, 3, 6, 9]
  const only: Change = [['runs', 'batch_1'], undefined]
  const plain = await changed(t, [only])
  const long = await changed(t, [
    only,
    [['targets'], copies.flatMap(() => targets)],
    [['inputs'], copies.flatMap(k => inputs.map(([sequence, step, unit]) => [sequence + k, step, unit]))]
  ])
  t.is(plain.code, 0, plain.stderr)
  const errors = (stdout: string) => jsonLines(stdout).map(line => line.errors)
  t.deepEqual(errors(long.stdout), errors(plain.stdout))
})

test('the conventions fill in what they know, and the usual ones leave no mark', t => {
  const { conventions, inputGain, readouts } = build()
  t.deepEqual({ conventions, inputGain }, { conventions: 'bellec2020', inputGain: 'one-minus-alpha' })
  t.is(readouts?.[0]?.bias, false)
  const usual = network({ conventions: 'mdgl2021' }).lif('cells', 2).readout('out', 1).build()
  t.deepEqual(usual, network().lif('cells', 2).readout('out', 1).build())
  t.false('conventions' in usual)
  t.deepEqual(Model.create(build({ inputGain: 'one' })).description.inputGain, 'one')
})

test('the conventions survive saving and loading', async t => {
  const model = Model.create(build({ inputGain: 'one' }), { precision: 'f64' })
  const path = join(await temporaryFolder(t), 'weights.safetensors')
  await model.save(path)
  const loaded = await Model.load(path)
  t.deepEqual(loaded.description as NetworkDescription, model.description as NetworkDescription)
  const [own, again] = [await simulate(model, batch), await simulate(loaded as typeof model, batch)]
  t.true(own.spikes.length > 0)
  t.deepEqual(own.spikes, again.spikes)
})

test('descriptions that do not fit are refused', t => {
  invalidAt(t, 'inputGain', () => network({ inputGain: 'one' }))
  invalidAt(t, 'inputGain', () => network({ conventions: 'bellec2020', inputGain: 'two' as 'one' }))
  invalidAt(t, 'conventions', () => network({ conventions: 'bellec2021' as 'bellec2020' }))
  const { message } = invalidAt(t, 'readouts.out.bias', () =>
    network({ conventions: 'bellec2020' }).readout('out', 1, { bias: true })
  )
  t.regex(message, /with conventions 'bellec2020': false/)
})

test('rules without an equation are refused by name, at once and with what is allowed', async t => {
  const model = Model.create(build())
  for (const name of ruleNames) {
    const ask = () => gradients(model, batch, { rule: name, loss, regulariser })
    const { feedback, ...others } = expandRule(name)
    if (isDeepStrictEqual({ feedback: 'symmetric', ...others }, { ...rules.eprop })) t.true((await ask()).norm > 0)
    else
      t.regex(
        (await rejectsInvalidAt(t, /^rule\.(hops|estimator|readoutFilter|learningSignal)$/, ask)).message,
        /'bellec2020': /
      )
  }
  const task = { name: 'none', loss, batch: () => batch }
  invalidAt(t, 'rule.hops', () => train(model, task, { rule: 'mdgl' }))
  await rejectsInvalidAt(t, 'rule.estimator', () => simulate(model, batch, { rule: 'eprop-online', loss }))
})

test('losses without an equation are refused', async t => {
  const model = Model.create(build())
  const evaluate = () => ({ loss: 0, delta: new Float64Array(240) })
  await rejectsInvalidAt(t, 'loss.kind', () =>
    gradients(model, batch, { rule: 'eprop', loss: { kind: 'custom', evaluate } })
  )
  const windowed = { kind: 'cross-entropy', window: 'targets' } as const
  await rejectsInvalidAt(t, 'loss.window', () => gradients(model, batch, { rule: 'eprop', loss: windowed }))
  const two = Model.create(network({ conventions: 'bellec2020' }).lif('a', 2).readout('b', 1).readout('c', 1).build())
  const losses = { b: { kind: 'squared-error' }, c: { kind: 'squared-error' } } as const
  const silent = { length: 2, trials: 1, inputs: {}, targets: { b: [0, 0], c: [0, 0] } }
  await rejectsInvalidAt(t, 'loss', () => gradients(two, silent, { rule: 'eprop', loss: losses, regulariser }))
  t.is((await gradients(two, silent, { rule: 'eprop', loss: losses })).evaluation.loss, 0)
})

test('feedback weights are copied, checked, and fit the network', async t => {
  const model = Model.create(build(), { precision: 'f64' })
  t.deepEqual(expandRule(rule), rule)
  t.not(expandRule(rule).feedback, feedback)
  const given = await gradients(model, batch, { rule, loss, regulariser })
  const silent = await gradients(model, batch, {
    rule: { ...rule, feedback: { weights: feedback.weights.map(() => [0, 0]) } },
    loss
  })
  t.true(given.projections['in->regular'].values.some(value => value !== 0))
  t.true(silent.projections['in->regular'].values.every(value => value === 0))
  const ask = (weights: number[][]) => () => gradients(model, batch, { rule: { ...rule, feedback: { weights } }, loss })
  await rejectsInvalidAt(t, 'rule.feedback.weights', ask([[1, 2]]))
  await rejectsInvalidAt(t, 'rule.feedback.weights[0]', ask(feedback.weights.map(() => [1])))
  await rejectsInvalidAt(t, 'rule.feedback.weights[1]', ask([[1, 2], [1]]))
  await rejectsInvalidAt(
    t,
    'rule.feedback.weights[1][0]',
    ask([
      [1, 2],
      [Number.NaN, 1]
    ])
  )
  invalidAt(t, 'rule.feedback', () => expandRule({ ...rules.bptt, feedback }))
  invalidAt(t, 'rule.feedback.random', () => expandRule({ ...rule, feedback: { ...feedback, random: {} } }))
})

test('a network of these conventions learns with a given feedback, in single precision too', async t => {
  const model = Model.create(build({ inputGain: 'one' }))
  const task = { name: 'fixed', loss, batch: () => batch }
  const optimiser = { kind: 'adam', learningRate: 0.02, l1: 0 } as const
  const losses: number[] = []
  for await (const metrics of train(model, task, {
    rule,
    regulariser,
    optimiser,
    iterations: 60,
    batchSize: 2,
    validateEvery: 0
  })) {
    losses.push(metrics.loss)
  }
  const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length
  t.true(mean(losses.slice(-10)) < mean(losses.slice(0, 10)), losses.join(' '))
})

test('a session has no equation there', t => {
  const { message } = invalidAt(t, 'rule.estimator', () => Model.create(build()).session({ rule: 'eprop-online' }))
  t.regex(message, /with conventions 'bellec2020': 'backward'/)
  invalidAt(t, 'model.description.conventions', () => Model.create(build()).session())
})
