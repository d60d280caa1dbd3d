import { nonNegative } from '../support/check.js'
import { invalid } from '../support/error.js'

// The one rule for times and durations, here and in the engine (crates/mdgl-core/src/numeric/steps.rs). A time falls into the step ⌊time/dt⌋; a
// duration is rounded to whole steps, half a step up. Both count as the decimals that they are written as: 0.3 ms are three steps of 0.1 ms,
// though 0.3 / 0.1 is 2.9999999999999996. A duration above 0 that rounds to no step is refused.

/** Most steps of a trial. */
const MOST_STEPS = 2 ** 28

/**
 * How far the quotient of two doubles may be from that of the decimals which they stand for, as a fraction of it: each of the three has an
 * error of 2^-53 at most, and a time that was computed (seconds times 1000) some more. Decimals whose quotient comes closer to a
 * whole number without being one have more than 15 digits.
 */
const NOISE = 2 ** -50

/** The same where the times are single-precision floats. */
export const FLOAT_NOISE = 2 ** -24 + NOISE

/** The step that a time of at least 0 falls into: ⌊time/dt⌋; a time on the edge of two steps belongs to the later one. */
export function stepAt(time: number, dt: number, noise = NOISE): number {
  return wholeBelow(time / dt, noise)
}

/** The largest whole number that is not above a quotient, which is whole where it is as near to it as `noise`. */
function wholeBelow(quotient: number, noise: number): number {
  const nearest = Math.round(quotient)
  return Math.abs(quotient - nearest) <= nearest * noise ? nearest : Math.floor(quotient)
}

/** A duration or an edge of at least 0 in steps: duration/dt, rounded, half a step up. */
export function stepsIn(duration: number, dt: number): number {
  return Math.floor((wholeBelow(2 * (duration / dt), NOISE) + 1) / 2)
}

/** So many steps in ms, without the noise of the product: three of 0.1 ms are 0.3 ms. */
export function inMs(steps: number, dt: number): number {
  return Number((steps * dt).toPrecision(15))
}

/** A duration in whole steps; 0 is none, and what is above 0 is at least one. */
export function toSteps(duration: unknown, dt: number, path: string): number {
  const given = nonNegative(duration, path)
  const steps = stepsIn(given, dt)
  if (given > 0 && steps < 1) throw invalid(path, given, `0, or ${halfAStep(dt)}`)
  return steps
}

/** As {@link toSteps}, and at least one step. */
export function toPositiveSteps(duration: unknown, dt: number, path: string): number {
  const steps = stepsIn(nonNegative(duration, path), dt)
  if (steps < 1) throw invalid(path, duration, halfAStep(dt))
  return steps
}

/** The length of a trial, which has a largest one. */
export function toTrialSteps(duration: unknown, dt: number, path: string): number {
  const steps = toPositiveSteps(duration, dt, path)
  if (steps > MOST_STEPS) throw invalid(path, duration, `at most ${MOST_STEPS} steps`)
  return steps
}

/** A stretch of a trial, in ms or in steps. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** Both ends of a stretch in steps. One of a length above 0 that has no step is refused. */
export function toSpan({ from, to }: { readonly from: unknown; readonly to: unknown }, dt: number, path: string): Span {
  const [first, end] = [nonNegative(from, `${path}.from`), nonNegative(to, `${path}.to`)]
  const steps = { from: stepsIn(first, dt), to: stepsIn(end, dt) }
  const length = (end - first) / Math.max(first, end, Number.MIN_VALUE)
  if (length < -NOISE) throw invalid(`${path}.from`, first, `at most its end, ${end} ms`)
  if (length > NOISE && steps.from === steps.to) {
    throw invalid(`${path}.to`, end, `a time that rounds to a later step of ${dt} ms than its start, ${first} ms`)
  }
  return steps
}

const halfAStep = (dt: number) => `at least half a step (${dt / 2} ms)`
