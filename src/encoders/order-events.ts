/** Events by their steps and units: entry i of both is one event. */
export interface StepsAndUnits {
  readonly steps: Uint32Array
  readonly units: Uint32Array
}

const DIGIT_BITS = 11
const DIGITS = 2 ** DIGIT_BITS

/**
 * The same events by step and, within a step, by unit. Sorts by digits of 11 bits, the lowest digit of the unit first and the highest of the
 * step last; each pass keeps the order of what it finds equal.
 */
export function ordered(events: StepsAndUnits): StepsAndUnits {
  const count = events.steps.length
  let from = events
  let to: StepsAndUnits = { steps: new Uint32Array(count), units: new Uint32Array(count) }
  for (const key of ['units', 'steps'] as const) {
    const most = largest(events[key])
    for (let shift = 0; shift < 32 && most >>> shift > 0; shift += DIGIT_BITS) {
      distribute(from, to, key, shift)
      ;[from, to] = [to, from]
    }
  }
  return from
}

function largest(values: Uint32Array): number {
  let most = 0
  for (let i = 0; i < values.length; i++) most = Math.max(most, values[i] ?? 0)
  return most
}

/** Copies the events in the order of one digit of their steps or units. */
function distribute(from: StepsAndUnits, to: StepsAndUnits, key: keyof StepsAndUnits, shift: number): void {
  const keys = from[key]
  const places = new Uint32Array(DIGITS + 1)
  for (let i = 0; i < keys.length; i++) {
    const next = digitOf(keys[i] ?? 0, shift) + 1
    places[next] = (places[next] ?? 0) + 1
  }
  for (let digit = 1; digit < DIGITS; digit++) places[digit] = (places[digit] ?? 0) + (places[digit - 1] ?? 0)
  for (let i = 0; i < keys.length; i++) {
    const digit = digitOf(keys[i] ?? 0, shift)
    const place = places[digit] ?? 0
    places[digit] = place + 1
    to.steps[place] = from.steps[i] ?? 0
    to.units[place] = from.units[i] ?? 0
  }
}

const digitOf = (key: number, shift: number) => (key >>> shift) & (DIGITS - 1)
