import { toPositiveSteps, toSteps } from '../network/duration.js'

/** The step of the tasks' own networks, in ms. */
const STEP = 1

/** A duration of a task's in ms, as it is given; one that its network's step leaves nothing of is refused. */
export function lasting(duration: number, path: string): number {
  toPositiveSteps(duration, STEP, path)
  return duration
}

/** As {@link lasting}, or 0. */
export function lastingOrNone(duration: number, path: string): number {
  toSteps(duration, STEP, path)
  return duration
}
