import { mean, median, movingMean, standardDeviation } from '../support/averages.js'

/** Validation losses and accuracies over a run. */
export interface Curve {
  readonly iterations: readonly number[]
  readonly loss: readonly number[]
  readonly accuracy: readonly number[]
}

/** What a run came to, over its final validations: means, and the median of the losses. */
export interface Final {
  readonly loss: number
  readonly accuracy: number
  readonly median: number
}

/** The part of a run's iterations whose validations are final. */
const FINAL_PART = 0.1
/** Final validations, where a run has so many. */
const LEAST_FINAL = 10

/** What counts as the end of a run: its last so many iterations. Default: the last tenth, at least ten validations. */
export type FinalIterations = number | undefined

/** In words, as tables have it. */
export const finalText = (given: FinalIterations): string =>
  given === undefined ? 'the last tenth of the iterations (10 validations at least)' : `the last ${given} iterations`

/** The first of some iterations that belong to the end of a run. */
export function firstFinal(iterations: readonly number[], given: FinalIterations): number {
  const last = iterations.at(-1) ?? 0
  const first = iterations.findIndex(iteration => iteration > last - (given ?? FINAL_PART * last))
  return given === undefined ? Math.max(0, Math.min(first, iterations.length - LEAST_FINAL)) : Math.max(0, first)
}

/** Means and median over a run's final validations. */
export function final({ iterations, loss, accuracy }: Curve, given?: FinalIterations): Final {
  const first = firstFinal(iterations, given)
  const losses = loss.slice(first)
  return { loss: mean(losses), accuracy: mean(accuracy.slice(first)), median: median(losses) }
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
