import test from 'ava'
import { denseCurrents, denseEvents, denseRecording, Model, simulate } from '../src/index.js'
import { invalidAt } from './helpers/expect.js'
import { smallBatch, smallNetwork } from './helpers/small.js'

const [TRIALS, STEPS, UNITS] = [2, 3, 4]
/** `[trial][step][unit]`, each entry another. */
const nested = Array.from({ length: TRIALS }, (_, trial) =>
  Array.from({ length: STEPS }, (_, step) =>
    Array.from({ length: UNITS }, (_, unit) => (trial * 3 + step * 5 + unit * 7) % 4)
  )
)
const turned = Array.from({ length: STEPS }, (_, step) => nested.map(trial => trial[step] ?? []))
const shape = [TRIALS, STEPS, UNITS] as const
const turnedShape = [STEPS, TRIALS, UNITS] as const

const listed = nested.flatMap((steps, trial) =>
  steps.flatMap((units, step) => units.flatMap((count, unit) => Array<number[]>(count).fill([trial, step, unit])))
)

test('events of a tensor, flat or nested, in either layout, as often as they are counted', t => {
  const expected = Uint32Array.from(listed.flat())
  const layout = 'time-trial-unit'
  t.deepEqual(denseEvents(nested).events, expected)
  t.deepEqual(denseEvents(nested, { shape }).events, expected)
  t.deepEqual(denseEvents(Uint8Array.from(nested.flat(2)), { shape }).events, expected)
  t.deepEqual(denseEvents(turned, { layout }).events, expected)
  t.deepEqual(denseEvents(turned.flat(2), { layout, shape: turnedShape }).events, expected)
  t.deepEqual(
    denseEvents(
      turned.map(trials => trials.map(units => Float32Array.from(units))),
      { layout }
    ).events,
    expected
  )
})

test('currents of a tensor, in either layout', t => {
  const expected = Float64Array.from(nested.flat(2))
  t.deepEqual(denseCurrents(nested).analogue, expected)
  t.deepEqual(
    denseCurrents(Float32Array.from(turned.flat(2)), { layout: 'time-trial-unit', shape: turnedShape }).analogue,
    expected
  )
})

test('what is no tensor is refused by its place', t => {
  invalidAt(t, 'options.shape', () => denseEvents(Uint8Array.of(1, 0)))
  invalidAt(t, 'options.shape', () => denseEvents(Uint8Array.of(1, 0), { shape: [1, 1, 3] }))
  invalidAt(t, 'options.shape', () => denseEvents(nested, { shape: turnedShape }))
  invalidAt(t, 'options.shape', () => denseEvents(nested, { shape: [6, 4] as never }))
  invalidAt(t, 'options.layout', () => denseEvents(nested, { layout: 'unit-time-trial' as never }))
  invalidAt(t, 'options.order', () => denseEvents(nested, { order: 1 } as never))
  invalidAt(t, 'values[1]', () => denseEvents([nested[0] ?? [], (nested[1] ?? []).slice(1)]))
  invalidAt(t, 'values[0][1]', () => denseEvents([[[1, 0], [1]]]))
  invalidAt(t, 'values[0][0][1]', () => denseEvents([[[1, '1' as never]]]))
  invalidAt(t, /^values/, () => denseEvents([[[0.5]]]))
  invalidAt(t, /^values/, () => denseEvents([[[-1]]]))
  invalidAt(t, /^values/, () => denseCurrents([[[Number.NaN]]]))
  invalidAt(t, 'values', () => denseEvents('spikes' as never))
  invalidAt(t, 'options.shape', () => denseEvents([]))
})

test('a recording as tensors: each layout, each population, zeros beyond the end of a shorter trial', async t => {
  const model = Model.create(smallNetwork())
  const batch = { ...smallBatch(), length: [60, 70, 65, 60] }
  const recording = await simulate(model, batch, { voltage: true })
  const { trials, steps, neurons } = recording.shape
  const spikes = denseRecording(recording, 'spikes')
  t.deepEqual(spikes.shape, [4, 70, 40])
  t.true(recording.spikes.length > 0)
  t.is(
    spikes.data.reduce((sum, spike) => sum + spike, 0),
    recording.spikes.length / 3
  )
  const layout = 'time-trial-unit'
  const slow = denseRecording(recording, 'spikes', { layout, of: 'slow' })
  const voltage = denseRecording(recording, 'voltage', { layout, of: 'slow' })
  t.deepEqual([slow.shape, voltage.shape, slow.layout], [[70, 4, 10], [70, 4, 10], layout])
  for (let trial = 0; trial < trials; trial++) {
    for (let step = 0; step < steps; step++) {
      const inside = step < (batch.length[trial] ?? 0)
      for (let unit = 0; unit < 10; unit++) {
        const [whole, part] = [(trial * steps + step) * neurons + 30 + unit, (step * trials + trial) * 10 + unit]
        t.is(slow.data[part], spikes.data[whole])
        t.is(voltage.data[part], inside ? recording.voltage?.[whole] : 0)
      }
    }
  }
  t.deepEqual(denseRecording(recording, 'readout', { of: 'choice' }).shape, [4, 70, 2])
  invalidAt(t, 'recording.learningSignal', () => denseRecording(recording, 'learningSignal'))
  invalidAt(t, 'options.of', () => denseRecording(recording, 'spikes', { of: 'choice' }))
  invalidAt(t, 'options.of', () => denseRecording(recording, 'readout', { of: 'cells' }))
  invalidAt(t, 'name', () => denseRecording(recording, 'inputs' as never))
})
