import { spawn } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { defaultOptimiser, fit, type Metrics, Model, type Optimiser, type Task, train } from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const task: Task = { ...sides, iterations: 6, validateEvery: 2 }
const weightsOf = (model: Model) => [...model.weights.get('back').values]
const timeless = ({ msPerIteration: _, ...metrics }: Metrics) => metrics

test('fit is train to the end: the same history, the same weights', async t => {
  const [fitted, trained] = [Model.create(smallNetwork()), Model.create(smallNetwork())]
  const { history, best, stopped } = await fit(fitted, task, { rule: 'mdgl' })
  const metrics = await collect(train(trained, task, { rule: 'mdgl' }))
  const ofSplit = (split: string) => metrics.filter(one => one.split === split).map(timeless)
  t.deepEqual(history.train.map(timeless), ofSplit('train'))
  t.deepEqual(history.validation.map(timeless), ofSplit('validation'))
  t.deepEqual([history.train.length, history.validation.length, stopped], [6, 3, 'iterations'])
  t.deepEqual(weightsOf(fitted), weightsOf(trained))
  t.is(best?.loss, Math.min(...history.validation.map(({ loss }) => loss)))
})

/** The rate at which losses grow: from iteration 4 on the targets are the wrong ones. */
const turning: Task = {
  ...task,
  iterations: 60,
  validateEvery: 1,
  optimiser: { kind: 'adam', learningRate: 0.02, l1: 0 },
  batch: ({ iteration, split, size, rng }) => {
    const shown = Array.from({ length: size }, (_, trial) => rng.trial(trial).integer(2))
    const wrong = split === 'train' && iteration > 6
    return { ...smallBatch(shown), targets: wrong ? shown.map(side => 1 - side) : shown }
  }
}

test('patience ends a training that gets worse, and the model is that of the best validation', async t => {
  const model = Model.create(smallNetwork())
  const after = new Map<number, number[]>()
  const onMetrics = ({ iteration, split }: Metrics) => {
    if (split === 'train') after.set(iteration, weightsOf(model))
  }
  const { history, best, stopped } = await fit(model, turning, { rule: 'mdgl', patience: 3, onMetrics })
  t.is(stopped, 'patience')
  const losses = history.validation.map(({ loss }) => loss)
  t.is(best?.iteration, losses.indexOf(Math.min(...losses)) + 1)
  t.is(history.train.length, (best?.iteration ?? 0) + 3)
  t.deepEqual(weightsOf(model), after.get(best?.iteration ?? 0))
  t.notDeepEqual(weightsOf(model), after.get(history.train.length))
  const kept = Model.create(smallNetwork())
  await fit(kept, turning, { rule: 'mdgl', patience: 3, keepBest: false })
  t.deepEqual(weightsOf(kept), after.get(history.train.length))
})

test('a least improvement, another measure, a callback and stopAt end a training', async t => {
  const options = { rule: 'mdgl', validateEvery: 1 } as const
  const hardly = await fit(Model.create(smallNetwork()), task, { ...options, patience: 2, leastImprovement: 100 })
  t.deepEqual([hardly.stopped, hardly.history.train.length, hardly.best?.iteration], ['patience', 3, 1])
  const byAccuracy = await fit(Model.create(smallNetwork()), task, { ...options, monitor: 'accuracy', patience: 50 })
  const accuracies = byAccuracy.history.validation.map(({ accuracy }) => accuracy ?? 0)
  t.is(byAccuracy.best?.iteration, accuracies.indexOf(Math.max(...accuracies)) + 1)
  const heard: string[] = []
  const called = await fit(Model.create(smallNetwork()), task, {
    ...options,
    onMetrics: async ({ iteration, split }) => {
      heard.push(`${iteration} ${split}`)
      return iteration < 2
    }
  })
  t.is(called.stopped, 'callback')
  t.deepEqual(heard, ['1 train', '1 validation', '2 train'])
  const reached = await fit(Model.create(smallNetwork()), task, { ...options, stopAt: { loss: 100 } })
  t.deepEqual([reached.stopped, reached.history.train.length], ['stop-at', 1])
  const model = Model.create(smallNetwork())
  const broken = new Error('the callback failed')
  const failing = () => {
    throw broken
  }
  t.is(await t.throwsAsync(fit(model, task, { ...options, onMetrics: failing })), broken)
  await t.notThrowsAsync(fit(model, task, options), 'the model is free again')
})

test('checkpoints: one file over and over, or one for each, from which training goes on with the same bits', async t => {
  const folder = await temporaryFolder(t)
  const model = Model.create(smallNetwork())
  const path = (iteration: number) => join(folder, `${iteration}.safetensors`)
  await fit(model, task, { rule: 'mdgl', iterations: 5, checkpoint: { path, every: 2 } })
  t.deepEqual((await readdir(folder)).sort(), ['2.safetensors', '4.safetensors', '5.safetensors'])
  const again = await Model.load(path(2))
  await fit(again, task, { rule: 'mdgl', iterations: 5, firstIteration: 3 })
  t.deepEqual(weightsOf(again), weightsOf(model))
  const file = join(folder, 'last')
  await fit(model, task, { rule: 'mdgl', iterations: 3, checkpoint: { path: file, every: 1 } })
  t.deepEqual(weightsOf(await Model.load(file)), weightsOf(model))
})

