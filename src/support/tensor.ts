import { array, isObject, numbers, oneOf, orDefault, record, wholeNumber } from './check.js'
import { invalid } from './error.js'
import { atMostNumbers } from './memory.js'

/** The order of a tensor's dimensions, slowest first: mdgl's own, or that of snnTorch and other libraries which step through time. */
export type TensorLayout = 'trial-time-unit' | 'time-trial-unit'

/** Numbers in three dimensions. */
export interface DenseTensor<Data> {
  /** The numbers; the last index runs fastest. */
  readonly data: Data
  /** Lengths of the dimensions, in the order of the layout. */
  readonly shape: readonly [number, number, number]
  /** The order of the dimensions. */
  readonly layout: TensorLayout
}

/** Options of {@link denseEvents} and {@link denseCurrents}. */
export interface TensorOptions {
  /** The order of the dimensions. Default `'trial-time-unit'`. */
  readonly layout?: TensorLayout | undefined
  /** Their lengths, in the order of the layout. A flat array needs it; a nested one has it. */
  readonly shape?: readonly [number, number, number] | undefined
}

/** Numbers in three dimensions: flat, the last index running fastest, or nested. */
export type TensorValues = ArrayLike<number> | readonly (readonly ArrayLike<number>[])[]

/** Where numbers in three dimensions stand: that of a trial, step and unit is at `trial · trialStride + step · stepStride + unit`. */
export interface TensorPlaces {
  readonly trials: number
  readonly steps: number
  readonly units: number
  readonly trialStride: number
  readonly stepStride: number
  /** Lengths in the order of the layout. */
  readonly shape: Shape
}

/** Numbers in three dimensions. */
export interface Tensor extends TensorPlaces {
  readonly values: ArrayLike<number>
}

/** Checks and copies a tensor; the numbers themselves are checked by what they are for. */
export function readTensor(given: TensorValues, options: TensorOptions): Tensor {
  record(options, 'options', ['layout', 'shape'])
  const layout = checkLayout(options.layout)
  const { values, shape } = isNested(given) ? flatten(given) : { values: numbers(given, 'values'), shape: undefined }
  const [outer, inner, units] = checkShape(options.shape, shape, values.length)
  const [trials, steps] = layout === 'trial-time-unit' ? [outer, inner] : [inner, outer]
  return { values, ...placesOf(layout, trials, steps, units) }
}

/** The places of a layout's numbers. */
export function placesOf(layout: TensorLayout, trials: number, steps: number, units: number): TensorPlaces {
  const sizes = { trials, steps, units }
  return layout === 'trial-time-unit'
    ? { ...sizes, trialStride: steps * units, stepStride: units, shape: [trials, steps, units] }
    : { ...sizes, trialStride: units, stepStride: trials * units, shape: [steps, trials, units] }
}

/** The order of dimensions that is asked for. */
export function checkLayout(layout: unknown): TensorLayout {
  const asked = orDefault(layout, 'trial-time-unit')
  return oneOf<TensorLayout>(asked, 'options.layout', ['trial-time-unit', 'time-trial-unit'])
}

type Shape = readonly [number, number, number]

const isNested = (given: TensorValues): given is readonly (readonly ArrayLike<number>[])[] =>
  isObject(given) && Array.isArray(given) && isObject((given as readonly unknown[])[0])

function flatten(given: readonly (readonly ArrayLike<number>[])[]): { values: Float64Array; shape: Shape } {
  const rows = array(given, 'values').map((row, i) =>
    array(row, `values[${i}]`).map((cells, j) => numbers(cells, `values[${i}][${j}]`))
  )
  const shape = [rows.length, rows[0]?.length ?? 0, rows[0]?.[0]?.length ?? 0] as const
  const [, inner, units] = shape
  const values = new Float64Array(atMostNumbers(rows.length * inner * units, 'values'))
  for (const [i, row] of rows.entries()) {
    if (row.length !== inner) throw invalid(`values[${i}]`, row, `${inner} rows, as values[0] has`)
    for (const [j, cells] of row.entries()) {
      const path = `values[${i}][${j}]`
      if (cells.length !== units) throw invalid(path, cells, `${units} numbers, as values[0][0] has`)
      const wrong = Array.prototype.findIndex.call(cells, value => typeof value !== 'number')
      if (wrong >= 0) throw invalid(`${path}[${wrong}]`, cells[wrong], 'a number')
      values.set(cells, (i * inner + j) * units)
    }
  }
  return { values, shape }
}

function checkShape(given: Shape | undefined, nested: Shape | undefined, count: number): Shape {
  const path = 'options.shape'
  if (given === undefined) {
    if (nested === undefined) throw invalid(path, given, 'three lengths in the order of the layout, for a flat array')
    return checkLengths(nested, 'values')
  }
  const shape = checkLengths(array(given, path), path)
  const product = shape.reduce((product, length) => product * length, 1)
  if (product !== count || nested?.some((length, d) => length !== shape[d])) {
    const of = nested === undefined ? `whose product is ${count}` : `(${nested.join(', ')}), as the nested array has`
    throw invalid(path, `(${shape.join(', ')})`, `lengths ${of}`)
  }
  return shape
}

function checkLengths(given: readonly number[], path: string): Shape {
  if (given.length !== 3) throw invalid(path, given, 'three lengths')
  const [outer, inner, units] = given.map((length, d) => wholeNumber(length, `${path}[${d}]`, 1))
  return [outer, inner, units] as Shape
}
