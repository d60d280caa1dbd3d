import type { Readout } from '../network/description.js'
import type { Values } from '../support/precision.js'
import { isFloat32Array } from '../support/recognise.js'

/** One readout's columns in rows of all readouts' units. */
export interface Columns {
  readonly offset: number
  readonly units: number
  readonly width: number
  readonly rows: number
}

/** Where a readout's columns are, in an array of so many rows. */
export function columnsOf(readouts: readonly Readout[], readout: Readout, rows: number): Columns {
  const sizes = (some: readonly Readout[]) => some.reduce((sum, { size }) => sum + size, 0)
  const offset = sizes(readouts.slice(0, readouts.indexOf(readout)))
  return { offset, units: readout.size, width: sizes(readouts), rows }
}

/** The values in some columns; the array itself where there are no others. */
export function takeColumns(values: Values, { offset, units, width, rows }: Columns): Values {
  if (units === width) return values
  const taken = isFloat32Array(values) ? new Float32Array(rows * units) : new Float64Array(rows * units)
  for (let row = 0; row < rows; row++) {
    taken.set(values.subarray(row * width + offset, row * width + offset + units), row * units)
  }
  return taken
}

/** Writes values into some columns. */
export function putColumns(all: Float64Array, values: Float64Array | Float32Array, columns: Columns): void {
  const { offset, units, width, rows } = columns
  // By index: a caller's array may have methods of its own.
  for (let i = 0; i < rows * units; i++) all[Math.floor(i / units) * width + offset + (i % units)] = values[i] ?? 0
}