test('options that are not allowed are refused by name', async t => {
  const attempt = (options: object) => () => fit(Model.create(smallNetwork()), task, { rule: 'mdgl', ...options })
  await rejectsInvalidAt(t, 'options.patience', attempt({ patience: 0 }))
  await rejectsInvalidAt(t, 'options.patience', attempt({ patience: 2, validateEvery: 0 }))
  await rejectsInvalidAt(t, 'options.monitor', attempt({ monitor: 'rate' }))
  await rejectsInvalidAt(t, 'options.leastImprovement', attempt({ leastImprovement: -1 }))
  await rejectsInvalidAt(t, 'options.keepBest', attempt({ keepBest: 'yes' }))
  await rejectsInvalidAt(t, 'options.onMetrics', attempt({ onMetrics: 1 }))
  await rejectsInvalidAt(t, 'options.checkpoint.path', attempt({ checkpoint: { path: '', every: 1 } }))
  await rejectsInvalidAt(t, 'options.checkpoint.every', attempt({ checkpoint: { path: 'a', every: 0 } }))
  await rejectsInvalidAt(t, 'options.epochs', attempt({ epochs: 3 }))
  await rejectsInvalidAt(t, 'options', () => fit(Model.create(smallNetwork()), task, undefined as never))
})

/** Standard error of a program that imports the library and has a model and a task. */
async function errorsOf(folder: string, body: string): Promise<string> {
  const library = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
  const program = join(folder, `${body.length}.mjs`)
  await writeFile(
    program,
    `import { delayedMatch, fit, Model, train } from ${library}
const task = delayedMatch()
const model = Model.create(task.network({ seed: 1 }))
const options = { rule: 'eprop', iterations: 1, batchSize: 2, validateEvery: 0 }
${body}`
  )
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'ignore', 'pipe'] })
  let text = ''
  child.stderr.setEncoding('utf8').on('data', piece => {
    text += piece
  })
  await new Promise(resolve => child.on('close', resolve))
  return text
}

test('without an optimiser it is plain Adam, and a warning says so once', async t => {
  const names = { defaultOptimiser, plain: { kind: 'adam', learningRate: 0.0025, l1: 0, rewiring: false } } as const
  const weights = async (optimiser?: Optimiser) => {
    const model = Model.create(smallNetwork())
    const { optimiser: _, ...without } = { ...task, optimiser: undefined }
    await fit(model, without, { rule: 'mdgl', ...(optimiser && { optimiser }) })
    return weightsOf(model)
  }
  const found = await weights()
  t.deepEqual(await weights(names.plain), found)
  t.deepEqual(await weights(names.defaultOptimiser), found)
  t.deepEqual(await weights({ kind: 'adam' }), found)
  t.notDeepEqual(await weights({ kind: 'adam', l1: 0.01, rewiring: true }), found)
  const folder = await temporaryFolder(t)
  const own = 'const { optimiser, ...own } = task;'
  const twice = await errorsOf(
    folder,
    `${own} await fit(model, own, options); await fit(model, own, options); model.session({ rule: 'rflo' })`
  )
  t.is(twice.match(/MDGL_DEFAULT_OPTIMISER/g)?.length, 1)
  t.regex(twice, /plain Adam.*`optimiser: \{ kind: 'adam', l1: 0\.01, rewiring: true \}` keeps/)
  t.is(await errorsOf(folder, `${own} await fit(model, own, { ...options, optimiser })`), '')
  const bare = "await fit(model, task, { ...options, optimiser: { kind: 'adam', rewiring: false } });"
  const once = await errorsOf(folder, `${bare} ${bare}`)
  t.is(once.match(/MDGL_DEFAULT_OPTIMISER/g)?.length, 1)
  t.regex(once, /names no l1 .*`l1: 0\.01, rewiring: true` keeps/)
  t.is(await errorsOf(folder, 'model.session().dispose()'), '')
})

test('a training that is never iterated warns once', async t => {
  const folder = await temporaryFolder(t)
  const dropped = await errorsOf(folder, 'await train(model, task, options); await train(model, task, options)')
  t.is(dropped.match(/MDGL_TRAINING_UNUSED/g)?.length, 1)
  t.regex(dropped, /await fit\(…\)/)
  t.is(await errorsOf(folder, 'await fit(model, task, options)'), '')
  t.is(await errorsOf(folder, 'for await (const _ of train(model, task, options)) break'), '')
  t.is(await errorsOf(folder, 'const run = train(model, task, options); await run.return()'), '')
})
