// The trials of a batch that a built-in task is asked for.
import type { TrialRange } from '../task/batch.js'
import type { Random } from '../task/task.js'
import type { PresetContext } from './preset-task.js'

/** The trials that a task is to make, and what its batch says of them. */
export interface AskedTrials {
  /** The first one. */
  readonly from: number
  /** Their number. */
  readonly trials: number
  /** The batch's range, where the context has one. */
  readonly part: { readonly range?: TrialRange }
}

/** The trials that a context asks for: all where it has no range, or one of a batch of another size. */
export function askedTrials({ size, range }: Pick<PresetContext, 'size' | 'range'>): AskedTrials {
  if (range === undefined || range.of !== size) return { from: 0, trials: size, part: {} }
  return { from: range.from, trials: range.to - range.from, part: { range } }
}

/**
 * The elements from one index on of permutations of 0 to count − 1, one after another. Those before are drawn too, since a permutation takes
 * as many random numbers as it takes.
 */
export function drawPermuted({ from, trials }: AskedTrials, count: number, rng: Random): number[] {
  const drawn: number[] = []
  const skipped = Math.floor(from / count)
  for (let i = 0; i < skipped; i++) rng.permutation(count)
  const first = from - skipped * count
  while (drawn.length < first + trials) drawn.push(...rng.permutation(count))
  return drawn.slice(first, first + trials)
}
