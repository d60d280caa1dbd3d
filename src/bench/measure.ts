import { median } from '../compare/statistics.js'
import type { RuleName } from '../rule.js'
import { train } from '../train.js'
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
}

/** Trains, and times each whole iteration, batch, forward, gradient and Adam, from asking to the metrics. */
export async function measure({ model, task, seed }: Work, options: MeasureOptions): Promise<Timing> {
  const { rule, threads, repeats, warmUp } = options
  const training = train(model, task, { rule, threads, seed, iterations: warmUp + repeats, validateEvery: 0 })
  const times: number[] = []
  for (let iteration = 0; iteration < warmUp + repeats; iteration++) {
    const begun = performance.now()
    await training.next()
    if (iteration >= warmUp) times.push(performance.now() - begun)
  }
  await training.return()
  return { median: median(times), min: Math.min(...times), max: Math.max(...times) }
}
