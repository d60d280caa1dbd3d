/** A value at an iteration. */
export interface Point {
  readonly iteration: number
  readonly value: number | null
}

/** Mean and spread of several curves over their iterations. */
export interface Spread {
  readonly iterations: number[]
  readonly mean: (number | null)[]
  readonly low: (number | null)[]
  readonly high: (number | null)[]
}

/** Mean ± sample standard deviation at each iteration, of the curves that have a value there. */
export function spread(curves: readonly (readonly Point[])[]): Spread {
  const values = new Map<number, number[]>()
  for (const { iteration, value } of curves.flat()) {
    if (value === null || !Number.isFinite(value)) continue
    const there = values.get(iteration)
    if (there === undefined) values.set(iteration, [value])
    else there.push(value)
  }
  const iterations = [...values.keys()].sort((a, b) => a - b)
  const each = iterations.map(iteration => summary(values.get(iteration) ?? []))
  return {
    iterations,
    mean: each.map(({ mean }) => mean),
    low: each.map(({ mean, deviation }) => mean - deviation),
    high: each.map(({ mean, deviation }) => mean + deviation)
  }
}

/**
 * An exponential moving average: each value counts 1 − weight, all before it the rest, without the start's pull towards 0. A
 * weight of 0 leaves the points as they are.
 */
export function smooth(points: readonly Point[], weight: number): readonly Point[] {
  if (weight === 0) return points
  let [sum, total] = [0, 0]
  return points.map(({ iteration, value }) => {
    if (value === null || !Number.isFinite(value)) return { iteration, value }
    sum = weight * sum + (1 - weight) * value
    total = weight * total + (1 - weight)
    return { iteration, value: sum / total }
  })
}

function summary(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) }
}
