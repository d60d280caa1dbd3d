import { guard, native } from '../addon/native.js'
import {
  array,
  callable,
  finite,
  isObject,
  nonNegative,
  object,
  oneOf,
  orDefault,
  positive,
  record,
  wholeNumber
} from '../support/check.js'
import { invalid } from '../support/error.js'

/** lr of iteration n + 1 is from · factor^⌊n/every⌋. */
export interface StepSchedule {
  /** Stepwise decay. */
  readonly kind: 'step'
  /** The first rate. */
  readonly from: number
  /** What every period multiplies it with: above 0, at most 1. */
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
  /** Its length. Default: all iterations of the training, from the end of a warm-up on. */
  readonly iterations?: number
}

/** A linear rise: lr of iteration n + 1 is (n + 1)/iterations of the first rate of `into`, which follows. */
export interface WarmUpSchedule {
  /** A rise, and what follows. */
  readonly kind: 'warm-up'
  /** Length of the rise in iterations. */
  readonly iterations: number
  /** What follows, from its start. */
  readonly into: number | Schedule
}

/** A rate for each iteration; after the last one that. */
export interface TableSchedule {
  /** Rates as a list. */
  readonly kind: 'table'
  /** At least one. */
  readonly rates: readonly number[]
}

/** A learning rate that changes with the iteration: plain data, which run folders and sweeps hold. */
export type Schedule = StepSchedule | CosineSchedule | WarmUpSchedule | TableSchedule

/** A number above 0, a schedule, or a function of the iteration (from 1), which is asked once for each before the training begins. */
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
  const { to, iterations } = record(options, 'options', ['to', 'iterations'])
  return {
    kind: 'cosine',
    from: nonNegative(from, 'from'),
    ...(to !== undefined && { to: nonNegative(to, 'options.to') }),
    ...(iterations !== undefined && { iterations: wholeNumber(iterations, 'options.iterations', 1, MOST_ITERATIONS) })
  }
}

/**
 * A learning rate that is multiplied by a factor every so many iterations.
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
  const { factor, every } = record(options, 'options', ['factor', 'every'])
  return {
    kind: 'step',
    from: nonNegative(from, 'from'),
    factor: positive(factor, 'options.factor'),
    every: wholeNumber(every, 'options.every', 1, MOST_ITERATIONS)
  }
}

/**
 * A learning rate that rises linearly before another begins.
 *
 * @example
 * ```ts
 * const learningRate = warmUp(20, cosine(0.01));
 * ```
 * @param iterations - Length of the rise.
 * @param into - What follows, from its start.
 * @throws {@link MdglError} `'invalid'` for what is no number of iterations and no learning rate.
 */
export function warmUp(iterations: number, into: number | Schedule): WarmUpSchedule {
  return {
    kind: 'warm-up',
    iterations: wholeNumber(iterations, 'iterations', 1, MOST_ITERATIONS),
    into: typeof into === 'number' ? positive(into, 'into') : completeSchedule(into, 'into', OPEN, 1)
  }
}

/** The rate of an iteration, counted from 1. */
export function rateAt(rate: number | Schedule, iteration: number): number {
  return typeof rate === 'number' ? rate : guard(() => native.learningRateAt(JSON.stringify(rate), iteration))
}

const MOST_ITERATIONS = 2 ** 32 - 1
/** A function is asked for each iteration. */
const MOST_ASKED = 2 ** 20
const MOST_NESTED = 8
/** Not known yet: what depends on it is left out. */
const OPEN = 'open'

/** Iterations of the training, if there is one. */
type Length = number | typeof OPEN | undefined

/** A checked copy, as the engine takes it. `iterations`: those of the training, where there is one. */
export function completeLearningRate(given: unknown, path: string, iterations?: number): number | Schedule {
  if (typeof given === 'number') return positive(given, path)
  if (typeof given === 'function') return tableOf(given as (iteration: number) => number, path, iterations)
  if (!isObject(given)) throw invalid(path, given, 'a number above 0, a schedule or a function of the iteration')
  return completeSchedule(given as Schedule, path, iterations, 0)
}

function tableOf(rate: (iteration: number) => number, path: string, iterations: number | undefined): TableSchedule {
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

function completeSchedule(given: Schedule, path: string, iterations: Length, depth: number): Schedule {
  const schedule = { ...object(given, path) }
  const whole = (value: unknown, name: string) => wholeNumber(value, `${path}.${name}`, 1, MOST_ITERATIONS)
  switch (oneOf(schedule.kind, `${path}.kind`, ['step', 'cosine', 'warm-up', 'table'] as const)) {
    case 'step': {
      const { from, factor, every } = record(schedule as StepSchedule, path, ['kind', 'from', 'factor', 'every'])
      return {
        kind: 'step',
        from: nonNegative(from, `${path}.from`),
        factor: finite(factor, `${path}.factor`),
        every: whole(every, 'every')
      }
    }
    case 'cosine': {
      const {
        from,
        to,
        iterations: length
      } = record(schedule as CosineSchedule, path, ['kind', 'from', 'to', 'iterations'])
      return {
        kind: 'cosine',
        from: nonNegative(from, `${path}.from`),
        to: nonNegative(orDefault(to, 0), `${path}.to`),
        ...(length === undefined && iterations === OPEN
          ? {}
          : { iterations: whole(orDefault(length, iterations), 'iterations') })
      }
    }
    case 'warm-up': {
      const { iterations: length, into } = record(schedule as WarmUpSchedule, path, ['kind', 'iterations', 'into'])
      const rise = whole(length, 'iterations')
      const rest = typeof iterations === 'number' ? Math.max(1, iterations - rise) : iterations
      if (typeof into === 'number') return { kind: 'warm-up', iterations: rise, into: positive(into, `${path}.into`) }
      if (depth === MOST_NESTED) throw invalid(`${path}.into`, into, 'a number: schedules are nested too deeply')
      return { kind: 'warm-up', iterations: rise, into: completeSchedule(into, `${path}.into`, rest, depth + 1) }
    }
    case 'table': {
      const { rates } = record(schedule as TableSchedule, path, ['kind', 'rates'])
      const checked = array(rates, `${path}.rates`).map((rate, i) => nonNegative(rate, `${path}.rates[${i}]`))
      return { kind: 'table', rates: checked }
    }
  }
}
