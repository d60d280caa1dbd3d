import test from 'ava'
import {
  firingRates,
  intervalVariation,
  Model,
  type RecordingShape,
  type SpikeRecording,
  simulate,
  spikeCounts,
  synchrony
} from '../src/index.js'
import { invalidAt } from './helpers/expect.js'
import { STEPS, smallBatch, smallNetwork } from './helpers/small.js'

/** Trials of 100 ms in steps of 0.5 ms; three neurons in two populations, and types that cut across them. */
const shape: RecordingShape = {
  trials: 2,
  steps: 200,
  lengths: [200, 200],
  dt: 0.5,
  neurons: 3,
  units: 0,
  populations: { a: { from: 0, to: 2 }, b: { from: 2, to: 3 } },
  types: { outer: [0, 2], inner: [1], empty: [] },
  readouts: {}
}

/** A recording of spike times in ms, `[trial][neuron]`. */
function recording(times: number[][][], given: Partial<RecordingShape> = {}): SpikeRecording {
  const whole = { ...shape, ...given }
  const spikes = times.flatMap((neurons, trial) =>
    neurons
      .flatMap((own, neuron) => own.map(time => [trial, time / whole.dt, neuron] as const))
      .sort(([, a], [, b]) => a - b)
      .flat()
  )
  return { spikes: Uint32Array.from(spikes), shape: whole }
}

const close = (a: number | null | undefined, b: number) => Math.abs((a ?? Number.NaN) - b) < 1e-12

const three = recording([
  [[10, 20, 30, 60], [], [5]],
  [
    [10, 20],
    [0, 99.5],
    [5, 15, 25]
  ]
])

test('firing rates of cells, populations and types', t => {
  const { cells, populations, types, all } = firingRates(three)
  // 200 ms in all.
  t.deepEqual(cells, [30, 10, 20])
  t.deepEqual(populations, { a: 20, b: 20 })
  t.deepEqual(types, { outer: 25, inner: 10, empty: null })
  t.is(all, 20)
})

test('a window counts its own spikes and its own time', t => {
  // From 10 inclusive to 20 exclusive.
  t.deepEqual(firingRates(three, { from: 10, to: 20 }).cells, [100, 0, 50])
  t.deepEqual(firingRates(three, { from: 99.5 }).cells, [0, 1000, 0])
  // The second trial is over at 15 ms: 20 ms and 5 ms.
  const uneven = recording(
    [
      [[10, 20], [], []],
      [[10], [], []]
    ],
    { lengths: [200, 30] }
  )
  t.deepEqual(firingRates(uneven, { from: 10, to: 30 }).cells, [3 / 0.025, 0, 0])
  invalidAt(t, 'window', () => firingRates(three, { from: 100 }))
  invalidAt(t, 'window', () => firingRates(three, { from: 20, to: 20 }))
  invalidAt(t, 'window.from', () => firingRates(three, { from: -1 }))
  invalidAt(t, 'window.until', () => firingRates(three, { until: 5 } as object))
})

test('variation of intervals: within trials, of cells with two intervals', t => {
  // 10, 10, 30 and 10; none within a trial but 99.5; 10 and 10.
  const { cells, populations, types, all } = intervalVariation(three)
  const first = Math.sqrt(75) / 15
  t.true(close(cells[0], first))
  t.is(cells[1], null)
  t.is(cells[2], 0)
  t.true(close(populations.a, first))
  t.is(populations.b, 0)
  t.true(close(types.outer, first / 2))
  t.is(types.inner, null)
  t.is(types.empty, null)
  t.true(close(all, first / 2))
})

