import test from 'ava'
import { type Batch, evaluate, MdglError, Model, network, simulate } from '../src/index.js'
import { smallNetwork } from './helpers/small.js'

const STEPS = 60
const loss = { kind: 'cross-entropy' } as const

/** Events of every unit, from the second step on, in all four trials. */
function events(buffer?: ArrayBuffer): Uint32Array {
  const triples = Array.from({ length: 4 * 20 * 8 }, (_, i) => [i % 4, 1 + ((i * 7) % (STEPS - 1)), i % 20]).flat()
  const array = buffer === undefined ? new Uint32Array(triples.length) : new Uint32Array(buffer)
  array.set(triples)
  return array
}

function batchOf(cues: Batch['inputs'][string]): Batch {
  return { length: STEPS, trials: 4, inputs: { cues }, targets: Uint32Array.of(0, 1, 1, 0) }
}

const transfer = (array: Uint32Array | Float64Array) =>
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] })

test('what happens to an array after the call does not reach the engine', async t => {
  const model = Model.create(smallNetwork())
  const expected = await simulate(model, batchOf({ events: events() }))
  t.true(expected.spikes.length > 0)
  for (const spoil of [(array: Uint32Array) => void array.fill(0), transfer]) {
    const given = events()
    const running = simulate(model, batchOf({ events: given }))
    spoil(given)
    t.deepEqual((await running).spikes, expected.spikes)
  }
})

test('values and targets are copied at the call as well, doubles and floats alike', async t => {
  const model = Model.create(regression())
  const values = Float64Array.from({ length: 4 * STEPS * 20 }, (_, i) => (i % 9 === 0 ? 0.5 : 0))
  const targets = Float64Array.from({ length: 4 * STEPS }, (_, i) => (i % 5) / 4)
  const run = (analogue: Float64Array | Float32Array, wanted: Float64Array | Float32Array) =>
    evaluate(
      model,
      { length: STEPS, trials: 4, inputs: { cues: { analogue } }, targets: wanted },
      { loss: { kind: 'squared-error' } }
    )
  const expected = await run(values, targets)
  t.true(expected.loss > 0 && expected.rate > 0)
  t.deepEqual(await run(Float32Array.from(values), Float32Array.from(targets)), expected)
  const running = run(values, targets)
  transfer(values)
  targets.fill(9)
  t.deepEqual(await running, expected)
})

function regression() {
  return network({ seed: 3 })
    .input('cues', 20)
    .lif('cells', 30)
    .readout('value', 1)
    .project('cues', 'cells', { density: 0.5, initialise: { scheme: 'normal', standardDeviation: 0.05 } })
    .project('cells', 'value', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.1 } })
    .build()
}

test('an array over a resizable buffer is taken at its length of the moment', async t => {
  const model = Model.create(smallNetwork())
  const whole = await simulate(model, batchOf({ events: events() }))
  const bytes = events().byteLength
  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number }
  ) => ArrayBuffer & { resize(length: number): void }
  const buffer = new Resizable(bytes, { maxByteLength: 2 * bytes })
  const given = events(buffer)
  const running = simulate(model, batchOf({ events: given }))
  buffer.resize(12)
  t.deepEqual((await running).spikes, whole.spikes)
  const one = await simulate(model, batchOf({ events: given }))
  const first = await simulate(model, batchOf({ events: events().slice(0, 3) }))
  t.deepEqual(one.spikes, first.spikes)
})

test('a bad event among many is named by its place', async t => {
  const model = Model.create(smallNetwork())
  const many = new Uint32Array(3 * 100_000)
  many[3 * 77_777 + 1] = STEPS
  const error = await t.throwsAsync(evaluate(model, batchOf({ events: many }), { loss }), { instanceOf: MdglError })
  t.is(error?.message, 'batch.inputs.cues[77777].step is 60; allowed: 0 to 59 (the trial has 60 steps).')
  many[3 * 77_777 + 1] = 0
  many[3 * 55_555] = 4
  const lengths = { ...batchOf({ events: many }), length: [STEPS, STEPS, 30, STEPS] }
  await t.throwsAsync(evaluate(model, lengths, { loss }), { message: /^batch\.inputs\.cues\[55555\]\.trial is 4; / })
  many[3 * 55_555] = 2
  many[3 * 55_555 + 1] = 30
  await t.throwsAsync(evaluate(model, lengths, { loss }), { message: /^batch\.inputs\.cues\[55555\]\.step is 30; / })
})
