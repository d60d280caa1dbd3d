import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  type Batch,
  gradients,
  MdglError,
  Model,
  network,
  type OnlineRuleName,
  type OnlineSession,
  type Optimiser,
  type Precision,
  rules,
  type SessionStep,
  simulate,
  type Task,
  train
} from '../src/index.js'
import { invalidAt } from './helpers/expect.js'
import { collect, STEPS, sides, smallNetwork } from './helpers/small.js'

const WINDOW = 20
const TARGET = 1
const onlineRules = ['eprop-online', 'mdgl-online', 'on-mdgl-online', 'rflo'] as const
const loose = (value: unknown) => value as never

/** The units that fire in a step: two in turn, one of them twice. */
const firing = (step: number) => Uint32Array.of(step % 20, (step * 7) % 20, (step * 7) % 20)

/** One trial as a batch of one. */
const batch: Batch<'cues'> = {
  length: STEPS,
  inputs: {
    cues: {
      events: Array.from({ length: STEPS }, (_, step) => [...firing(step)].map(unit => [0, step, unit] as const)).flat()
    }
  },
  targets: [TARGET]
}

const task: Task = {
  name: 'one',
  loss: { kind: 'cross-entropy', window: WINDOW },
  batchSize: 1,
  validateEvery: 0,
  batch: () => batch
}

type Small<P extends Precision> = OnlineSession<ReturnType<typeof smallNetwork>, P>

/** The same trial step by step, with targets in the window. */
function runTrial<P extends Precision>(session: Small<P>, from = 0, to = STEPS) {
  const steps: SessionStep<ReturnType<typeof smallNetwork>, P>[] = []
  for (let step = from; step < to; step++) {
    steps.push(session.step({ cues: firing(step) }))
    if (step >= STEPS - WINDOW) session.addLoss({ choice: { target: TARGET, weight: 1 / WINDOW } })
  }
  return steps
}

function parameters(model: Model): number[][] {
  const names = (model.description.projections ?? []).map(({ name, from, to }) => name ?? `${from}->${to}`)
  return [...names.map(name => [...model.weights.get(name).values]), [...model.bias.get('choice')]]
}

for (const rule of onlineRules) {
  for (const precision of ['f64', 'f32'] as const) {
    test(`${rule} in ${precision}: steps, targets and one update are one training iteration, to the last bit`, async t => {
      const model = Model.create(smallNetwork(), { precision })
      const twin = model.clone()
      const { norm } = await gradients(model, batch, { rule, loss: task.loss })
      const session = model.session({ rule })
      runTrial(session)
      t.deepEqual(session.update(), { gradientNorm: norm, steps: WINDOW })
      await collect(train(twin, task, { rule, iterations: 1 }))
      t.deepEqual(parameters(model), parameters(twin))
      session.dispose()
      // Adam's moments and the generator's key are the model's: training goes on where the session ended.
      await collect(train(model, task, { rule, iterations: 1 }))
      const straight = Model.create(smallNetwork(), { precision })
      await collect(train(straight, task, { rule, iterations: 2 }))
      t.deepEqual(parameters(model), parameters(straight))
    })
  }
}

test('an update is a step along the gradient', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const optimiser: Optimiser = { kind: 'gradient-descent', learningRate: 1e-3, l1: 0, rewiring: false }
  const { projections, bias } = await gradients(model, batch, { rule: 'mdgl-online', loss: task.loss })
  const before = model.weights.get('back').values
  const session = model.session({ rule: rules.mdglOnline, optimiser })
  runTrial(session)
  session.update()
  const after = model.weights.get('back').values
  const alive = [...after.keys()].filter(i => after[i] !== 0)
  t.true(alive.length > 30 && projections.back.values.some(value => value !== 0))
  for (const i of alive) {
    const step = -1e-3 * (projections.back.values[i] ?? Number.NaN)
    t.true(Math.abs((after[i] ?? 0) - (before[i] ?? 0) - step) < 1e-15)
  }
  t.deepEqual(
    [...model.bias.get('choice')],
    [...bias.choice].map(value => 0 - 1e-3 * value)
  )
})

