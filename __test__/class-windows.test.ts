import test from 'ava'
import {
  type ClassWindow,
  type CustomLoss,
  evaluate,
  gradients,
  type Losses,
  Model,
  network,
  type Targets,
  train
} from '../src/index.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { collect, STEPS, sides, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy', window: 'targets' } as const
const WINDOWS: readonly ClassWindow[] = [
  { trial: 1, from: 40, to: 60, class: 0 },
  { trial: 0, from: 10, to: 20, class: 1 },
  { trial: 0, from: 20, to: 25, class: 0 },
  { trial: 3, from: 0, to: 1, class: 1 }
]
const { targets: _, ...inputs } = smallBatch()
const windowed = (targets: Targets) => ({ ...inputs, trials: 4, targets })

/** The same loss computed here, from the windows that the batch holds. */
const byHand: CustomLoss = {
  kind: 'custom',
  evaluate: ({ values, steps, units }, batch) => {
    const windows = batch.targets as readonly ClassWindow[]
    const delta = new Float64Array(values.length)
    let [total, right] = [0, 0]
    for (const { trial, from, to, class: wanted } of windows) {
      const sums = new Float64Array(units)
      for (let step = from; step < to; step++) {
        const at = (trial * steps + step) * units
        const powers = Array.from(values.subarray(at, at + units), Math.exp)
        const sum = powers.reduce((a, b) => a + b)
        const share = 1 / (windows.length * (to - from))
        total -= share * Math.log((powers[wanted] ?? 0) / sum)
        for (const [k, power] of powers.entries()) {
          delta[at + k] = share * (power / sum - Number(k === wanted))
          sums[k] = (sums[k] ?? 0) + (values[at + k] ?? 0)
        }
      }
      right += Number(sums.indexOf(Math.max(...sums)) === wanted)
    }
    return { loss: total, delta, accuracy: right / windows.length }
  }
}

test('answers within a trial count as their definition says, in any order', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const batch = windowed(WINDOWS)
  const [found, wanted] = [await evaluate(model, batch, { loss }), await evaluate(model, batch, { loss: byHand })]
  t.true(Math.abs(found.loss - wanted.loss) < 1e-12)
  t.is(found.accuracy, wanted.accuracy)
  t.deepEqual(await evaluate(model, windowed(WINDOWS.toReversed()), { loss }), found)
  const own = await gradients(model, batch, { rule: 'mdgl', loss })
  const theirs = await gradients(model, batch, { rule: 'mdgl', loss: byHand })
  const values = theirs.projections['cells->cells'].values
  t.true(theirs.norm > 0)
  own.projections['cells->cells'].values.forEach((value, i) => {
    t.true(Math.abs(value - (values[i] ?? Number.NaN)) < 1e-12 * theirs.norm)
  })
})

test('one window at the end of each trial is a common window', async t => {
  const model = Model.create(smallNetwork())
  const { targets } = smallBatch()
  const windows = Array.from(targets as number[], (right, trial) => ({
    trial,
    from: STEPS - 9,
    to: STEPS,
    class: right
  }))
  const common = await gradients(model, smallBatch(), { rule: 'bptt', loss: { kind: 'cross-entropy', window: 9 } })
  t.deepEqual(await gradients(model, windowed(windows), { rule: 'bptt', loss }), common)
})

test('windows are in ms, whatever the step', async t => {
  const description = network({ dt: 0.5 })
    .input('cues', 20)
    .lif('cells', 10)
    .readout('choice', 2)
    .project('cues', 'cells', { density: 1 })
    .project('cells', 'choice', { density: 1 })
    .build()
  const model = Model.create(description)
  const common = await evaluate(model, smallBatch([1]), { loss: { kind: 'cross-entropy', window: 9 } })
  const targets = [{ trial: 0, from: 51, to: 60, class: 1 }]
  t.deepEqual(await evaluate(model, { ...smallBatch([1]), trials: 1, targets }, { loss }), common)
})

test('a task may ask for several answers a trial', async t => {
  const task = {
    ...sides,
    loss,
    batch: async (context: Parameters<typeof sides.batch>[0]) => {
      const batch = await sides.batch(context)
      const targets = (batch.targets as number[]).flatMap((right, trial) => [
        { trial, from: 20, to: 30, class: right },
        { trial, from: 50, to: 60, class: right }
      ])
      return { ...batch, trials: context.size, targets }
    }
  }
  const metrics = await collect(train(Model.create(smallNetwork()), task, { rule: 'mdgl-online', iterations: 30 }))
  t.true((metrics.at(-1)?.loss ?? 1) < (metrics[0]?.loss ?? 0))
  // Forty answers.
  t.true(metrics.every(({ accuracy }) => Number.isInteger(Math.round((accuracy ?? 0.01) * 40e6) / 1e6)))
})

const window = (change: object) => [WINDOWS[0], { trial: 2, from: 5, to: 9, class: 1, ...change }] as ClassWindow[]
const BAD: readonly (readonly [string, Targets, string])[] = [
  ['none', [], 'batch.targets.choice'],
  ['one class per trial', [0, 1, 1, 0], 'batch.targets.choice[0]'],
  ['a typed array', Uint32Array.of(0, 1, 1, 0), 'batch.targets.choice'],
  ['a trial that is none', window({ trial: 4 }), 'batch.targets.choice[1].trial'],
  ['an end beyond the trial', window({ to: 61 }), 'batch.targets.choice[1].to'],
  ['no step', window({ from: 9 }), 'batch.targets.choice[1].from'],
  ['a start that is no number', window({ from: Number.NaN }), 'batch.targets.choice[1].from'],
  ['a class that is none', window({ class: 2 }), 'batch.targets.choice[1].class'],
  ['an unknown key', window({ until: 5 }), 'batch.targets.choice[1].until'],
  ['an overlap', window({ trial: 1, from: 30, to: 41 }), 'batch.targets.choice[0].from']
]
for (const [what, targets, path] of BAD) {
  test(`windows are refused: ${what}`, async t => {
    const model = Model.create(smallNetwork())
    await rejectsInvalidAt(t, path, () => evaluate(model, windowed(targets), { loss }))
  })
}

test('a number of trials does not come from windows', async t => {
  const batch = { ...inputs, targets: WINDOWS }
  for (const given of [loss, byHand] as Losses[]) {
    await rejectsInvalidAt(t, 'batch.trials', () => evaluate(Model.create(smallNetwork()), batch, { loss: given }))
  }
})
