import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import {
  cosine,
  fit,
  type LearningRate,
  type Metrics,
  Model,
  stepDecay,
  type Task,
  train,
  warmUp
} from '../src/index.js'
import { completeLearningRate, rateAt } from '../src/task/schedule.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'
import { invalidAt } from './helpers/expect.js'
import { collect, sides, smallNetwork } from './helpers/small.js'

const ITERATIONS = 6
const plain = { kind: 'gradient-descent', learningRate: 0.1, l1: 0, rewiring: false } as const
const task: Task = { ...sides, iterations: ITERATIONS, optimiser: plain }
const names = ['cues->cells', 'cues->slow', 'cells->cells', 'cells->slow', 'back', 'cells->choice'] as const
const weightsOf = (model: Model) => names.map(name => [...model.weights.get(name).values])
const ratesOf = (rate: LearningRate, iterations: number) => {
  const complete = completeLearningRate(rate, 'rate', iterations)
  return Array.from({ length: iterations }, (_, i) => rateAt(complete, i + 1))
}

async function trained(options: object, model = Model.create(smallNetwork(), { precision: 'f64' })): Promise<Model> {
  await collect(train(model, task, { rule: 'mdgl', ...options }))
  return model
}

test('each schedule has the rates of its equation', t => {
  t.deepEqual(ratesOf(stepDecay(0.8, { factor: 0.5, every: 2 }), 5), [0.8, 0.8, 0.4, 0.4, 0.2])
  const half = ratesOf(cosine(1), 4)
  for (const [i, rate] of half.entries()) t.true(Math.abs(rate - (1 + Math.cos((Math.PI * i) / 4)) / 2) < 1e-15)
  t.deepEqual(
    ratesOf(cosine(1, { to: 0.5, iterations: 2 }), 5).map(rate => Number(rate.toFixed(12))),
    [1, 0.75, 0.5, 0.5, 0.5]
  )
  t.deepEqual(ratesOf(warmUp(2, 0.5), 4), [0.25, 0.5, 0.5, 0.5])
  const rise = ratesOf(warmUp(3, cosine(1)), 7)
  t.deepEqual(rise.slice(3), half, 'the cosine has what the rise leaves')
  t.deepEqual(
    ratesOf(iteration => 1 / iteration, 3),
    [1, 1 / 2, 1 / 3]
  )
  t.deepEqual(ratesOf({ kind: 'table', rates: [3, 2] }, 3), [3, 2, 2])
})

test('training takes the rate of each iteration', async t => {
  const rates: number[] = ratesOf(cosine(0.2), ITERATIONS)
  const byHand = Model.create(smallNetwork(), { precision: 'f64' })
  for (const [i, learningRate] of rates.entries()) {
    const firstIteration = i + 1
    await trained({ firstIteration, iterations: firstIteration, optimiser: { ...plain, learningRate } }, byHand)
  }
  const expected = weightsOf(byHand)
  t.deepEqual(weightsOf(await trained({ learningRate: cosine(0.2) })), expected)
  t.deepEqual(weightsOf(await trained({ optimiser: { ...plain, learningRate: cosine(0.2) } })), expected)
  t.deepEqual(weightsOf(await trained({ learningRate: (iteration: number) => rates[iteration - 1] })), expected)
  t.notDeepEqual(weightsOf(await trained({})), expected)
})

test('a training that goes on has the rates of its iterations, also those of a function', async t => {
  const schedules: LearningRate[] = [warmUp(2, stepDecay(0.3, { factor: 0.5, every: 2 })), i => 0.3 / i]
  for (const learningRate of schedules) {
    const whole = await trained({ learningRate })
    const first = await trained({ learningRate, iterations: 3 })
    const rest = await Model.fromBytes(await first.toBytes({ optimiser: true }))
    await trained({ learningRate, firstIteration: 4 }, rest as never)
    t.deepEqual(weightsOf(rest), weightsOf(whole))
  }
})

test('a schedule takes the place of a decay, and does not go with one', async t => {
  const decaying: Task = { ...task, optimiser: { ...plain, decay: { factor: 0.5, every: 1 } } }
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  await fit(model, decaying, { rule: 'mdgl', learningRate: cosine(0.2) })
  t.deepEqual(weightsOf(model), weightsOf(await trained({ learningRate: cosine(0.2) })))
  const both = { ...plain, learningRate: cosine(0.2), decay: { factor: 0.5, every: 1 } }
  invalidAt(t, 'optimiser.decay', () => train(model, task, { rule: 'mdgl', optimiser: both }))
})

test('a factor slows one projection, weight decay shrinks weights and no biases', async t => {
  const [before, usual] = [Model.create(smallNetwork(), { precision: 'f64' }), await trained({ iterations: 1 })]
  const factors = { 'cells->cells': 0.5, 'cells->choice': 0 }
  const slowed = await trained({ iterations: 1, optimiser: { ...plain, learningRateFactors: factors } })
  const decayed = await trained({ iterations: 1, optimiser: { ...plain, weightDecay: 0.5 } })
  for (const name of names) {
    const [start, moved, slow, small] = [before, usual, slowed, decayed].map(model => model.weights.get(name).values)
    for (const [i, weight] of (start ?? []).entries()) {
      const change = (moved?.[i] ?? 0) - weight
      // A weight that would change its sign is 0.
      if (moved?.[i] === 0) continue
      const factor = { 'cells->cells': 0.5, 'cells->choice': 0 }[name as string] ?? 1
      t.true(Math.abs((slow?.[i] ?? 0) - (weight + factor * change)) < 1e-12, name)
      if (small?.[i] !== 0) t.true(Math.abs((small?.[i] ?? 0) - (weight * (1 - 0.1 * 0.5) + change)) < 1e-12, name)
    }
  }
  t.deepEqual(decayed.bias.get('choice'), usual.bias.get('choice'))
})

