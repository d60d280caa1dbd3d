import { TrainingRun } from '../operations/train.js'
import { planTraining } from '../operations/training-plan.js'
import type { RuleName } from '../rule/rule.js'
import { mean, median } from '../support/averages.js'
import { forgetPeakMemory, peakMemory } from './peak-memory.js'
import type { Work } from './work.js'

/** How to time. */
export interface MeasureOptions {
  readonly rule: RuleName
  readonly threads: number
  /** Iterations that count. */
  readonly repeats: number
  /** Iterations before them. */
  readonly warmUp: number
}

/** Times of whole training iterations in ms. */
export interface Timing {
  readonly median: number
  readonly min: number
  readonly max: number
  /** The median of the engine's own times: what {@link median} would be if the façade cost nothing. */
  readonly engine: number
  /** All iterations' time over the engine's own in them. */
  readonly facadeRatio: number
  /** The most memory in MB that the process held in these iterations (elsewhere than on Linux: since it began). */
  readonly peakMegabytes: number
}

/** Trains, and times each whole iteration, batch, forward, gradient and Adam, from asking to the metrics. */
export async function measure({ model, task, seed }: Work, options: MeasureOptions): Promise<Timing> {
  const { rule, threads, repeats, warmUp } = options
  const iterations = warmUp + repeats
  const training = new TrainingRun(planTraining(model, task, { rule, threads, seed, iterations, validateEvery: 0 }))
  const times: number[] = []
  const engine: number[] = []
  for (let iteration = 0; iteration < iterations; iteration++) {
    // What making the work and the first iterations have left behind is no part of it.
    if (iteration === warmUp) forgetPeakMemory()
    const begun = performance.now()
    await training.next()
    if (iteration < warmUp) continue
    times.push(performance.now() - begun)
    engine.push(training.engineMs)
  }
  const peakMegabytes = peakMemory()
  await training.return()
  return {
    median: median(times),
    min: Math.min(...times),
    max: Math.max(...times),
    engine: median(engine),
    facadeRatio: mean(times) / mean(engine),
    peakMegabytes
  }
}
