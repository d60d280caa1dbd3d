import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  type Batch,
  type CustomLoss,
  evidenceAccumulation,
  MdglError,
  type Metrics,
  Model,
  makeBatch,
  type Task,
  train
} from '../src/index.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { collect, STEPS, sides, smallNetwork } from './helpers/small.js'

/** A model's weights and biases as one list. */
function parameters(model: Model): number[] {
  const projections = model.description.projections ?? []
  return [
    ...projections.flatMap(({ name, from, to }) => [...model.weights.get(name ?? `${from}->${to}`).values]),
    ...(model.description.readouts ?? []).flatMap(({ name }) => [...model.bias.get(name)])
  ]
}

/** Busy to the end: steps in which nothing happens cost the engine next to nothing. */
const slow: Task = {
  ...sides,
  batch: () => {
    const rates = Array.from({ length: 64 }, (_, trial) => ({
      trial,
      units: [0, 20] as const,
      from: 0,
      to: 20_000,
      rate: 100
    }))
    return { length: 20_000, inputs: { cues: { rates } }, targets: new Uint32Array(64) }
  }
}

test('training gives metrics in order, validations after their iteration', async t => {
  const model = Model.create(smallNetwork())
  const metrics = await collect(train(model, sides, { rule: 'mdgl', iterations: 4, validateEvery: 2 }))
  t.deepEqual(
    metrics.map(({ iteration, split }) => `${iteration} ${split}`),
    ['1 train', '2 train', '2 validation', '3 train', '4 train', '4 validation']
  )
  for (const { loss, accuracy, gradientNorm, msPerIteration, rate, regulariser } of metrics) {
    t.true([loss, gradientNorm, msPerIteration, rate].every(value => Number.isFinite(value) && value > 0))
    t.true(accuracy !== null && accuracy >= 0 && accuracy <= 1)
    t.is(regulariser, 0)
  }
})

test('training learns', async t => {
  const model = Model.create(smallNetwork())
  const options = {
    rule: 'mdgl',
    iterations: 150,
    validateEvery: 150,
    optimiser: { kind: 'adam', learningRate: 0.01 }
  } as const
  const metrics = await collect(train(model, sides, options))
  const [first, last] = [metrics[0], metrics.at(-1)]
  t.true((last?.loss ?? 1) < 0.5 * (first?.loss ?? 0), `${first?.loss} to ${last?.loss}`)
})

test('training stops on a target', async t => {
  const model = Model.create(smallNetwork())
  const options = { rule: 'eprop', iterations: 50, validateEvery: 2 } as const
  const metrics = await collect(train(model, sides, { ...options, stopAt: { loss: 100, accuracy: 0 } }))
  t.is(metrics.length, 3)
})

test('frozen projections stay as they are', async t => {
  const model = Model.create(smallNetwork())
  const before = model.clone()
  await collect(train(model, sides, { rule: 'bptt', freeze: ['cues->cells', 'back'] }))
  t.deepEqual(model.weights.get('cues->cells').values, before.weights.get('cues->cells').values)
  t.deepEqual(model.weights.get('back').values, before.weights.get('back').values)
  t.notDeepEqual(model.weights.get('cells->choice').values, before.weights.get('cells->choice').values)
})

test('threads change nothing, seeds do', async t => {
  const run = async (threads: number, seed: number) => {
    const model = Model.create(smallNetwork())
    await collect(train(model, { ...sides, batchSize: 50 }, { rule: 'mdgl', iterations: 4, threads, seed }))
    return parameters(model)
  }
  const one = await run(1, 5)
  t.deepEqual(await run(2, 5), one)
  t.deepEqual(await run(3, 5), one)
  t.notDeepEqual(await run(1, 6), one)
})

