// Grey values as events, one value per step: crossings of 40 thresholds, as in LSNN-official's tutorial on sequential MNIST.

const THRESHOLDS = 40
/** Two units per threshold, but one for the last. */
export const CROSSING_UNITS = 2 * THRESHOLDS - 1
const WHITE = 255
const LAST = THRESHOLDS - 1

/**
 * How many thresholds θ_k = k/39 a value v/255 reaches, of all but the last: θ_k ≤ v/255 is 255 k ≤ 39 v, in whole numbers. They are k = 0 to
 * that number − 1.
 */
const REACHED = Uint8Array.from({ length: WHITE + 1 }, (_, value) =>
  Math.min(LAST, Math.floor((LAST * value) / WHITE) + 1)
)

const reached = (value: number | undefined) => REACHED[value ?? 0] ?? 0

/** Number of events of an image. */
export function countCrossings(values: Uint8Array): number {
  let count = 0
  for (let i = 0; i < values.length; i++) {
    if (values[i] === WHITE) count += 1
    if (i + 1 < values.length) count += Math.abs(reached(values[i + 1]) - reached(values[i]))
  }
  return count
}

/**
 * Writes the events (trial, step, unit) of an image, in ascending order.
 *
 * @returns Where in `events` to go on.
 */
export function writeCrossings(values: Uint8Array, trial: number, events: Uint32Array, from: number): number {
  let at = from
  const write = (step: number, unit: number) => {
    events[at++] = trial
    events[at++] = step
    events[at++] = unit
  }
  for (let step = 0; step < values.length; step++) {
    const before = reached(values[step])
    const after = step + 1 < values.length ? reached(values[step + 1]) : before
    for (let k = before; k < after; k++) write(step, 2 * k)
    for (let k = after; k < before; k++) write(step, 2 * k + 1)
    if (values[step] === WHITE) write(step, CROSSING_UNITS - 1)
  }
  return at
}
