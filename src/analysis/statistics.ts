import { inMs, toPositiveSteps } from '../network/duration.js'
import { record } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { SpikeRecording } from './check-recording.js'
import { type ByNeurons, groups, type SpikeTrains, type SpikeWindow, spikeTrains } from './spike-trains.js'

/**
 * Firing rates in Hz: spikes over the time that all trials together spend in the window. That of a population or type is
 * the mean over its neurons.
 *
 * @example
 * ```ts
 * const { types } = firingRates(await simulate(model, batch), { from: 100 });
 * console.log(types.excitatory, 'Hz');
 * ```
 * @param recording - From {@link simulate}.
 * @param window - Which part of every trial counts. Default: all.
 * @returns Rates by neuron, population and type; null for a population or type without neurons.
 * @throws {@link MdglError} `'invalid'` for a window that is not allowed or of which no trial has a step.
 */
export function firingRates(recording: SpikeRecording, window: SpikeWindow = {}): ByNeurons {
  const trains = spikeTrains(recording, window)
  const seconds = (sum(trains.lengths) * trains.shape.dt) / 1000
  return meansOf(trains, neuron => sum(trains.steps.map(trial => trial[neuron]?.length ?? 0)) / seconds)
}

/**
 * The coefficient of variation of interspike intervals: their standard deviation over their mean; 0 for regular spikes, 1 for a Poisson
 * process without refractory period. A neuron's intervals within trials are pooled over trials; the standard deviation has n in the
 * denominator. The value of a population or type is the mean over its neurons that have one.
 *
 * @example
 * ```ts
 * const variation = intervalVariation(await simulate(model, batch));
 * console.log(variation.populations.cells); // 1 for a Poisson process
 * ```
 * @param recording - From {@link simulate}.
 * @param window - Which part of every trial counts. Default: all.
 * @returns Values by neuron, population and type; null for a neuron with fewer than two intervals, and for a population or type without other neurons.
 * @throws {@link MdglError} `'invalid'` for a window that is not allowed or of which no trial has a step.
 */
export function intervalVariation(recording: SpikeRecording, window: SpikeWindow = {}): ByNeurons {
  const trains = spikeTrains(recording, window)
  return meansOf(trains, neuron => {
    const intervals = trains.steps.flatMap(trial => differences(trial[neuron] ?? []))
    return intervals.length < 2 ? null : Math.sqrt(variance(intervals)) / mean(intervals)
  })
}

/** Statistics of the spike count per trial over repeated trials. */
export interface SpikeCounts {
  /** Mean count per trial. */
  readonly mean: ByNeurons
  /** Variance of the counts over trials, with n − 1 in the denominator; null for a single trial. */
  readonly variance: ByNeurons
  /** The Fano factor, variance over mean, 1 for a Poisson process; null for a single trial and for a neuron that never fires. */
  readonly fano: ByNeurons
}

/**
 * Mean, variance and Fano factor (Fano 1947) of each neuron's spike count over trials, which should repeat the same
 * condition. Values of a population or type are means over its neurons that have one, null where none has.
 *
 * @example
 * ```ts
 * const { mean, fano } = spikeCounts(await simulate(model, batch));
 * ```
 * @param recording - From {@link simulate}.
 * @param window - Which part of every trial counts. Default: all.
 * @throws {@link MdglError} `'invalid'` for a window that is not allowed, and for one that is longer than some trial, since
 * counts over different times cannot be compared.
 */
export function spikeCounts(recording: SpikeRecording, window: SpikeWindow = {}): SpikeCounts {
  const trains = spikeTrains(recording, window)
  refuseUnequal(trains, window)
  const counts = (neuron: number) => trains.steps.map(trial => trial[neuron]?.length ?? 0)
  const varianceOf = (neuron: number) => sampleVariance(counts(neuron))
  return {
    mean: meansOf(trains, neuron => mean(counts(neuron))),
    variance: meansOf(trains, varianceOf),
    fano: meansOf(trains, neuron => {
      const [centre, spread] = [mean(counts(neuron)), varianceOf(neuron)]
      return centre === 0 || spread === null ? null : spread / centre
    })
  }
}

/** Options of {@link synchrony}. */
export interface SynchronyOptions extends SpikeWindow {
  /** Width of the bins in which spikes are counted, in ms, rounded to whole steps, at least one. Default 5. */
  readonly bin?: number
}