test('1, 2 and 3 threads write identical files after 30 iterations of Fig. 3C', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-'))
  try {
    const task = evidenceAccumulation()
    const files: Buffer[] = []
    for (const threads of [1, 2, 3]) {
      const file = join(folder, `${threads}.safetensors`)
      const model = Model.create(task.network({ seed: 1 }))
      await collect(train(model, task, { rule: 'mdgl', iterations: 30, threads }))
      await model.save(file)
      files.push(await readFile(file))
    }
    t.true(files.every(file => file.equals(files[0] ?? Buffer.alloc(0))))
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('at each turn of the loop the weights are those of the iteration reported', async t => {
  const straight = Model.create(smallNetwork())
  await collect(train(straight, sides, { rule: 'mdgl', iterations: 2 }))
  const broken = Model.create(smallNetwork())
  for await (const { iteration } of train(broken, sides, { rule: 'mdgl', iterations: 50 })) {
    if (iteration === 2) break
  }
  t.deepEqual(parameters(broken), parameters(straight))
})

test('training goes on from the weights there are', async t => {
  const model = Model.create(smallNetwork())
  await collect(train(model, sides, { rule: 'mdgl', iterations: 1 }))
  const after = parameters(model)
  await collect(train(model, sides, { rule: 'mdgl', iterations: 1 }))
  t.notDeepEqual(parameters(model), after)
})

test('a model cannot be trained or changed twice at once, but read and copied', async t => {
  const model = Model.create(smallNetwork())
  const first = train(model, sides, { rule: 'mdgl', iterations: 5 })
  await first.next()
  const second = train(model, sides, { rule: 'mdgl' })
  t.is((await t.throwsAsync(second.next(), { instanceOf: MdglError })).code, 'busy')
  t.is(t.throws(() => model.bias.set('choice', [0, 0]), { instanceOf: MdglError }).code, 'busy')
  t.true(model.weights.get('back').values.length > 0)
  model.clone()
  await first.return()
  model.bias.set('choice', [0, 0])
  await collect(train(model, sides, { rule: 'mdgl', iterations: 1 }))
  t.pass()
})

test('return() stops in the middle of an iteration, whose update is never made', async t => {
  const model = Model.create(smallNetwork())
  const before = parameters(model)
  const training = train(model, slow, { rule: 'bptt' })
  const next = training.next()
  setTimeout(() => void training.return(), 50)
  t.deepEqual(await next, { done: true, value: undefined })
  t.deepEqual(parameters(model), before)
})

test('an abort rejects with the reason, in the middle of an iteration too', async t => {
  const model = Model.create(smallNetwork())
  const before = parameters(model)
  const controller = new AbortController()
  const reason = new Error('enough')
  setTimeout(() => controller.abort(reason), 50)
  const rejected = collect(train(model, slow, { rule: 'mdgl', signal: controller.signal }))
  t.is(await t.throwsAsync(rejected), reason)
  t.deepEqual(parameters(model), before)
  await collect(train(model, sides, { rule: 'mdgl', iterations: 1 }))
})

test('an abort does not wait for a slow task', async t => {
  const model = Model.create(smallNetwork())
  const never: Task = { ...sides, batch: () => new Promise(() => undefined) }
  const controller = new AbortController()
  const reason = new Error('too slow')
  // Not AbortSignal.timeout, which lets Node end before it fires: a task that never answers keeps nothing alive.
  setTimeout(() => controller.abort(reason), 30)
  const rejected = collect(train(model, never, { rule: 'mdgl', signal: controller.signal }))
  t.is(await t.throwsAsync(rejected, { any: true }), reason)
})

test('a task that throws in the middle rejects with its own error; the model keeps its last weights', async t => {
  const mine = new Error('mine')
  const failing: Task = {
    ...sides,
    batch: async context => {
      if (context.iteration === 3) throw mine
      return sides.batch(context)
    }
  }
  const model = Model.create(smallNetwork())
  const seen: Metrics[] = []
  const run = async () => {
    for await (const metrics of train(model, failing, { rule: 'mdgl', iterations: 9 })) seen.push(metrics)
  }
  t.is(await t.throwsAsync(run), mine)
  t.is(seen.length, 2)
  const straight = Model.create(smallNetwork())
  await collect(train(straight, sides, { rule: 'mdgl', iterations: 2 }))
  t.deepEqual(parameters(model), parameters(straight))
})

/** Softmax cross-entropy at the last step, by hand. */
const byHand: CustomLoss = {
  kind: 'custom',
  evaluate: ({ values, trials, steps, units }, { targets }) => {
    const delta = new Float64Array(values.length)
    let loss = 0
    for (let trial = 0; trial < trials; trial++) {
      const last = (trial * steps + steps - 1) * units
      const target = (targets as readonly number[])[trial] ?? 0
      const scores = [...values.subarray(last, last + units)].map(Math.exp)
      const total = scores.reduce((a, b) => a + b, 0)
      scores.forEach((score, k) => {
        delta[last + k] = (score / total - (k === target ? 1 : 0)) / trials
      })
      loss -= Math.log((scores[target] ?? 0) / total) / trials
    }
    return { loss, delta, accuracy: 0.5 }
  }
}

test('training with a custom loss is training with the built-in one', async t => {
  const run = async (loss: Task['loss']) => {
    const model = Model.create(smallNetwork(), { precision: 'f64' })
    const options = {
      rule: 'mdgl',
      iterations: 3,
      validateEvery: 3,
      regulariser: { strength: 0.1, targetRate: 10 }
    } as const
    const metrics = await collect(train(model, { ...sides, loss }, options))
    return { metrics, values: parameters(model) }
  }
  const [built, custom] = [await run({ kind: 'cross-entropy' }), await run(byHand)]
  t.true(built.values.every((value, i) => Math.abs(value - (custom.values[i] ?? Number.NaN)) < 1e-9))
  built.metrics.forEach((metrics, i) => {
    const other = custom.metrics[i]
    for (const key of ['loss', 'regulariser', 'rate', 'gradientNorm'] as const) {
      t.true(Math.abs(metrics[key] - (other?.[key] ?? Number.NaN)) < 1e-9 * Math.abs(metrics[key]), key)
    }
    t.is(other?.accuracy, 0.5)
  })
})

/** Half of the cues of each trial, as events and values: the kinds of input that a task may keep. */
function typedTask(loss: Task['loss'], fresh: boolean): Task {
  const events = new Uint32Array(8 * 3)
  const targets = new Uint32Array(8)
  return {
    ...sides,
    loss,
    batch: async ({ rng }) => {
      const [own, classes] = fresh ? [events.slice(), targets.slice()] : [events, targets]
      for (let trial = 0; trial < 8; trial++) {
        classes[trial] = rng.integer(2)
        own.set([trial, rng.integer(STEPS), rng.integer(20)], trial * 3)
      }
      return { length: STEPS, inputs: { cues: { events: own } }, targets: classes }
    }
  }
}

for (const [kind, loss] of [
  ['built-in', { kind: 'cross-entropy' }],
  ['custom', byHand]
] as const) {
  test(`a task may use its arrays again: ${kind} loss`, async t => {
    const run = async (fresh: boolean) => {
      const options = { rule: 'mdgl', iterations: 6, validateEvery: 2 } as const
      const metrics = await collect(train(Model.create(smallNetwork()), typedTask(loss, fresh), options))
      return metrics.map(({ loss, gradientNorm }) => [loss, gradientNorm])
    }
    t.deepEqual(await run(false), await run(true))
  })
}

test('a task may give its arrays away once the batch is made', async t => {
  const run = async (transfer: boolean) => {
    const task = typedTask({ kind: 'cross-entropy' }, true)
    const giving: Task = {
      ...task,
      batch: async context => {
        const batch = await task.batch(context)
        const { events } = batch.inputs.cues as { events: Uint32Array<ArrayBuffer> }
        const targets = batch.targets as Uint32Array<ArrayBuffer>
        if (transfer) setImmediate(() => structuredClone(0, { transfer: [events.buffer, targets.buffer] }))
        return batch
      }
    }
    const metrics = await collect(train(Model.create(smallNetwork()), giving, { rule: 'mdgl', iterations: 4 }))
    return metrics.map(({ loss }) => loss)
  }
  t.deepEqual(await run(true), await run(false))
})

test('makeBatch makes the batches of a training run', async t => {
  const seen: Batch[] = []
  const spying: Task = {
    ...sides,
    batch: async context => {
      const batch = await sides.batch(context)
      seen.push(batch)
      return batch
    }
  }
  await collect(train(Model.create(smallNetwork()), spying, { rule: 'mdgl', iterations: 2, seed: 3 }))
  const own = (i: number) => ({ ...seen[i], loss: sides.loss })
  t.deepEqual(await makeBatch(sides, { split: 'train', size: 20, seed: 3 }), own(0))
  t.deepEqual(await makeBatch(sides, { split: 'train', size: 20, seed: 3, iteration: 2 }), own(1))
  t.notDeepEqual(await makeBatch(sides, { split: 'test', size: 20, seed: 3 }), own(0))
  await rejectsInvalidAt(t, 'options.size', () => makeBatch(sides, { split: 'test', size: 0, seed: 3 }))
  await rejectsInvalidAt(t, 'options.split', () => makeBatch(sides, { split: 'tset' as never, size: 1, seed: 3 }))
})

test('a custom loss that throws rejects with its own error', async t => {
  const mine = new TypeError('mine')
  const loss: CustomLoss = {
    kind: 'custom',
    evaluate: () => {
      throw mine
    }
  }
  const model = Model.create(smallNetwork())
  t.is(await t.throwsAsync(collect(train(model, { ...sides, loss }, { rule: 'mdgl' }))), mine)
  await collect(train(model, sides, { rule: 'mdgl', iterations: 1 }))
})

test('a batch of Fig. 3C holds distinct patterns', async t => {
  const task = evidenceAccumulation({ cues: 3, delay: 50 })
  const model = Model.create(task.network({ seed: 1 }))
  const seen: string[][] = []
  const spying: Task = {
    ...task,
    batch: async context => {
      const batch = await task.batch(context)
      const cues = batch.inputs.cues
      const rates = cues !== undefined && 'rates' in cues ? cues.rates : []
      const sides = Array.from({ length: context.size }, (_, trial) =>
        rates
          .filter(segment => segment.trial === trial && segment.units[0] < 20)
          .map(segment => (segment.units[0] === 0 ? 'L' : 'R'))
      )
      t.is(batch.length, 3 * 150 + 50 + 150)
      sides.forEach((cues, trial) => {
        const left = cues.filter(cue => cue === 'L').length
        t.is((batch.targets as Uint32Array)[trial], left * 2 > cues.length ? 1 : 0)
      })
      seen.push(sides.map(cues => cues.join('')))
      return batch
    }
  }
  await collect(train(model, spying, { rule: 'mdgl', iterations: 1, batchSize: 16, validateEvery: 0 }))
  t.is(new Set(seen[0]?.slice(0, 8)).size, 8)
  t.is(new Set(seen[0]?.slice(8)).size, 8)
  t.notDeepEqual(seen[0]?.slice(0, 8), seen[0]?.slice(8))
})
