import { finite, numbers } from '../support/check.js'
import { invalid, MdglError } from '../support/error.js'

/**
 * The normalised error of a regression, Σ (y − y*)² / Σ y*²: 0 for a perfect output, 1 for one that is always 0. With
 * the loss `'squared-error'` it equals E divided by the mean over trials of ½ Σ y*².
 *
 * @example
 * ```ts
 * console.log(normalisedError([0.9, 2.1], [1, 2])); // 0.004
 * ```
 * @param outputs - y, in the same order as the targets.
 * @param targets - y*.
 * @throws {@link MdglError} `'invalid'` for arrays of different lengths and for targets that are all 0.
 */
export function normalisedError(outputs: ArrayLike<number>, targets: ArrayLike<number>): number {
  const wanted = Array.from(numbers(targets, 'targets'), (value, i) => finite(value, `targets[${i}]`))
  const given = Array.from(numbers(outputs, 'outputs'), (value, i) => finite(value, `outputs[${i}]`))
  if (given.length !== wanted.length) {
    throw invalid('outputs', outputs, `as many values as targets, ${wanted.length}`)
  }
  const power = wanted.reduce((sum, value) => sum + value ** 2, 0)
  if (!(power > 0)) throw invalid('targets', targets, 'at least one value that is not 0')
  const error = wanted.reduce((sum, value, i) => sum + ((given[i] ?? 0) - value) ** 2, 0) / power
  if (Number.isFinite(error)) return error
  throw new MdglError({ code: 'not-finite', message: 'The error of these outputs is too large for a number.' })
}
