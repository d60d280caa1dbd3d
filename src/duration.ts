import { nonNegative } from './check.js'
import type { NetworkDescription, Projection } from './description.js'
import { invalid } from './error.js'

/** A duration in whole steps: milliseconds over `dt`, rounded. */
export function toSteps(duration: unknown, dt: number, path: string): number {
  return Math.round(nonNegative(duration, path) / dt)
}

/** As {@link toSteps}, and at least one step. */
export function toPositiveSteps(duration: unknown, dt: number, path: string): number {
  const steps = toSteps(duration, dt, path)
  if (steps < 1) throw invalid(path, duration, `at least one step (${dt} ms)`)
  return steps
}

/** A duration rounded to whole steps, in ms. */
export function roundToSteps(duration: unknown, dt: number, path: string): number {
  return toSteps(duration, dt, path) * dt
}

/** The steps that a projection's spikes take, from a whole description. */
export function delaySteps({ delay }: Projection, { dt = 1 }: NetworkDescription): number {
  return delay === undefined ? 1 : Math.round(delay / dt)
}
