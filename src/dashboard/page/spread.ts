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
    if (value !== null && Number.isFinite(value)) values.set(iteration, [...(values.get(iteration) ?? []), value])
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

function summary(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) }
}
