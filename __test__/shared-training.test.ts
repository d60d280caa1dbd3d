import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  type Collective,
  defineRule,
  evaluate,
  evidenceAccumulation,
  gradients,
  MdglError,
  type MergeMessages,
  type Metrics,
  Model,
  makeBatch,
  type Task,
  type TaskContext,
  type TrainOptions,
  train
} from '../src/index.js'
import { builtInTask, TASK_NAMES } from '../src/runs/tasks.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

/** Joins collectives of one process: a round ends when all have spoken. */
function hub(size: number): Collective[] {
  let said: Uint8Array[] = []
  let waiting: ((all: Uint8Array[]) => void)[] = []
  const allGather = (rank: number) => (message: Uint8Array) =>
    new Promise<Uint8Array[]>(resolve => {
      said[rank] = message
      waiting.push(resolve)
      if (waiting.length < size) return
      for (const answer of waiting) answer(said)
      said = []
      waiting = []
    })
  return Array.from({ length: size }, (_, rank) => ({ rank, size, allGather: allGather(rank) }))
}

/** The same with messages that are merged in pairs, whichever come first. */
function mergingHub(size: number): Collective[] {
  type Group = { readonly first: number; readonly end: number; readonly message: Uint8Array }
  let groups: Group[] = []
  let waiting: ((all: Uint8Array) => void)[] = []
  const add = async (group: Group, merge: MergeMessages): Promise<void> => {
    const left = groups.find(({ end }) => end === group.first)
    const right = groups.find(({ first }) => first === group.end)
    const [one, two] = left === undefined ? [group, right] : [left, group]
    groups = groups.filter(other => other !== one && other !== two)
    if (two !== undefined)
      return await add({ first: one.first, end: two.end, message: await merge(one.message, two.message) }, merge)
    groups.push(group)
    if (group.end - group.first < size) return
    groups = []
    const all = waiting
    waiting = []
    for (const answer of all) answer(group.message)
  }
  const allReduce = (rank: number) => (message: Uint8Array, merge: MergeMessages) =>
    new Promise<Uint8Array>((resolve, reject) => {
      waiting.push(resolve)
      add({ first: rank, end: rank + 1, message }, merge).catch(reject)
    })
  return hub(size).map(collective => ({ ...collective, allReduce: allReduce(collective.rank) }))
}

/** Four blocks, the last of two trials; validations of two blocks. */
const options = {
  rule: 'mdgl',
  threads: 1,
  iterations: 4,
  batchSize: 50,
  validateEvery: 2,
  validationSize: 20,
  regulariser: { strength: 1, targetRate: 10 }
} satisfies TrainOptions

type Given = Omit<Partial<TrainOptions>, 'freeze'>

const withoutTime = (metrics: readonly Metrics[]) => metrics.map(({ msPerIteration: _, ...rest }) => rest)

