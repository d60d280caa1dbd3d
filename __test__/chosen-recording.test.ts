import test from 'ava'
import { denseRecording, Model, network, simulate } from '../src/index.js'
import { rejectsInvalidAt } from './helpers/expect.js'

const description = network({ seed: 3 })
  .input('in', 6)
  .alif('slow', 5, { adaptationTimeConstant: 50 })
  .cubaLif('charged', 4, { synapticTimeConstant: 10 })
  .readout('out', 2)
  .project('in', ['slow', 'charged'], { density: 1, initialise: { scheme: 'constant', value: 0.05 } })
  .project(['slow', 'charged'], 'out', { density: 1 })
  .build()
const batch = {
  length: [60, 50, 60],
  targets: [0, 1, 0],
  inputs: { in: { rates: [0, 1, 2].map(trial => ({ trial, units: [0, 6] as const, from: 0, to: 50, rate: 200 })) } }
} as const
const signals = { rule: 'mdgl', loss: { kind: 'cross-entropy' } } as const

for (const precision of ['f32', 'f64'] as const) {
  for (const layout of ['trial-time-unit', 'time-trial-unit'] as const) {
    test(`chosen units have the numbers of the whole recording, ${precision}, ${layout}`, async t => {
      const model = Model.create(description, { precision })
      const whole = await simulate(model, batch, { ...signals, voltage: true })
      const { recorded, shape } = await simulate(model, batch, {
        ...signals,
        layout,
        threads: 2,
        record: {
          charged: { variables: ['spikes', 'voltage', 'current'], units: [3, 1] },
          slow: ['voltage', 'adaptation', 'learningSignal', 'modulatorySignal'],
          out: { variables: ['readout'], units: Uint32Array.of(1) }
        }
      })
      t.deepEqual(shape, whole.shape)
      t.deepEqual(Object.keys(recorded.charged).sort(), ['current', 'spikes', 'units', 'voltage'])
      t.deepEqual([recorded.charged.units, recorded.slow.units], [Uint32Array.of(3, 1), Uint32Array.of(0, 1, 2, 3, 4)])
      for (const name of ['voltage', 'learningSignal', 'modulatorySignal'] as const) {
        t.deepEqual(recorded.slow[name], denseRecording(whole, name, { layout, of: 'slow' }))
      }
      const spikes = denseRecording(whole, 'spikes', { layout, of: 'charged' })
      const voltage = denseRecording(whole, 'voltage', { layout, of: 'charged' })
      const readout = denseRecording(whole, 'readout', { layout })
      t.true(spikes.data.includes(1))
      t.deepEqual(recorded.charged.spikes.shape, [...spikes.shape.slice(0, 2), 2])
      for (let row = 0; row < 3 * 60; row++) {
        for (const [k, unit] of [3, 1].entries()) {
          t.is(recorded.charged.spikes.data[2 * row + k], spikes.data[4 * row + unit])
          t.is(recorded.charged.voltage.data[2 * row + k], voltage.data[4 * row + unit])
        }
        t.is(recorded.out.readout.data[row], readout.data[2 * row + 1])
      }
      const current = recorded.charged.current.data
      t.is(current.constructor, precision === 'f32' ? Float32Array : Float64Array)
      // Six inputs of weight 0.05 at 200 Hz for a current of 10 ms.
      const mean = Array.from(current).reduce((sum, value) => sum + value, 0) / current.length
      t.true(mean > 0.2 && mean < 1, `${mean}`)
    })
  }
}

test('what cannot be recorded is refused by its path, and says what can', async t => {
  const model = Model.create(description)
  for (const [record, path] of [
    [{}, 'options.record'],
    ['voltage', 'options.record'],
    [{ typo: ['voltage'] }, 'options.record'],
    [{ slow: [] }, 'options.record.slow'],
    [{ slow: ['volts'] }, 'options.record.slow[0]'],
    [{ slow: ['voltage', 'current'] }, 'options.record.slow[1]'],
    [{ slow: ['learningSignal'] }, 'options.record.slow[0]'],
    [{ out: ['voltage'] }, 'options.record.out[0]'],
    [{ charged: { variables: ['adaptation'] } }, 'options.record.charged.variables[0]'],
    [{ charged: { variables: ['voltage'], units: [0, 4] } }, 'options.record.charged.units[1]'],
    [{ charged: { variables: ['voltage'], units: [0.5] } }, 'options.record.charged.units[0]'],
    [{ charged: { variables: ['voltage'], unit: [0] } }, 'options.record.charged.unit']
  ] as const) {
    await rejectsInvalidAt(t, path, () => simulate(model, batch, { record: record as never }))
  }
  const record = { slow: ['voltage'] } as const
  await rejectsInvalidAt(t, 'options.layout', () => simulate(model, batch, { record, layout: 'unit' as never }))
  await rejectsInvalidAt(t, 'options.layout', () => simulate(model, batch, { layout: 'time-trial-unit' as never }))
  await rejectsInvalidAt(t, 'options.voltage', () => simulate(model, batch, { record, voltage: true as never }))
  const error = await t.throwsAsync(simulate(model, batch, { record: { slow: ['voltage', 'current'] } }))
  t.regex(`${error?.message}`, /'current'.*for a population of model 'alif': 'spikes', 'voltage', .*'adaptation'/)
})

test('units whose adaptation strength is 0 have no adaptation to record', async t => {
  const mixed = network()
    .alif('slow', 3, { adaptationStrength: [0.1, 0, 0.1] })
    .build()
  const model = Model.create(mixed)
  const run = (units?: number[]) =>
    simulate(model, { length: 5, trials: 1, inputs: {} }, { record: { slow: { variables: ['adaptation'], units } } })
  await rejectsInvalidAt(t, 'options.record.slow.units', () => run())
  t.is((await run([0, 2])).recorded.slow.adaptation.data.length, 10)
})
