import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  type Collective,
  defineRule,
  MdglError,
  type Metrics,
  Model,
  type Task,
  type TrainOptions,
  train
} from '../src/index.js'
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
      const ranks = await Promise.all(hub(size).map(collective => trained({ ...given, collective })))
      for (const rank of ranks) {
        t.deepEqual(rank.metrics, alone.metrics)
        t.true(rank.bytes.equals(alone.bytes), `${size} ranks`)
      }
    }
  })
}

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
