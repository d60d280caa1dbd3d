import { invalid, MdglError } from '../support/error.js'
import { partAt } from '../support/plain.js'
import { guard } from './native.js'

/** What the engine calls a number or a text that is not there. */
const ABSENT: readonly unknown[] = ['undefined', 'NaN', "''"]

/**
 * Calls the engine with copies of what a caller gave. A refusal's value is what was given at its path, which the engine knows as text.
 *
 * @param given - The copies, by the first word of their paths.
 */
export function askEngine<T>(given: object, call: () => T): T {
  try {
    return guard(call)
  } catch (error) {
    if (error instanceof MdglError && error.code === 'invalid') throw withValue(error, given)
    throw error
  }
}

function withValue(error: MdglError, given: object): MdglError {
  const { path = '', allowed = '' } = error
  const found = partAt(given, `.${path}`)
  if (found !== undefined) return invalid(path, found.value, allowed)
  if (ABSENT.includes(error.value)) return invalid(path, undefined, allowed)
  const text = /^'(.*)'$/s.exec(String(error.value))?.[1]
  if (text !== undefined) return invalid(path, text, allowed)
  // A default of the engine's, which other values do not go with.
  const number = Number(error.value)
  return Number.isFinite(number) ? invalid(path, number, allowed) : error
}
