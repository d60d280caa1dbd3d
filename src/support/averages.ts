/** The mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The sample standard deviation; 0 of a single value. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0
  const centre = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1))
}

/** The median; NaN of nothing. */
export function median(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b)
  const middle = ordered.length / 2
  return mean(ordered.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1))
}

/** The mean of up to `width` neighbours around each value. */
export function movingMean(values: readonly number[], width: number): number[] {
  const reach = Math.floor(width / 2)
  return values.map((_, i) => mean(values.slice(Math.max(0, i - reach), i + reach + 1)))
}
