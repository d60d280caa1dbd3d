import { askEngine } from '../addon/ask-engine.js'
import { guard, native } from '../addon/native.js'
import { callable, nonNegative, record } from '../support/check.js'
import { invalid, type MdglError } from '../support/error.js'
import { plainCopy, plainText } from '../support/plain.js'

/** Stepwise decay: lr of iteration n + 1 is from · factor^⌊n/every⌋. */
export interface StepSchedule {
  /** Stepwise decay. */
  readonly kind: 'step'
  /** The first rate. */
  readonly from: number
  /** Factor of the rate after every period: above 0, at most 1. */
  readonly factor: number
  /** Length of a period in iterations. */
  readonly every: number
}

/** lr of iteration n + 1 is to + (from − to) (1 + cos(π min(n/iterations, 1)))/2. Source: Loshchilov and Hutter 2017, without restarts. */
export interface CosineSchedule {
  /** Half a period of a cosine. */
  readonly kind: 'cosine'
  /** The first rate. */
  readonly from: number
  /** The rate after `iterations`. Default 0. */
  readonly to?: number
  /** Its length in iterations. Default: all iterations of the training, after a warm-up the remaining ones. */
  readonly iterations?: number
}

/** A linear rise: lr of iteration n + 1 is (n + 1)/iterations of the first rate of `into`, which follows. */
export interface WarmUpSchedule {
  /** A linear rise before another schedule. */
  readonly kind: 'warm-up'
  /** Length of the rise in iterations. */
  readonly iterations: number
  /** The rate or schedule that begins after the rise. */
  readonly into: number | Schedule
}

/** One rate per iteration; later iterations have the last one. */
export interface TableSchedule {
  /** A list of rates. */
  readonly kind: 'table'
  /** The rates, at least one. */
  readonly rates: readonly number[]
}

/** A learning rate that changes with the iteration: plain data, which run folders and sweeps contain. */
export type Schedule = StepSchedule | CosineSchedule | WarmUpSchedule | TableSchedule

/** A number above 0, a schedule, or a function of the iteration (from 1), which is called once for each before training begins. */
export type LearningRate = number | Schedule | ((iteration: number) => number)

/**
 * A learning rate that falls along half a cosine.
 *
 * @example
 * ```ts
 * const { history } = await fit(model, task, { rule: 'mdgl', iterations: 20, learningRate: cosine(0.01) });
 * console.log(history.train.length);
 * ```
 * @param from - The first rate.
 * @param options - The last rate (default 0), and the number of iterations (default: those of the training).
 * @throws {@link MdglError} `'invalid'` for a number that is not allowed.
 */
export function cosine(
  from: number,
  options: { readonly to?: number; readonly iterations?: number } = {}
): CosineSchedule {
  return own({ ...record(options, 'options', ['to', 'iterations']), kind: 'cosine', from }, ['from'])
}

/**
 * A learning rate that is multiplied by a factor after every period of iterations.
 *
 * @example
 * ```ts
 * const optimiser = { kind: 'adam', learningRate: stepDecay(0.01, { factor: 0.5, every: 100 }) } as const;
 * ```
 * @param from - The first rate.
 * @param options - Factor and period.
 * @throws {@link MdglError} `'invalid'` for a number that is not allowed.
 */
export function stepDecay(from: number, options: { readonly factor: number; readonly every: number }): StepSchedule {
  return own({ ...record(options, 'options', ['factor', 'every']), kind: 'step', from }, ['from'])
}

/**
 * A learning rate that rises linearly before another begins.
 *
 * @example
 * ```ts
 * const learningRate = warmUp(20, cosine(0.01));
 * ```
 * @param iterations - Length of the rise.
 * @param into - The rate or schedule that begins after the rise.
 * @throws {@link MdglError} `'invalid'` for an argument that is not allowed.
 */
export function warmUp(iterations: number, into: number | Schedule): WarmUpSchedule {
  return own({ kind: 'warm-up', iterations, into }, ['iterations', 'into'])
}

/** A schedule of a function's options and of these arguments. */
function own<S extends Schedule>(schedule: S, values: readonly (keyof S & string)[]): S {
  try {
    return complete(plainCopy(schedule), 'options', undefined, true) as S
  } catch (error) {
    const { path, value, allowed } = error as MdglError
    const key = path?.slice('options.'.length)
    if (key === undefined || !values.some(value => key.startsWith(value))) throw error
    throw invalid(key, value, allowed ?? '')
  }
}

/** The rate of an iteration, counted from 1. */
export function rateAt(rate: number | Schedule, iteration: number): number {
  return typeof rate === 'number' ? rate : guard(() => native.learningRateAt(JSON.stringify(rate), iteration))
}

/** A function is asked for each iteration. */
const MOST_ASKED = 2 ** 20

/** A checked copy, as the engine takes it. `iterations`: those of the training, where there is one. */
export function completeLearningRate(given: unknown, path: string, iterations?: number): number | Schedule {
  if (typeof given === 'function') return tableOf(given as (iteration: number) => number, path, iterations)
  return complete(plainCopy(given), path, iterations, false)
}

function complete(copy: unknown, path: string, iterations: number | undefined, open: boolean): number | Schedule {
  const checked = () => native.completeLearningRate(plainText(copy), path, iterations, open)
  return JSON.parse(askEngine({ [path]: copy }, checked)) as number | Schedule
}

/** The rates of a function, asked for each iteration. */
export function tableOf(
  rate: (iteration: number) => number,
  path: string,
  iterations: number | undefined
): TableSchedule {
  callable(rate, path)
  if (iterations === undefined || iterations > MOST_ASKED) {
    throw invalid(
      path,
      rate,
      `a number or a schedule; a function only in a training of at most ${MOST_ASKED} iterations`
    )
  }
  const rates = Array.from({ length: iterations }, (_, i) => nonNegative(rate(i + 1), `${path}(${i + 1})`))
  return { kind: 'table', rates }
}
