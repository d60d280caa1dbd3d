import test from 'ava'
import {
  gradients,
  Model,
  type NoiseCurrent,
  network,
  nirToBytes,
  type Population,
  type StepCurrent,
  simulate
} from '../src/index.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'

type Injected = Pick<Population, 'noise' | 'currents'>

/** Cells whose membrane is their input: without memory, thresholds out of reach. */
const bare = (given: Injected, dt = 1) =>
  Model.create(
    network({ dt, seed: 4 })
      .lif('a', 5, { membraneTimeConstant: 0, threshold: 1e6, ...given })
      .cubaLif('b', 5, { membraneTimeConstant: 0, synapticTimeConstant: 7, threshold: 1e6, ...given })
      .readout('out', 2)
      .project('a', 'out', { density: 1 })
      .build(),
    { precision: 'f64' }
  )

const noise = { mean: 0.5, standardDeviation: 0.2, timeConstant: 5 } as const
const voltages = async (model: Model, seed?: number, threads = 1) => {
  const { voltage } = await simulate(
    model,
    { length: 100, trials: 20, inputs: {} },
    { voltage: true, threads, ...(seed !== undefined && { seed }) }
  )
  return voltage as Float64Array
}

test('step currents flow from their start to their end, into either kind of cell', async t => {
  const currents = [
    { from: 2, to: 4.1, amplitude: 0.5 },
    { from: 3, to: 5, amplitude: 0.25 }
  ]
  const model = bare({ currents }, 0.5)
  t.deepEqual(model.description.populations[0]?.currents, [{ from: 2, to: 4, amplitude: 0.5 }, currents[1]])
  const { voltage = [] } = await simulate(model, { length: 7, trials: 1, inputs: {} }, { voltage: true })
  const expected = Array.from(
    { length: 14 },
    (_, step) => (step >= 4 && step < 8 ? 0.5 : 0) + (step >= 6 && step < 10 ? 0.25 : 0)
  )
  expected.forEach((value, step) => {
    for (let cell = 0; cell < 10; cell++) t.true(Math.abs((voltage[step * 10 + cell] ?? 9) - value) < 1e-12, `${step}`)
  })
})

test('noise has its mean and deviation, follows its seed, and is the same for every number of threads', async t => {
  const model = bare({ noise })
  const values = await voltages(model)
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
  // 200 processes of 100 steps, about ten of which are independent.
  t.true(Math.abs(mean - 0.5) < 0.025, `${mean}`)
  t.true(Math.abs(deviation - 0.2) < 0.02, `${deviation}`)
  t.deepEqual(await voltages(model, undefined, 2), values)
  t.deepEqual(await voltages(bare({ noise }), 4), values)
  t.notDeepEqual(await voltages(model, 5), values)
})

test('noise changes the gradient and has none', async t => {
  const model = Model.create(
    network({ seed: 1 })
      .lif('cells', 20, { noise: { mean: 0.01, standardDeviation: 0.02, timeConstant: 3 } })
      .readout('out', 2)
      .project('cells', 'cells', { probability: 0.3 })
      .project('cells', 'out', { density: 1 })
      .build()
  )
  const batch = { length: 60, inputs: {}, targets: [0, 1] }
  const found = await gradients(model, batch, { rule: 'mdgl', loss: { kind: 'cross-entropy' } })
  t.deepEqual(Object.keys(found.projections), ['cells->cells', 'cells->out'])
  t.true(found.norm > 0)
})

test('a session goes on with its noise where its state is put back, and resets to another', t => {
  const model = bare({ noise, currents: [{ from: 0, to: 3, amplitude: 0.1 }] })
  const open = (seed = 4) => Model.create(model.description, { precision: 'f64' }).session({ seed })
  const run = (session = open()) =>
    Array.from({ length: 6 }, () => {
      session.step()
      return [...(session.state().noise?.values ?? [])]
    })
  const session = open()
  const first = run(session)
  t.deepEqual(run(), first)
  t.notDeepEqual(run(open(5)), first)
  const state = structuredClone(session.state())
  t.is(state.noise?.trial, 0)
  t.is(state.noise?.values.length, 10)
  const other = open()
  other.restore(state)
  t.deepEqual(run(other), run(session))
  session.reset()
  t.is(session.state().noise?.trial, 1)
  t.notDeepEqual(run(session), first)
  const { noise: _, ...without } = state
  invalidAt(t, 'state.noise', () => session.restore(without as never))
  invalidAt(t, 'state.noise.values', () =>
    session.restore({ ...state, noise: { trial: 0, values: Float64Array.of(1) } })
  )
  invalidAt(t, 'state.noise.trial', () =>
    session.restore({ ...state, noise: { trial: -1, values: Float64Array.of(1) } })
  )
})

test('currents that cannot be are refused by their path', async t => {
  const build = (given: Injected) => network().lif('a', 2, given).build()
  for (const [wrong, key] of [
    [{ ...noise, mean: Number.NaN }, 'mean'],
    [{ ...noise, standardDeviation: -1 }, 'standardDeviation'],
    [{ ...noise, timeConstant: 0.3 }, 'timeConstant'],
    [{ ...noise, sd: 1 }, 'sd']
  ] as const) {
    invalidAt(t, `populations.a.noise.${key}`, () => build({ noise: wrong as NoiseCurrent }))
  }
  const current = { from: 1, to: 3, amplitude: 0.1 }
  for (const [wrong, key] of [
    [{ ...current, from: -1 }, 'from'],
    [{ ...current, from: 4 }, 'from'],
    [{ ...current, to: 1.3 }, 'to'],
    [{ ...current, amplitude: Number.POSITIVE_INFINITY }, 'amplitude'],
    [{ ...current, amplitude: 1e300 }, 'amplitude']
  ] as const) {
    invalidAt(t, `populations.a.currents[1].${key}`, () => build({ currents: [current, wrong as StepCurrent] }))
  }
  invalidAt(t, 'populations.a.currents', () => build({ currents: current as never }))
  for (const [key, given] of [
    ['noise', { noise }],
    ['currents', { currents: [current] }]
  ] as const) {
    const model = Model.create(
      network()
        .lif('a', 2, { refractoryPeriod: 0, ...given })
        .build()
    )
    await rejectsInvalidAt(t, `populations.a.${key}`, () => nirToBytes(model))
  }
})