/** The synchrony of each population, of each type and of all neurons. */
export type Synchrony = Omit<ByNeurons, 'cells'>

/**
 * The synchrony χ of Golomb and Rinzel (1993, Phys. Rev. E 48:4810; 1994, Physica D 72:259), on spike counts in place of
 * voltages: χ² = Var_t(n̄) / mean_i Var_t(n_i), with n_i the counts of neuron i in bins and n̄ their mean over the neurons. It
 * is 1 where all neurons fire alike and about 1/√N for N independent neurons. Variances are over the bins of a trial,
 * with n in the denominator, and both are averaged over trials, weighted by their number of bins, before they are divided. An incomplete last
 * bin is left out. Correlation by a common input, such as a cue, counts as synchrony too.
 *
 * @example
 * ```ts
 * const { populations } = synchrony(await simulate(model, batch), { bin: 5 });
 * ```
 * @param recording - From {@link simulate}.
 * @param options - Bins, and which part of every trial counts.
 * @returns χ of each population, of each type and of all neurons; null where no neuron's count varies between bins, and where there are no neurons.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed, and for bins of which no trial has two.
 */
export function synchrony(recording: SpikeRecording, options: SynchronyOptions = {}): Synchrony {
  const { bin = 5, ...window } = record(options, 'options', ['bin', 'from', 'to'])
  const trains = spikeTrains(recording, window)
  const width = toPositiveSteps(bin, trains.shape.dt, 'options.bin')
  if (Math.max(...trains.lengths) < 2 * width) {
    throw invalid(
      'options.bin',
      bin,
      `at most half of the longest trial's window, ${inMs(Math.max(...trains.lengths), trains.shape.dt) / 2} ms`
    )
  }
  return groups(trains.shape, neurons => chi(trains, neurons, width))
}

function chi(trains: SpikeTrains, neurons: readonly number[], width: number): number | null {
  let [together, apart] = [0, 0]
  for (const [trial, length] of trains.lengths.entries()) {
    const bins = Math.floor(length / width)
    if (bins === 0 || neurons.length === 0) continue
    const total = new Float64Array(bins)
    for (const neuron of neurons) {
      const counts = binned(trains, trial, neuron, { bins, width })
      counts.forEach((count, bin) => {
        total[bin] = (total[bin] ?? 0) + count
      })
      apart += (bins * variance(counts)) / neurons.length
    }
    // The variance of the sum is N² times that of the mean.
    together += (bins * variance(total)) / neurons.length ** 2
  }
  // Above 1 by a rounding error only.
  return apart === 0 ? null : Math.min(1, Math.sqrt(together / apart))
}

function binned(trains: SpikeTrains, trial: number, neuron: number, { bins, width }: { bins: number; width: number }) {
  const counts = new Float64Array(bins)
  for (const step of trains.steps[trial]?.[neuron] ?? []) {
    const bin = Math.floor((step - trains.first) / width)
    if (bin < bins) counts[bin] = (counts[bin] ?? 0) + 1
  }
  return counts
}

/** A number for each neuron, and its mean over those neurons of each population and type that have one. */
function meansOf({ shape }: SpikeTrains, of: (neuron: number) => number | null): ByNeurons {
  const cells = Array.from({ length: shape.neurons }, (_, neuron) => of(neuron))
  const meanOf = (neurons: readonly number[]) => {
    const known = neurons.flatMap(neuron => cells[neuron] ?? [])
    return known.length === 0 ? null : mean(known)
  }
  return { cells, ...groups(shape, meanOf) }
}

function refuseUnequal({ lengths, shape }: SpikeTrains, window: SpikeWindow): void {
  if (lengths.every(length => length === lengths[0])) return
  const shortest = inMs(Math.min(...shape.lengths), shape.dt)
  throw invalid('window.to', window.to, `at most the shortest trial's end, ${shortest} ms`)
}

const differences = (steps: readonly number[]) => steps.slice(1).map((step, i) => step - (steps[i] ?? 0))

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, value) => total + value, 0)

const mean = (values: ArrayLike<number>) => sum(values) / values.length

/** With n in the denominator. */
function variance(values: ArrayLike<number>): number {
  const centre = mean(values)
  return mean(Array.from(values, value => (value - centre) ** 2))
}

/** With n − 1 in the denominator; null of a single value. */
function sampleVariance(values: ArrayLike<number>): number | null {
  return values.length < 2 ? null : (variance(values) * values.length) / (values.length - 1)
}
