import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { evaluate, evidenceAccumulation, MdglError, Model, network, train } from '../src/index.js'
import { scratch } from './helpers/scratch.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const run = promisify(execFile)
const library = new URL('../src/index.ts', import.meta.url).href
const imports = `import { MdglError, Model, evidenceAccumulation, network, train } from ${JSON.stringify(library)}\n`
const typescript = ['--import', '@oxc-node/core/register']

/** Runs a script in a process of its own. */
async function script(body: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const args = [...typescript, '--input-type=module', '--eval', imports + body]
  const { stdout } = await run(process.execPath, args, { env: { ...process.env, ...env } })
  return stdout.trim()
}

/** Its weights take tens of milliseconds. */
const large = (seed: number) =>
  network({ seed })
    .input('in', 10)
    .lif('cells', 300)
    .project('in', 'cells', { density: 0.1 })
    .project('cells', 'cells', { density: 0.1 })
    .build()

// From a callback of the poll phase the event loop comes to its immediates before it can poll for what a thread has done: the order says
// whether the weights were drawn within the call, whatever the machine's load.
test('a model made aside is the same, and the event loop goes on before it is there', async t => {
  const order: string[] = []
  await stat('.')
  setImmediate(() => order.push('next phase'))
  const model = await Model.createAsync(large(2), { precision: 'f64' })
  order.push('model')
  t.deepEqual(order, ['next phase', 'model'])
  const twin = Model.create(large(2), { precision: 'f64' })
  t.deepEqual(model.weights.get('cells->cells'), twin.weights.get('cells->cells'))
  t.deepEqual(model.description, twin.description)
})

// The eigenvalues of its weights, whose largest scales them, were looked for without end.
test('the weights of Fig. 3C with seed 821 are drawn', async t => {
  const model = await Model.createAsync(evidenceAccumulation().network({ seed: 821 }))
  t.true(model.weights.get('cells->cells').values.every(weight => Math.abs(weight) < 10))
})

test('a model made aside refuses what is refused', async t => {
  const error = await t.throwsAsync(Model.createAsync({ ...smallNetwork(), dt: 0 }), { instanceOf: MdglError })
  t.is(error.path, 'dt')
  const late = { ...smallNetwork(), channels: [{ name: 'a', from: 'nobody', to: 'excitatory', gain: 1 }] }
  t.is((await t.throwsAsync(Model.createAsync(late as never), { instanceOf: MdglError })).code, 'invalid')
})

const trained = async (threads: number | undefined, seed: number) => {
  const model = Model.create(smallNetwork({ seed }))
  await collect(train(model, sides, { rule: 'mdgl', seed, ...(threads && { threads }) }))
  return model.weights.get('cells->cells').values
}

test('many runs at once, with one thread or more than there are, give what each gives alone', async t => {
  const seeds = [1, 2, 3, 4, 5, 6]
  const alone = []
  for (const seed of seeds) alone.push(await trained(1, seed))
  const together = await Promise.all(seeds.map(seed => trained([1, 2, 64, undefined][seed % 4], seed)))
  t.deepEqual(together, alone)
})

test('a run that waits for its turn is aborted at once', async t => {
  const output = await script(
    `const task = evidenceAccumulation()
    // Seconds of work an iteration, whatever the machine.
    const long = evidenceAccumulation({ delay: 60_000 })
    let begun
    const has = new Promise(resolve => { begun = resolve })
    // The second batch is made once the first is with the engine.
    const told = { ...long, batch: context => { if (context.iteration === 2) begun(); return long.batch(context) } }
    const busy = train(Model.create(long.network({ seed: 1 })), told, { rule: 'bptt', batchSize: 256 })
    const first = busy.next()
    await has
    const stop = new AbortController()
    const waiting = train(Model.create(task.network({ seed: 2 })), task, { rule: 'bptt', batchSize: 1, signal: stop.signal })
    const second = waiting.next().catch(error => console.log(error))
    setTimeout(() => stop.abort('stopped'), 100)
    await second
    console.log(await Promise.race([first.then(() => 'the other has ended'), new Promise(resolve => setImmediate(resolve, 'the other computes'))]))
    process.exit()`,
    { MDGL_THREADS: '1' }
  )
  t.is(output, 'stopped\nthe other computes')
})

test('MDGL_THREADS must be a number of threads', async t => {
  const body = `try {
      await train(Model.create(network().lif('cells', 1).readout('out', 1).build()), evidenceAccumulation(), { rule: 'eprop' }).next()
    } catch (error) {
      console.log(error instanceof MdglError, error.code, error.path, error.value)
    }`
  t.is(await script(body, { MDGL_THREADS: 'many' }), 'true invalid MDGL_THREADS many')
})

