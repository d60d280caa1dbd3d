import type { WholeDescription } from '../network/description.js'
import type { Batch } from '../task/batch.js'

/** Inputs that are values, of a trial: averaged over neighbouring steps, as many as a picture shows. */
export interface AnalogueInputs {
  readonly units: readonly number[]
  readonly bins: number
  /** A row per unit, a column per bin, relative to the largest absolute value. */
  readonly values: readonly number[]
  /** The largest absolute value of a step. */
  readonly largest: number
}

const MOST_BINS = 250
const MOST_UNITS = 60

/** The analogue inputs of a batch's first trial; nothing where it has none. Of many units an even sample. */
export function analogueInputs(
  { inputs }: Batch,
  { inputs: populations }: WholeDescription,
  steps: number
): AnalogueInputs | undefined {
  const bins = Math.min(MOST_BINS, steps)
  const rows: { readonly unit: number; readonly means: number[] }[] = []
  let [offset, largest] = [0, 0]
  for (const { name, size } of populations) {
    const given = inputs[name]
    if (given !== undefined && 'analogue' in given) {
      const { analogue } = given
      for (let i = 0; i < steps * size; i++) largest = Math.max(largest, Math.abs(analogue[i] ?? 0))
      const stride = Math.ceil(size / MOST_UNITS)
      for (let unit = 0; unit < size; unit += stride) {
        rows.push({ unit: offset + unit, means: binned(step => analogue[step * size + unit] ?? 0, steps, bins) })
      }
    }
    offset += size
  }
  if (rows.length === 0) return undefined
  const scale = largest || 1
  const values = rows.flatMap(({ means }) => means.map(mean => Number((mean / scale).toPrecision(3))))
  return { units: rows.map(({ unit }) => unit), bins, values, largest }
}

function binned(valueAt: (step: number) => number, steps: number, bins: number): number[] {
  return Array.from({ length: bins }, (_, bin) => {
    const [from, to] = [Math.floor((bin * steps) / bins), Math.floor(((bin + 1) * steps) / bins)]
    let sum = 0
    for (let step = from; step < to; step++) sum += valueAt(step)
    return sum / (to - from)
  })
}
