import test from 'ava'
import { evaluate, type InputValues, Model, network, simulate } from '../src/index.js'
import { STEPS, smallBatch, smallNetwork } from './helpers/small.js'

/** One cell, one readout unit, weights that can be followed by hand. */
function oneCell() {
  return network()
    .input('in', 1)
    .lif('cell', 1, { refractoryPeriod: 2 })
    .readout('out', 1, { bias: false })
    .project('in', 'cell', { connections: { pre: [0], post: [0], values: [0.5] } })
    .project('cell', 'out', { connections: { pre: [0], post: [0], values: [1] } })
    .build()
}

test('one cell follows the equations', async t => {
  const model = Model.create(oneCell(), { precision: 'f64' })
  const events = new Uint32Array([0, 1, 0, 0, 2, 0, 0, 2, 0])
  const { spikes, voltage, readout, shape } = await simulate(
    model,
    { length: 5, trials: 1, inputs: { in: { events } } },
    { voltage: true }
  )
  t.deepEqual([shape.trials, shape.steps, shape.neurons, shape.units], [1, 5, 1, 1])
  // The refractory period blocks steps 2 and 3.
  t.deepEqual([...spikes], [0, 1, 0, 0, 4, 0])
  const alpha = Math.exp(-1 / 20)
  const input = [0, 1, 2, 0, 0]
  const spike = [0, 1, 0, 0, 1]
  let v = 0
  let y = 0
  input.forEach((x, step) => {
    v = alpha * v + (1 - alpha) * 0.5 * x - 0.01 * (spike[step - 1] ?? 0)
    y = alpha * y + (1 - alpha) * (spike[step] ?? 0)
    t.true(Math.abs((voltage?.[step] ?? Number.NaN) - v) < 1e-12)
    t.true(Math.abs((readout[step] ?? Number.NaN) - y) < 1e-12)
  })
})

test('events, triples and analogue values of the same counts do the same', async t => {
  const model = Model.create(oneCell(), { precision: 'f64' })
  const run = async (input: InputValues) => {
    const { readout } = await simulate(model, { length: 4, trials: 1, inputs: { in: input } })
    return [...readout]
  }
  const flat = await run({ events: new Uint32Array([0, 0, 0, 0, 2, 0]) })
  t.deepEqual(
    await run({
      events: [
        [0, 0, 0],
        [0, 2, 0]
      ]
    }),
    flat
  )
  t.deepEqual(await run({ analogue: new Float32Array([1, 0, 1, 0]) }), flat)
})

test('names of Object.prototype are names like others', async t => {
  const description = network().input('constructor', 2).lif('__proto__', 3).readout('toString', 1).build()
  const { shape } = await simulate(Model.create(description), { length: 4, trials: 1, inputs: {} })
  t.deepEqual(Object.entries(shape.populations), [['__proto__', { from: 0, to: 3 }]])
  t.deepEqual(Object.keys(shape.readouts), ['toString'])
})

test('the seed decides the drawn events', async t => {
  const model = Model.create(smallNetwork())
  const [one, again, other] = await Promise.all(
    [1, 1, 2].map(seed => simulate(model, smallBatch(), { seed }).then(({ spikes }) => [...spikes]))
  )
  t.deepEqual(one, again)
  t.notDeepEqual(one, other)
})

test('trials may differ in length', async t => {
  const model = Model.create(smallNetwork())
  const batch = { ...smallBatch([0, 1]), length: [STEPS, STEPS / 2] }
  const cues = { rates: [{ trial: 0, units: [0, 20] as const, from: 0, to: STEPS, rate: 200 }] }
  const { spikes, shape } = await simulate(model, { ...batch, inputs: { cues } })
  t.is(shape.steps, STEPS)
  for (let i = 0; i < spikes.length; i += 3) t.is(spikes[i], 0)
})

test('learning and modulatory signals come with a rule and a loss', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const options = { rule: 'mdgl', loss: { kind: 'cross-entropy' } } as const
  const { learningSignal, modulatorySignal, shape } = await simulate(model, smallBatch(), options)
  const size = shape.trials * shape.steps * shape.neurons
  t.is(learningSignal?.length, size)
  t.is(modulatorySignal?.length, size)
  t.true(learningSignal?.some(value => value !== 0))
  t.true(modulatorySignal?.some(value => value !== 0))
  const eprop = await simulate(model, smallBatch(), { ...options, rule: 'eprop' })
  t.deepEqual(eprop.learningSignal, learningSignal)
  t.true(eprop.modulatorySignal?.every(value => value === 0))
})

test('evaluate gives loss, accuracy and rate', async t => {
  const model = Model.create(smallNetwork())
  const { loss, accuracy, rate, regulariser } = await evaluate(model, smallBatch(), { loss: { kind: 'cross-entropy' } })
  t.true(loss > 0)
  t.true(accuracy !== null && accuracy >= 0 && accuracy <= 1)
  t.true(rate > 0)
  t.is(regulariser, 0)
})

test('evaluate of a squared error knows no accuracy', async t => {
  const model = Model.create(smallNetwork())
  const targets = new Float64Array(STEPS * 2).fill(0.1)
  const batch = { ...smallBatch([1]), trials: 1, targets }
  const regulariser = { strength: 1, targetRate: 10 }
  const result = await evaluate(model, batch, { loss: { kind: 'squared-error' }, regulariser })
  t.is(result.accuracy, null)
  t.true(result.loss > 0 && result.regulariser > 0)
})

test('input events are recorded as they were drawn or given', async t => {
  const model = Model.create(smallNetwork())
  const given = {
    length: 5,
    inputs: {
      cues: {
        events: [
          [0, 1, 3],
          [0, 1, 3],
          [0, 4, 0],
          [1, 0, 19]
        ]
      }
    },
    targets: [0, 1]
  } as const
  const { inputs } = await simulate(model, given, { inputs: true })
  t.deepEqual([...(inputs ?? [])], [0, 1, 3, 0, 1, 3, 0, 4, 0, 1, 0, 19])
  t.is((await simulate(model, given)).inputs, undefined)

  const drawn = await simulate(model, smallBatch(), { inputs: true, seed: 4 })
  const events = Array.from(
    { length: (drawn.inputs?.length ?? 0) / 3 },
    (_, i) => drawn.inputs?.subarray(3 * i, 3 * i + 3) ?? []
  )
  t.true(events.length > 100)
  t.true(events.every(([trial = 0, , unit = 0]) => Math.floor(unit / 10) === [0, 1, 1, 0][trial]))
  const again = {
    ...smallBatch(),
    inputs: { cues: { events: events.map(([a = 0, b = 0, c = 0]) => [a, b, c] as const) } }
  }
  t.deepEqual((await simulate(model, again)).spikes, drawn.spikes)
})