test('steps give the spikes and readouts of a simulation, population by population', async t => {
  const model = Model.create(smallNetwork())
  const { spikes, readout, shape } = await simulate(model, batch)
  const session = model.session({ rule: 'eprop-online' })
  const steps = runTrial(session)
  const found = steps.flatMap(({ spikes: { cells, slow } }, step) => [
    ...[...cells].map(unit => [0, step, unit + (shape.populations.cells?.from ?? Number.NaN)]),
    ...[...slow].map(unit => [0, step, unit + (shape.populations.slow?.from ?? Number.NaN)])
  ])
  t.true(steps.some(step => step.spikes.cells.length > 0) && steps.some(step => step.spikes.slow.length > 0))
  t.deepEqual(found.flat(), [...spikes])
  t.true(steps[0]?.outputs.choice instanceof Float32Array)
  t.deepEqual(
    steps.flatMap(({ outputs }) => [...outputs.choice]),
    [...readout]
  )
})

test('the loss of a target is that of its target', t => {
  const session = Model.create(smallNetwork(), { precision: 'f64' }).session({ rule: 'mdgl-online' })
  runTrial(session, 0, 30)
  const [first = Number.NaN, second = Number.NaN] = session.step({ cues: firing(30) }).outputs.choice
  const expected = Math.log(Math.exp(first) + Math.exp(second)) - second
  t.true(Math.abs(session.addLoss({ choice: { target: 1, weight: 0.5 } }) - 0.5 * expected) < 1e-12)
  const squares = (first - 0.25) ** 2 + (second + 2) ** 2
  t.true(Math.abs(session.addLoss({ choice: { target: [0.25, -2] } }) - 0.5 * squares) < 1e-12)
  t.is(session.addLoss({ choice: { error: Float32Array.of(0.5, 1) } }), 0)
  t.is(session.update().steps, 1)
})

test("targets are errors: δ of one's own is the same target", t => {
  const norms = ['targets', 'errors'].map(kind => {
    const model = Model.create(smallNetwork(), { precision: 'f64' })
    const session = model.session({ rule: 'mdgl-online' })
    for (let step = 0; step < STEPS; step++) {
      const { choice } = session.step({ cues: firing(step) }).outputs
      if (kind === 'targets') session.addLoss({ choice: { target: [0.5, -0.5] } })
      else session.addLoss({ choice: { error: choice.map((y, k) => y - (k === 0 ? 0.5 : -0.5)) } })
    }
    return session.update().gradientNorm
  })
  t.true((norms[0] ?? 0) > 0)
  t.is(norms[1], norms[0])
})

test('a state can be kept, cloned and put back, into another session too', t => {
  const model = Model.create(smallNetwork())
  const copy = model.clone()
  const session = model.session({ rule: 'mdgl-online' })
  runTrial(session, 0, 30)
  const state = structuredClone(session.state())
  t.is(state.steps, 30)
  t.deepEqual(session.state(), state)
  const expected = runTrial(session, 30)
  const other = copy.session({ rule: 'mdgl-online' })
  other.restore(state)
  t.deepEqual(runTrial(other, 30), expected)
  t.deepEqual(other.state(), session.state())
  t.deepEqual(other.update(), session.update())
  t.deepEqual(parameters(copy), parameters(model))
  session.restore(state)
  t.deepEqual(session.state(), state)
})

test('a reset is the state of a new session, and keeps what was learned', t => {
  const session = Model.create(smallNetwork()).session({ rule: 'on-mdgl-online' })
  const rest = session.state()
  runTrial(session)
  t.notDeepEqual(session.state(), rest)
  session.reset()
  t.deepEqual(session.state(), rest)
  t.is(session.update().steps, WINDOW)
  t.deepEqual(session.update(), { gradientNorm: 0, steps: 0 })
})