test('leaving the block of an `await using` stops a run', async t => {
  const model = Model.create(smallNetwork())
  const training = train(model, sides, { rule: 'mdgl', iterations: 1000 })
  await training.next()
  await training[Symbol.asyncDispose]()
  t.deepEqual(await training.next(), { done: true, value: undefined })
  // Nobody trains it any more: it can be changed.
  model.weights.set('cells->cells', model.weights.get('cells->cells').values)
})

test('what is dropped without a word is collected, its thread too', async t => {
  const output = await script(
    `const task = evidenceAccumulation({ cues: 1, delay: 50 })
    for (let i = 0; i < 200; i++) {
      const training = train(Model.create(task.network({ seed: i })), task, { rule: 'mdgl', batchSize: 1 })
      await training.next()
    }
    const { readdirSync, readFileSync } = await import('node:fs')
    const comm = id => { try { return readFileSync('/proc/self/task/' + id + '/comm', 'utf8') } catch { return '' } }
    const threads = () => process.platform === 'linux' ? readdirSync('/proc/self/task').filter(id => comm(id).startsWith('mdgl')).length : 0
    // Threads end when the system comes to them; where one never did, this would not end.
    do { globalThis.gc(); await new Promise(resolve => setTimeout(resolve, 20)) } while (threads() >= 20)
    console.log(true)`,
    { NODE_OPTIONS: '--expose-gc' }
  )
  t.is(output, 'true')
})

const start = `
  const task = evidenceAccumulation()
  const model = Model.create(task.network({ seed: 1 }))
  const training = train(model, task, { rule: 'bptt' })`

test('a process may exit in the middle of training', async t => {
  const output = await script(`${start}
    training.next().catch(() => {})
    setTimeout(() => { console.log('leaving'); process.exit() }, 20)`)
  t.is(output, 'leaving')
})

test('a process ends by itself after training, disposed of or not', async t => {
  const output = await script(`${start}
    for await (const { iteration } of training) if (iteration === 2) break
    const abandoned = train(model, task, { rule: 'mdgl' })
    await abandoned.next()
    console.log('done')`)
  t.is(output, 'done')
})

/** Ends a worker while it does something. */
const terminated = (body: string) =>
  script(`
    import { Worker } from 'node:worker_threads'
    const code = ${JSON.stringify(`${imports}import { parentPort } from 'node:worker_threads'\n${body}\nparentPort.postMessage('started')`)}
    const worker = new Worker(code, { eval: true })
    await new Promise(resolve => worker.once('message', resolve))
    await new Promise(resolve => setTimeout(resolve, 20))
    await worker.terminate()
    console.log('terminated')`)

test('a worker may be terminated in the middle of training', async t => {
  t.is(await terminated(`${start}\ntraining.next().catch(() => {})`), 'terminated')
})

test('a worker may be terminated while a model is made', async t => {
  const body = `Model.createAsync(network().lif('cells', 400).project('cells', 'cells', { density: 0.1 }).build())`
  t.is(await terminated(body), 'terminated')
})

test('tests of Node itself can use it', async t => {
  const file = join(scratch('embedding'), 'training.test.mjs')
  writeFileSync(
    file,
    `${imports}import { test } from 'node:test'
    import assert from 'node:assert'
    test('trains', async () => {
      const task = evidenceAccumulation({ cues: 1, delay: 50 })
      const { value } = await train(Model.create(task.network({ seed: 1 })), task, { rule: 'mdgl' }).next()
      assert.ok(value.loss > 0)
    })`
  )
  const env: NodeJS.ProcessEnv = { ...process.env }
  // Set where this test itself runs under a test runner of Node's.
  delete env.NODE_TEST_CONTEXT
  const { stdout } = await run(process.execPath, [...typescript, '--test', '--test-reporter=tap', file], { env })
  t.regex(stdout, /^# pass 1$/m)
})

test('a model is evaluated while it is trained', async t => {
  const task = evidenceAccumulation({ cues: 1, delay: 50 })
  const model = Model.create(smallNetwork())
  const training = train(model, sides, { rule: 'mdgl', iterations: 3 })
  await training.next()
  const [evaluation] = await Promise.all([evaluate(model, smallBatch(), { loss: task.loss }), training.next()])
  t.true(evaluation.loss > 0)
  await training.return()
})
