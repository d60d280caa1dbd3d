import { mean, movingMean, standardDeviation } from '../support/averages.js'

/** Validation losses and accuracies over a run. */
export interface Curve {
  readonly iterations: readonly number[]
  readonly loss: readonly number[]
  readonly accuracy: readonly number[]
}

/** What a run came to: means over the validations of its last iterations. */
export interface Final {
  readonly loss: number
  readonly accuracy: number
}

/** A run's result is the mean over this many last iterations. */
export const FINAL_ITERATIONS = 200

/** Means over the validations of the last {@link FINAL_ITERATIONS}. */
export function final({ iterations, loss, accuracy }: Curve): Final {
  const first = (iterations.at(-1) ?? 0) - FINAL_ITERATIONS
  const late = (_: number, i: number) => (iterations[i] ?? 0) > first
  return { loss: mean(loss.filter(late)), accuracy: mean(accuracy.filter(late)) }
}

/** The same curve with its losses divided by a scale. */
export function scaled(curve: Curve, scale: number): Curve {
  return { ...curve, loss: curve.loss.map(loss => loss / scale) }
}

/** Mean and spread of several runs' losses at one iteration. */
export interface Point {
  readonly iteration: number
  readonly loss: number
  readonly deviation: number
}

const MOVING_WIDTH = 5

/** Mean and standard deviation over runs of their losses' moving means, at the iterations that all have. */
export function average(curves: readonly Curve[]): Point[] {
  const series = curves.map(({ iterations, loss }) => ({ iterations, values: loss }))
  return averageSeries(series).map(({ iteration, mean: loss, deviation }) => ({ iteration, loss, deviation }))
}

/** Values at iterations. */
export interface Series {
  readonly iterations: readonly number[]
  readonly values: readonly number[]
}

/** Mean and standard deviation over several series of their moving means, at the iterations that all have. */
export function averageSeries(
  series: readonly Series[]
): { readonly iteration: number; readonly mean: number; readonly deviation: number }[] {
  const smooth = series.map(({ iterations, values }) => {
    const moving = movingMean(values, MOVING_WIDTH)
    return new Map(iterations.map((iteration, i) => [iteration, moving[i] ?? Number.NaN]))
  })
  const common = [...(smooth[0]?.keys() ?? [])].filter(iteration => smooth.every(run => run.has(iteration)))
  return common.map(iteration => {
    const values = smooth.map(run => run.get(iteration) ?? Number.NaN)
    return { iteration, mean: mean(values), deviation: standardDeviation(values) }
  })
}
