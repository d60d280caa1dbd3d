import { readFileSync } from 'node:fs'
import { digitsFile } from '../support/own-file.js'
import type { Split } from '../task/task.js'

/** Grey values 0 to 16, row by row, and the digits they show. */
export interface Digits {
  readonly rows: number
  readonly columns: number
  readonly maximum: number
  readonly labels: readonly number[]
  readonly images: readonly (readonly number[])[]
}

let loaded: Digits | undefined

/** The UCI handwritten digits (source and licence: `data/README.md`), read when they are first needed. */
export function digits(): Digits {
  loaded ??= JSON.parse(readFileSync(digitsFile(), 'utf8')) as Digits
  return loaded
}

/** Which images a split has: in the file's order the last 360 are for test, and the 180 before them for validation. */
export const DIGITS_SPLITS: Readonly<Record<Split, readonly [first: number, end: number]>> = {
  train: [0, 1257],
  validation: [1257, 1437],
  test: [1437, 1797]
}