test('counts of a trial: mean, variance and Fano factor', t => {
  const { mean, variance, fano } = spikeCounts(three)
  t.deepEqual(mean.cells, [3, 1, 2])
  t.deepEqual(variance.cells, [2, 2, 2])
  t.deepEqual(fano.cells, [2 / 3, 2, 1])
  t.true(close(fano.populations.a, 4 / 3))
  t.is(fano.types.empty, null)
  const silent = spikeCounts(
    recording([
      [[], [1], []],
      [[], [1], []]
    ])
  )
  t.deepEqual(silent.fano.cells, [null, 0, null])
  t.deepEqual(silent.variance.cells, [0, 0, 0])
  const single = spikeCounts(recording([[[1], [1], []]], { trials: 1, lengths: [200] }))
  t.deepEqual(single.mean.cells, [1, 1, 0])
  t.deepEqual(single.variance.cells, [null, null, null])
  t.deepEqual(single.fano.cells, [null, null, null])
  t.is(single.fano.all, null)
})

test('counts over different times are refused', t => {
  const uneven = recording(
    [
      [[10], [], []],
      [[10], [], []]
    ],
    { lengths: [200, 30] }
  )
  const error = invalidAt(t, 'window.to', () => spikeCounts(uneven))
  t.regex(error.message, /15 ms/)
  t.deepEqual(spikeCounts(uneven, { to: 15 }).mean.cells, [1, 0, 0])
})

test('synchrony: 1 of neurons that fire alike, 1/√2 of two that are independent, 0 of two in turns', t => {
  const one = (times: number[][]) => synchrony(recording([times], { trials: 1, lengths: [200] }), { bin: 25 })
  const alike = one([
    [0, 50],
    [1, 51],
    [10, 60]
  ])
  t.is(alike.all, 1)
  t.deepEqual(alike.populations, { a: 1, b: 1 })
  t.deepEqual(alike.types, { outer: 1, inner: 1, empty: null })
  // Counts 1 0 1 0 and 1 1 0 0 over bins of 25 ms do not covary.
  t.true(close(one([[0, 50], [0, 25], []]).populations.a, Math.SQRT1_2))
  // 1 0 1 0 and 0 1 0 1: their sum is constant.
  t.is(one([[0, 50], [25, 75], []]).populations.a, 0)
  // A neuron that fires equally in all bins, or never, does not vary.
  t.is(one([[], [], [0, 25, 50, 75]]).all, null)
  // Three neurons of which one varies: Var(n/3) / (Var(n)/3).
  t.true(close(one([[0, 50], [], []]).all, Math.sqrt(1 / 3)))
})

test('synchrony: variances are within trials, bins are whole, and two of them are needed', t => {
  // Alike in the one trial, in turns in the other.
  const mixed = recording([
    [[0, 50], [0, 50], []],
    [[0, 50], [25, 75], []]
  ])
  t.true(close(synchrony(mixed, { bin: 25 }).populations.a, Math.SQRT1_2))
  // Another count in each trial, constant within it: no variance.
  const between = recording([
    [[0, 25, 50, 75], [], []],
    [[], [], []]
  ])
  t.is(synchrony(between, { bin: 25 }).all, null)
  // The last bin, 80 to 100 ms, is not whole.
  t.is(
    synchrony(
      recording([
        [[90], [], []],
        [[], [], []]
      ]),
      { bin: 40 }
    ).all,
    null
  )
  t.not(
    synchrony(
      recording([
        [[90], [], []],
        [[], [], []]
      ]),
      { bin: 50 }
    ).all,
    null
  )
  invalidAt(t, 'options.bin', () => synchrony(three, { bin: 51 }))
  invalidAt(t, 'options.bin', () => synchrony(three, { bin: 0 }))
  invalidAt(t, 'options.width', () => synchrony(three, { width: 5 } as object))
})

test('what a network did: rates agree with the spikes, types with the description', async t => {
  const recorded = await simulate(Model.create(smallNetwork()), smallBatch())
  t.deepEqual(recorded.shape.lengths, [STEPS, STEPS, STEPS, STEPS])
  t.deepEqual(recorded.shape.types.inhibitory, [0, 1, 2, 3, 4, 5])
  t.deepEqual(
    recorded.shape.types.excitatory,
    Array.from({ length: 34 }, (_, i) => 6 + i)
  )
  const rate = recorded.spikes.length / 3 / 40 / ((4 * STEPS) / 1000)
  t.true(rate > 0)
  t.true(Math.abs((firingRates(recorded).all ?? 0) - rate) < 1e-9)
})