test('what is no learning rate is refused by its place', t => {
  const attempt =
    (learningRate: unknown, options: object = {}) =>
    () =>
      train(Model.create(smallNetwork()), task, { rule: 'mdgl', learningRate: learningRate as never, ...options })
  const at = 'optimiser.learningRate'
  invalidAt(t, at, attempt(0))
  invalidAt(t, at, attempt('fast'))
  invalidAt(t, at, attempt(null))
  invalidAt(t, `${at}.kind`, attempt({ kind: 'sine', from: 1 }))
  invalidAt(t, `${at}.factor`, attempt({ kind: 'step', from: 1, factor: 1.5, every: 2 }))
  invalidAt(t, `${at}.every`, attempt({ kind: 'step', from: 1, factor: 0.5, every: 1.5 }))
  invalidAt(t, `${at}.from`, attempt({ kind: 'cosine', from: -1 }))
  invalidAt(t, 'from', () => cosine(-1))
  invalidAt(t, 'options.factor', () => stepDecay(1, { factor: 0, every: 1 }))
  invalidAt(t, 'iterations', () => warmUp(0, 1))
  invalidAt(t, 'into', () => warmUp(1, '1' as never))
  invalidAt(t, `${at}.until`, attempt({ kind: 'cosine', from: 1, until: 3 }))
  invalidAt(
    t,
    `${at}.into.to`,
    attempt({ kind: 'warm-up', iterations: 2, into: { kind: 'cosine', from: 1, to: Number.NaN } })
  )
  invalidAt(t, `${at}.rates`, attempt({ kind: 'table', rates: [] }))
  invalidAt(t, `${at}.rates[1]`, attempt({ kind: 'table', rates: [1, -1] }))
  invalidAt(
    t,
    `${at}(2)`,
    attempt((iteration: number) => (iteration === 2 ? Number.NaN : 1))
  )
  invalidAt(
    t,
    at,
    attempt(() => 1, { iterations: 2 ** 21 })
  )
  invalidAt(t, 'options.until', () => cosine(1, { until: 3 } as never))
  const optimiser = (more: object) => attempt(undefined, { optimiser: { ...plain, ...more } })
  invalidAt(t, 'optimiser.weightDecay', optimiser({ weightDecay: -1 }))
  invalidAt(t, 'optimiser.learningRateFactors.cells', optimiser({ learningRateFactors: { cells: 1 } }))
  invalidAt(t, 'optimiser.learningRateFactors.back', optimiser({ learningRateFactors: { back: -1 } }))
  const model = Model.create(smallNetwork())
  const schedules = { rule: 'mdgl-online', optimiser: { ...plain, learningRate: () => 1 } } as const
  invalidAt(t, 'optimiser.learningRate', () => model.session(schedules))
})

const losses = async (folder: string) =>
  (await readFile(join(folder, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => (JSON.parse(line) as Metrics).loss)

test('schedules on the command line and in a sweep, resumed to the bit', async t => {
  const folder = await temporaryFolder(t)
  const common = ['--rule', 'eprop', '--batch-size', '2', '--iterations', '4', '--validate-every', '4']
  const run = async (name: string, rate: string, ...more: string[]) => {
    const out = join(folder, name)
    const { code, stderr } = await mdgl(
      'train',
      'delayed-match',
      ...common,
      '--learning-rate',
      rate,
      '--out',
      out,
      ...more
    )
    t.is(code, 0, stderr)
    return out
  }
  const whole = await run('whole', 'warm-up:1:cosine:0.02:0.001', '--checkpoint-every', '2')
  const { training } = JSON.parse(await readFile(join(whole, 'config.json'), 'utf8'))
  t.deepEqual(training.optimiser.learningRate, {
    kind: 'warm-up',
    iterations: 1,
    into: { kind: 'cosine', from: 0.02, to: 0.001, iterations: 3 }
  })
  const expected = await losses(whole)
  t.regex(await readFile(join(whole, 'report.html'), 'utf8'), /--learning-rate warm-up:1:cosine:0\.02:0\.001:3/)
  t.notDeepEqual(await losses(await run('constant', '0.02')), expected)
  const plan = join(folder, 'plan.json')
  await writeFile(
    plan,
    JSON.stringify({
      schema: 'mdgl-sweep/1',
      task: 'delayed-match',
      rules: ['eprop'],
      seeds: [1],
      options: { iterations: 4, batchSize: 2, validateEvery: 4, learningRate: [0.02, training.optimiser.learningRate] }
    })
  )
  const swept = await mdgl('sweep', plan, '--out', join(folder, 'sweep'))
  t.is(swept.code, 0, swept.stderr)
  const refused = await mdgl('train', 'delayed-match', '--learning-rate', 'cosine:fast')
  t.is(refused.code, 2)
  t.regex(refused.stderr, /--learning-rate is 'cosine:fast'; it must be a number above 0, cosine:FROM/)
})