test('values drive as events do, and a population that is left out is silent', t => {
  const [events, values, none, empty] = [0, 1, 2, 3].map(kind => {
    const session = Model.create(smallNetwork(), { precision: 'f64' }).session({ rule: 'eprop-online' })
    const counts = (step: number) => {
      const found = new Float64Array(20)
      for (const unit of firing(step)) found[unit] = (found[unit] ?? 0) + 1
      return step % 2 === 0 ? found : Float32Array.from(found)
    }
    const inputs = (step: number) => [{ cues: firing(step) }, { cues: counts(step) }, {}, { cues: new Uint32Array(0) }]
    return Array.from({ length: STEPS }, (_, step) => session.step(inputs(step)[kind]).outputs.choice).at(-1)
  })
  const apart = [...(events ?? [])].map((y, k) => Math.abs(y - (values?.[k] ?? Number.NaN)))
  t.true(Math.max(...apart) < 1e-12 && Math.max(...(events ?? []).map(Math.abs)) > 0)
  t.deepEqual(none, empty)
  t.deepEqual([...(none ?? [])], [0, 0])
})

test('what a session changes is the model: readers, files and clones have it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-'))
  try {
    const model = Model.create(smallNetwork())
    const before = parameters(model)
    const session = model.session({ rule: 'mdgl-online' })
    runTrial(session)
    t.deepEqual(parameters(model), before)
    session.update()
    t.notDeepEqual(parameters(model), before)
    await model.save(join(folder, 'model.safetensors'))
    t.deepEqual(parameters(await Model.load(join(folder, 'model.safetensors'))), parameters(model))
    t.deepEqual(parameters(model.clone()), parameters(model))
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('one at a time: a session, or training, or a change by hand', async t => {
  const model = Model.create(smallNetwork())
  const busy = (body: () => unknown) => t.is(t.throws(body, { instanceOf: MdglError }).code, 'busy')
  const session = model.session({ rule: 'mdgl-online' })
  busy(() => model.session({ rule: 'mdgl-online' }))
  busy(() => model.bias.set('choice', [1, 1]))
  const rejected = await t.throwsAsync(collect(train(model, sides, { rule: 'mdgl' })), { instanceOf: MdglError })
  t.is(rejected.code, 'busy')
  session.dispose()
  const training = train(model, sides, { rule: 'mdgl', iterations: 2 })
  await training.next()
  busy(() => model.session({ rule: 'mdgl-online' }))
  await training.return()
  model.session({ rule: 'mdgl-online' }).dispose()
})

test('a session outlives its model, not its own end', t => {
  const model = Model.create(smallNetwork())
  const session = model.session({ rule: 'rflo' })
  const state = session.state()
  model.dispose()
  runTrial(session)
  t.is(session.update().steps, WINDOW)
  session.dispose()
  session[Symbol.dispose]()
  const uses = [
    () => session.step(),
    () => session.addLoss({ choice: { target: 0 } }),
    () => session.update(),
    () => session.state(),
    () => session.restore(state),
    () => session.reset(),
    () => model.session({ rule: 'rflo' })
  ]
  for (const use of uses) t.is(t.throws(use, { instanceOf: MdglError }).code, 'disposed')
})

test('rules and options that do not fit are refused', t => {
  const model = Model.create(smallNetwork())
  for (const rule of ['mdgl', 'bptt', 'rtrl', 'on-mdgl'] as const) {
    const error = invalidAt(t, 'rule.estimator', () => model.session({ rule: rule as unknown as OnlineRuleName }))
    t.regex(error.message, /'mdgl-online'/)
  }
  invalidAt(t, 'rule', () => model.session({ rule: loose('mdlg-online') }))
  invalidAt(t, 'options.regulariser', () =>
    model.session(loose({ rule: 'rflo', regulariser: { strength: 1, targetRate: 10 } }))
  )
  invalidAt(t, 'options.seed', () => model.session({ rule: 'rflo', seed: -1 }))
  const frozen = ['typo']
  invalidAt(t, 'optimiser.frozen', () => model.session({ rule: 'rflo', optimiser: { kind: 'adam', frozen } }))
  model.session({ rule: 'rflo' }).dispose()
})

test('inputs, targets and states that do not fit are refused, and change nothing', t => {
  const session = Model.create(smallNetwork()).session({ rule: 'mdgl-online' })
  invalidAt(t, 'addLoss', () => session.addLoss({ choice: { target: 0 } }))
  runTrial(session, 0, 30)
  const before = session.state()
  const nan = new Float64Array(20).fill(Number.NaN, 4)
  const shared = new Uint32Array(new SharedArrayBuffer(8))
  const detached = Uint32Array.of(1)
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  const inputs: Record<string, [string, unknown]> = {
    'no object': ['input', 3],
    'another population': ['input', { cue: Uint32Array.of(1) }],
    'a plain array': ['input.cues', { cues: [1, 2] }],
    'an index out of range': ['input.cues[1]', { cues: Uint32Array.of(19, 20) }],
    'too few values': ['input.cues', { cues: new Float64Array(19) }],
    'a value that is not finite': ['input.cues[4]', { cues: nan }],
    'shared memory': ['input.cues', { cues: shared }],
    'memory that is gone': ['input.cues', { cues: detached }]
  }
  for (const [path, input] of Object.values(inputs)) invalidAt(t, path, () => session.step(loose(input)))
  const targets: Record<string, [string, unknown]> = {
    nothing: ['targets', {}],
    'another readout': ['targets', { choices: { target: 0 } }],
    'neither target nor error': ['targets.choice', { choice: {} }],
    'both of them': ['targets.choice', { choice: { target: 1, error: [0, 0] } }],
    'an unknown option': ['targets.choice.class', { choice: { class: 1 } }],
    'a class out of range': ['targets.choice.target', { choice: { target: 2 } }],
    'half a class': ['targets.choice.target', { choice: { target: 0.5 } }],
    'too many values': ['targets.choice.target', { choice: { target: [0, 0, 0] } }],
    'an error that is not finite': ['targets.choice.error[1]', { choice: { error: [0, Number.NaN] } }],
    'an error that is no array': ['targets.choice.error', { choice: { error: 1 } }],
    'a weight that is not finite': ['targets.choice.weight', { choice: { target: 1, weight: Number.NaN } }]
  }
  for (const [path, target] of Object.values(targets)) invalidAt(t, path, () => session.addLoss(loose(target)))
  const states: Record<string, [string, unknown]> = {
    'a part missing': ['state.traces', { ...before, traces: undefined }],
    'another length': ['state.membrane', { ...before, membrane: new Float32Array(3) }],
    'another precision': ['state.membrane', { ...before, membrane: new Float64Array(40) }],
    'a value that is not finite': ['state.readout[0]', { ...before, readout: Float32Array.of(Number.NaN, 0) }],
    'an impossible counter': ['state.refractory[0]', { ...before, refractory: new Uint32Array(40).fill(99) }],
    'an impossible spike': ['state.spikes', { ...before, spikes: Uint32Array.of(40) }],
    'half a step': ['state.steps', { ...before, steps: 0.5 }],
    'an unknown part': ['state.weights', { ...before, weights: [] }]
  }
  for (const [path, state] of Object.values(states)) invalidAt(t, path, () => session.restore(loose(state)))
  const mdgl = Model.create(smallNetwork()).session({ rule: 'eprop-online' })
  invalidAt(t, 'state.traces', () => mdgl.restore(before))
  t.deepEqual(session.state(), before)
})

test('a gradient that is not finite leaves the model as it was', t => {
  const model = Model.create(smallNetwork())
  const before = parameters(model)
  const session = model.session({ rule: 'eprop-online' })
  for (let step = 0; step < STEPS; step++) {
    session.step({ cues: firing(step) })
    session.addLoss({ choice: { error: [3e38, 3e38] } })
  }
  t.is(t.throws(() => session.update(), { instanceOf: MdglError }).code, 'not-finite')
  t.deepEqual(parameters(model), before)
  t.deepEqual(session.update(), { gradientNorm: 0, steps: 0 })
})

test('an agent learns in its environment', t => {
  const description = network({ seed: 2 })
    .input('eye', 10)
    .lif('cells', 40)
    .readout('action', 2)
    .project('eye', 'cells', { density: 0.5 })
    .project('cells', 'cells', { density: 0.1 })
    .project('cells', 'action', { density: 1 })
    .build()
  const optimiser: Optimiser = { kind: 'adam', learningRate: 0.01, l1: 0 }
  const session = Model.create(description).session({ rule: 'mdgl-online', optimiser })
  // The light is on the left or on the right; to turn towards it is right, and where it goes next is the agent's doing.
  let side = 0
  const turns = Array.from({ length: 300 }, (_, turn) => {
    let action = 0
    for (let step = 0; step < 20; step++) {
      const units = [0, 1, 2, 3, 4].filter(unit => (unit + step) % 3 === 0).map(unit => unit + 5 * side)
      const { action: y } = session.step({ eye: Uint32Array.from(units) }).outputs
      action = (y[0] ?? 0) > (y[1] ?? 0) ? 0 : 1
    }
    session.addLoss({ action: { target: side } })
    if (turn % 4 === 3) session.update()
    const right = action === side
    side = (side + (right ? turn % 2 : 1)) % 2
    return right ? 1 : 0
  })
  const share = (part: readonly number[]) => part.reduce((sum: number, right) => sum + right, 0) / part.length
  t.true(share(turns.slice(-100)) > 0.9, `${share(turns.slice(0, 50))} to ${share(turns.slice(-100))}`)
})

test('a session without a rule only runs: the spikes and outputs of one that learns, and nothing to learn with', t => {
  const model = Model.create(smallNetwork())
  const run = (session: OnlineSession) =>
    Array.from({ length: 50 }, (_, step) => session.step({ cues: Uint32Array.of(step % 20, (3 * step) % 20) }))
  const learning = model.session({ rule: 'mdgl-online' })
  const expected = run(learning)
  learning.dispose()
  const session = model.session()
  t.deepEqual(run(session), expected)
  t.true(expected.some(({ spikes }) => (spikes.cells?.length ?? 0) > 0))
  invalidAt(t, 'options.rule', () => session.addLoss({ choice: { target: 1 } }))
  invalidAt(t, 'options.rule', () => session.update())
  session.dispose()
  invalidAt(t, 'options.optimiser', () => model.session({ optimiser: { kind: 'adam' } }))
  t.deepEqual(model.weights.names(), [
    'cues->cells',
    'cues->slow',
    'cells->cells',
    'cells->slow',
    'back',
    'cells->choice'
  ])
})

test.serial('learn and apply, the names of before, work in this version and warn once', async t => {
  const warnings: string[] = []
  const listen = ({ message }: Error) => warnings.push(message)
  process.on('warning', listen)
  using session = Model.create(smallNetwork()).session({ rule: 'eprop-online' })
  for (let step = 0; step < 2; step++) {
    session.step({ cues: Uint32Array.of(1, 2, 3) })
    t.true(session.learn({ choice: { target: 1 } }) > 0)
    t.is(session.apply().steps, 1)
  }
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', listen)
  t.is(warnings.filter(message => message.includes('session.addLoss()')).length, 1)
  t.is(warnings.filter(message => message.includes('session.update()')).length, 1)
})
