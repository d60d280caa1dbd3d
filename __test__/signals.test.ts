import { getEventListeners } from 'node:events'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { defineRule, evaluate, gradients, Model, network, simulate, train } from '../src/index.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const { loss } = sides
const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

/** V8's own function, which a process has that was started with `--expose-gc`. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

test.serial('many calls on one signal leave no listener and no dependent signal behind, and nothing warns', async t => {
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  const { any } = AbortSignal
  AbortSignal.any = () => {
    throw new Error('a signal was made that depends on the caller’s')
  }
  t.teardown(() => {
    AbortSignal.any = any
    process.off('warning', warned)
  })
  const model = Model.create(smallNetwork())
  const { signal } = new AbortController()
  const rule = defineRule({ name: 'own', signal: ({ learningSignal }) => learningSignal })
  const calls = [
    ...Array.from({ length: 12 }, () => evaluate(model, smallBatch(), { loss, signal })),
    ...Array.from({ length: 6 }, () => gradients(model, smallBatch(), { rule, loss, signal })),
    simulate(model, smallBatch(), { signal })
  ]
  t.true(listeners(signal) <= 1, `${listeners(signal)} listeners`)
  await Promise.all(calls)
  t.is(listeners(signal), 0)
  for (let run = 0; run < 3; run++) await collect(train(model, sides, { rule: 'eprop', iterations: 1, signal }))
  t.is(listeners(signal), 0)
  await setImmediate()
  t.deepEqual(warnings, [])
})

test('one listener stops all that waits for its signal, and each rejects with the reason', async t => {
  const model = Model.create(smallNetwork())
  const stop = new AbortController()
  const reason = new Error('enough')
  const endless = { ...smallBatch(), length: 3e5, inputs: {} }
  const calls = Array.from({ length: 12 }, () => evaluate(model, endless, { loss, signal: stop.signal }))
  const training = train(
    model,
    { ...sides, batch: () => new Promise(() => undefined) },
    { rule: 'eprop', signal: stop.signal }
  )
  const next = training.next()
  await setImmediate()
  t.is(listeners(stop.signal), 1)
  stop.abort(reason)
  const ends = await Promise.allSettled([...calls, next])
  t.deepEqual(
    ends,
    ends.map(() => ({ status: 'rejected', reason }))
  )
  t.is(listeners(stop.signal), 0)
})

test('a signal that has aborted rejects with its reason at once', async t => {
  const model = Model.create(smallNetwork())
  const reason = new Error('before')
  const signal = AbortSignal.abort(reason)
  t.is(await t.throwsAsync(evaluate(model, smallBatch(), { loss, signal })), reason)
  t.is(await t.throwsAsync(train(model, sides, { rule: 'eprop', signal }).next()), reason)
})

/** As one of another realm, or of a library: no instance of this realm's class. */
class ForeignSignal extends EventTarget {
  aborted = false
  reason: unknown
  get [Symbol.toStringTag](): string {
    return 'AbortSignal'
  }
  abort(reason: unknown): void {
    this.aborted = true
    this.reason = reason
    this.dispatchEvent(new Event('abort'))
  }
}

test('a signal of another realm stops what it was given to', async t => {
  const model = Model.create(smallNetwork())
  const foreign = new ForeignSignal()
  const signal = foreign as unknown as AbortSignal
  t.is((await evaluate(model, smallBatch(), { loss, signal })).accuracy !== null, true)
  const reason = new Error('from elsewhere')
  const call = evaluate(model, { ...smallBatch(), length: 3e5, inputs: {} }, { loss, signal })
  await setImmediate()
  foreign.abort(reason)
  t.is(await t.throwsAsync(call), reason)
})

test('a signal that lives on keeps no training that was forgotten', async t => {
  const collectGarbage = garbageCollector()
  const { signal } = new AbortController()
  const begin = async () => {
    const model = Model.create(smallNetwork())
    await train(model, sides, { rule: 'eprop', signal }).next()
  }
  for (let run = 0; run < 5; run++) await begin()
  t.is(listeners(signal), 1)
  for (let turn = 0; turn < 50 && listeners(signal) > 0; turn++) {
    collectGarbage()
    await setTimeout(10)
  }
  t.is(listeners(signal), 0)
})

// Alone, since it measures the time of the process's threads, which is the same on a busy machine.
test.serial('an abort is seen while the inputs of a very long trial are laid out', async t => {
  const steps = 1e8
  const description = network({ seed: 1 })
    .input('in', 1)
    .lif('cells', 1)
    .readout('out', 1)
    .project('in', 'cells', { density: 1 })
    .project('cells', 'out', { density: 1 })
    .build()
  const rates = [{ trial: 0, units: [0, 1] as const, from: 0, to: steps, rate: 50 }]
  const long = { length: steps, trials: 1, inputs: { in: { rates } }, targets: [0] }
  const stop = new AbortController()
  const call = evaluate(Model.create(description), long, { loss, signal: stop.signal })
  await setTimeout(100)
  const before = process.cpuUsage()
  stop.abort(new Error('enough'))
  await t.throwsAsync(call, { message: 'enough' })
  // To the end of the layout it took 15 s.
  const { user, system } = process.cpuUsage(before)
  t.true(user + system < 3e6, `${user + system} µs of processor time`)
})