/** A model's file, with the optimiser's state. */
async function saved(model: Model): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-shared-'))
  try {
    const path = join(folder, 'model.safetensors')
    await model.save(path, { optimiser: true })
    return await readFile(path)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Weights with the optimiser's state, and metrics. */
async function trained(given: Given, task: Task = sides) {
  const model = Model.create(smallNetwork())
  const metrics = withoutTime(await collect(train(model, task, { ...options, ...given })))
  return { bytes: await saved(model), metrics }
}

for (const given of [{}, { rule: 'mdgl-online' }, { rule: 'bptt', regulariser: null }] satisfies Given[]) {
  test(`any number of ranks trains the same model: ${JSON.stringify(given)}`, async t => {
    const alone = await trained(given)
    t.is(alone.metrics.length, 6)
    for (const size of [1, 2, 4, 5]) {
      const collectives = [hub(size), mergingHub(size)]
      const ranks = await Promise.all(collectives.flat().map(collective => trained({ ...given, collective })))
      for (const rank of ranks) {
        t.deepEqual(rank.metrics, alone.metrics)
        t.true(rank.bytes.equals(alone.bytes), `${size} ranks`)
      }
    }
  })
}

/** A task that makes the range it is asked for, and keeps what it made. */
function ranged() {
  const made: TaskContext['range'][] = []
  const batch = ({ range, rng }: TaskContext) => {
    made.push(range)
    const trials = Array.from({ length: range.to - range.from }, (_, i) => range.from + i)
    return { ...smallBatch(trials.map(trial => rng.trial(trial).integer(2))), range }
  }
  return { made, task: { ...sides, batch } satisfies Task }
}

test('a task that makes ranges makes only those of its process, and trains the same model', async t => {
  const alone = await trained({})
  t.deepEqual(await trained({}, ranged().task), alone)
  for (const size of [1, 2, 3, 4, 5]) {
    const shares = hub(size).map(collective => ({ collective, ...ranged() }))
    const ranks = await Promise.all(shares.map(({ collective, task }) => trained({ collective }, task)))
    for (const rank of ranks) t.deepEqual(rank, alone, `${size} processes`)
    // Fifty trials are four blocks. A process without one asks for a single trial.
    for (const { made, collective } of shares) {
      const first = (rank: number) => Math.min(50, 16 * Math.floor((4 * rank) / size))
      const [from, to] = [first(collective.rank), first(collective.rank + 1)]
      t.deepEqual(made[0], from < to ? { from, to, of: 50 } : { from: 0, to: 1, of: 50 })
      t.is(made.length, 6)
    }
  }
})

for (const name of TASK_NAMES) {
  test(`processes make and evaluate their own trials of ${name}`, async t => {
    const task = builtInTask(name)
    const model = Model.create(task.network({ seed: 1 }))
    const options = { split: 'validation', size: 38, seed: 3 } as const
    const whole = await makeBatch(task, options)
    t.false('range' in whole)
    const expected = await evaluate(model, whole)
    for (const [size, collectives] of [2, 5].map(size => [size, hub(size)] as const)) {
      const found = collectives.map(async collective => {
        const batch = await makeBatch(task, { ...options, share: collective })
        t.is(batch.range?.of, 38)
        return await evaluate(model, batch, { collective })
      })
      for (const evaluation of await Promise.all(found)) t.deepEqual(evaluation, expected, `${size} processes`)
      const shared = hub(size).map(collective => evaluate(model, whole, { collective }))
      for (const evaluation of await Promise.all(shared)) t.deepEqual(evaluation, expected, 'of the whole batch')
    }
  })
}

test('ranges of permutations are those of the whole batch', async t => {
  const task = evidenceAccumulation({ cues: 3 })
  const options = { split: 'train', size: 70, seed: 3 } as const
  const { targets } = await makeBatch(task, options)
  for (const size of [1, 2, 3, 5]) {
    const ranks = Array.from({ length: size }, (_, rank) => makeBatch(task, { ...options, share: { rank, size } }))
    const parts = await Promise.all(ranks)
    t.deepEqual(
      parts.flatMap(part => Array.from(part.targets as Uint32Array)),
      Array.from(targets as Uint32Array)
    )
  }
})

test('windows are counted over all processes, of which some may have none', async t => {
  const task: Task = {
    ...sides,
    loss: { kind: 'cross-entropy', window: 'targets' },
    batch: ({ range }) => {
      const trials = Array.from({ length: range.to - range.from }, (_, i) => range.from + i)
      const windows = trials.flatMap((trial, i) =>
        trial < 20 ? [{ trial: i, from: 10, to: 40, class: trial % 2 }] : []
      )
      return { ...smallBatch(trials.map(trial => trial % 2)), trials: trials.length, targets: windows, range }
    }
  }
  const alone = await trained({}, task)
  for (const size of [2, 4]) {
    const ranks = await Promise.all(hub(size).map(collective => trained({ collective }, task)))
    for (const rank of ranks) t.deepEqual(rank, alone)
  }
  const model = Model.create(smallNetwork())
  const [first, second] = hub(2)
  const none: Task = {
    ...task,
    batch: context => ({ ...smallBatch([]), trials: 16, targets: [], range: context.range })
  }
  const both = [first, second].map(async collective => {
    const batch = await makeBatch(none, { split: 'test', size: 32, seed: 1, share: collective })
    return await evaluate(model, batch, { collective })
  })
  await Promise.all(both.map(one => rejectsInvalidAt(t, 'targets.choice', () => one)))
})

test('a range that is not the one asked for is refused, and so is a part where no processes share it', async t => {
  const model = Model.create(smallNetwork())
  const share = { rank: 1, size: 2 }
  const options = { split: 'test', size: 50, seed: 1 } as const
  const part = await makeBatch(ranged().task, { ...options, share })
  t.deepEqual(part.range, { from: 32, to: 50, of: 50 })
  await rejectsInvalidAt(t, 'batch.range', () => evaluate(model, part))
  await rejectsInvalidAt(t, 'batch.range', () => gradients(model, part, { rule: 'mdgl' }))
  const [first, second] = hub(2)
  await rejectsInvalidAt(t, 'batch.range', () => evaluate(model, part, { collective: first }))
  const fewer = { ...part, ...smallBatch([0, 1]) }
  await rejectsInvalidAt(t, 'batch.trials', () => evaluate(model, fewer, { collective: second }))
  const other: Task = { ...sides, batch: () => ({ ...smallBatch(), range: { from: 0, to: 4, of: 50 } }) }
  await rejectsInvalidAt(t, 'batch.range', () => makeBatch(other, { ...options, share }))
  await rejectsInvalidAt(t, 'batch.range', () => makeBatch(other, options))
  await rejectsInvalidAt(t, 'options.share.rank', () => makeBatch(sides, { ...options, share: { rank: 2, size: 2 } }))
  await rejectsInvalidAt(t, 'options.share.size', () => makeBatch(sides, { ...options, share: { rank: 0, size: 0 } }))
  const custom = { kind: 'custom', evaluate: () => ({ loss: 0, delta: new Float64Array(0) }) } as const
  await rejectsInvalidAt(t, 'loss', () => evaluate(model, part, { collective: second, loss: custom }))
})

test('what cannot be shared is refused by name', t => {
  const [collective] = hub(2)
  const refuse = (path: string, given: object, task: Task = sides) =>
    invalidAt(t, path, () =>
      train(Model.create(smallNetwork()), task, { ...options, collective, ...given } as TrainOptions)
    )
  refuse('rule.estimator', { rule: 'snap1' })
  refuse('options.rule', { rule: defineRule({ name: 'none', signal: () => new Float64Array(0) }) })
  refuse('loss', {}, { ...sides, loss: { kind: 'custom', evaluate: () => ({ loss: 0, delta: new Float64Array(0) }) } })
  refuse('options.collective', { collective: null })
  refuse('options.collective.allGather', { collective: { rank: 0, size: 1 } })
  refuse('options.collective.size', { collective: { ...collective, size: 0 } })
  refuse('options.collective.rank', { collective: { ...collective, rank: 2 } })
})

test('where messages are merged, the first difference reaches all ranks, too', async t => {
  const runs = mergingHub(3).map((collective, rank) =>
    trained({ collective, rule: rank === 2 ? 'eprop' : 'mdgl', validateEvery: 0 })
  )
  await Promise.all(runs.map(run => rejectsInvalidAt(t, /^messages\[[012]\]\.rule and optimiser$/, () => run)))
})

test('what a collective gives in place of a merged message is refused', async t => {
  const [alone] = hub(1)
  if (alone === undefined) return t.fail()
  const attempt = (allReduce: unknown) => () => trained({ collective: { ...alone, allReduce } as Collective })
  await rejectsInvalidAt(t, 'options.collective.allReduce', attempt('tree'))
  await rejectsInvalidAt(
    t,
    'options.collective.allReduce()',
    attempt(async () => 'all')
  )
  await rejectsInvalidAt(
    t,
    'options.collective.allReduce()',
    attempt(async () => Uint8Array.of(0, 1, 2))
  )
  await rejectsInvalidAt(
    t,
    'messages[0]',
    attempt(async () => Uint8Array.of(5, 1, 2))
  )
  await rejectsInvalidAt(
    t,
    'options.collective.allReduce',
    attempt(async (own: Uint8Array, merge: MergeMessages) => merge(own, 'x' as never))
  )
  await rejectsInvalidAt(
    t,
    'messages[1]',
    attempt(async (own: Uint8Array, merge: MergeMessages) => merge(own, own))
  )
  const lost = new Error('the tree is gone')
  t.is(await t.throwsAsync(attempt(() => Promise.reject(lost))), lost)
})

test('ranks that were given different things all end with an error', async t => {
  const pair = (first: Given, second: Given, task: Task = sides) => {
    const [one, two] = hub(2)
    return [trained({ ...first, collective: one }), trained({ ...second, collective: two }, task)] as const
  }
  for (const [name, value] of [
    ['seed', 7],
    ['iterations', 5],
    ['stopAt', { loss: 0.1 }]
  ] as const) {
    const runs = pair({}, { [name]: value })
    await Promise.all(runs.map(run => rejectsInvalidAt(t, `options.${name}`, () => run)))
  }
  const other: Task = { ...sides, batch: ({ size }) => smallBatch(Array.from({ length: size }, () => 1)) }
  const batches = pair({}, {}, other)
  const paths = ['messages[1].batch', 'messages[0].batch']
  await Promise.all(batches.map((run, rank) => rejectsInvalidAt(t, paths[rank] ?? '', () => run)))
  const rules = pair({}, { rule: 'eprop' })
  await Promise.all(rules.map(run => rejectsInvalidAt(t, /^messages\[[01]\]\.(stage|rule and optimiser)$/, () => run)))
})

/** Alone, but for the answers from one call on. */
function changed(from: number, answer: (message: Uint8Array) => unknown): Collective {
  let calls = 0
  return {
    rank: 0,
    size: 1,
    allGather: async message => (++calls < from ? [message] : answer(message)) as Uint8Array[]
  }
}

// The first call is about the options; a step of this rule makes two.
const SECOND_STEP = 4

/** Trains until the error; the model must be as the first iteration left it, and free. */
async function failsInSecondStep(t: ExecutionContext, collective: Collective, given: Given = {}) {
  const model = Model.create(smallNetwork())
  const reference = await trained({ iterations: 1, validateEvery: 0 })
  const error = await t.throwsAsync(
    collect(train(model, sides, { ...options, ...given, validateEvery: 0, collective }))
  )
  t.true((await saved(model)).equals(reference.bytes))
  await collect(train(model, sides, { ...options, iterations: 1 }))
  return error
}

test('a collective that fails ends the training and leaves the model at the last iteration', async t => {
  const lost = new Error('rank 1 is gone')
  const thrown = await failsInSecondStep(
    t,
    changed(SECOND_STEP, () => Promise.reject(lost))
  )
  t.is(thrown, lost)
  const wrong: [string | RegExp, (message: Uint8Array) => unknown][] = [
    ['options.collective.allGather()', () => undefined],
    ['options.collective.allGather()', message => [message, message]],
    ['options.collective.allGather()[0]', () => ['text']],
    ['options.collective.allGather()[0]', () => [new Uint8Array(new SharedArrayBuffer(8))]],
    ['messages[0]', () => [new Uint8Array(0)]],
    ['messages[0]', message => [message.subarray(0, message.length - 1)]],
    ['messages[0]', message => [message.with(message.length >> 1, (message[message.length >> 1] ?? 0) ^ 4)]]
  ]
  for (const [path, answer] of wrong) {
    for (const call of [SECOND_STEP, SECOND_STEP + 1]) {
      const error = await failsInSecondStep(t, changed(call, answer))
      t.true(error instanceof MdglError && error.code === 'invalid' && error.path === path, String(error))
    }
  }
})

test('an abort while a message is on its way rejects with its reason', async t => {
  const leave = new AbortController()
  const never = changed(SECOND_STEP, () => {
    setImmediate(() => leave.abort('enough'))
    return new Promise(() => undefined)
  })
  const model = Model.create(smallNetwork())
  const iterator = train(model, sides, { ...options, validateEvery: 0, collective: never, signal: leave.signal })
  await iterator.next()
  const reason = await iterator.next().then(
    () => t.fail(),
    error => error
  )
  t.is(reason, 'enough')
})
