import { record, text } from '../support/check.js'
import type { Lesion } from './description.js'
import { indices } from './number-lists.js'

/** A list of single pairs holds indices of any population. */
const MOST_UNITS = 2 ** 24

/** A copy of a lesion, whose names and indices the engine checks against the network. */
export function copyLesion(given: Lesion, path: string): Lesion {
  record(given, path, ['projection', 'from', 'to', 'pre', 'post'])
  const named = (['projection', 'from', 'to'] as const).flatMap(key =>
    given[key] === undefined ? [] : [[key, text(given[key], `${path}.${key}`)]]
  )
  const listed = (['pre', 'post'] as const).flatMap(key =>
    given[key] === undefined ? [] : [[key, indices(given[key], MOST_UNITS, `${path}.${key}`)]]
  )
  return Object.fromEntries([...named, ...listed])
}
