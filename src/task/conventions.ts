import type { NetworkDescription } from '../network/description.js'
import { invalid } from '../support/error.js'
import type { Loss } from './batch.js'

const only = (path: string, value: unknown, allowed: string) =>
  invalid(path, value, `with conventions 'bellec2020': ${allowed}`)

/** Refuses losses that have no equation in the network's conventions, or for its units. */
export function checkObjective(
  description: NetworkDescription,
  terms: readonly { readonly loss: Loss }[],
  regularised: boolean
): void {
  if (regularised && hasRateUnits(description)) throw invalid('regulariser', 'set', 'with rate units: none')
  if (description.conventions !== 'bellec2020') return
  const other = terms.find(({ loss }) => loss.kind !== 'squared-error' && loss.kind !== 'cross-entropy')
  if (other) throw only('loss.kind', other.loss.kind, "'squared-error' or 'cross-entropy'")
  const windowed = terms.some(({ loss }) => loss.kind === 'cross-entropy' && loss.window === 'targets')
  if (windowed) throw only('loss.window', 'targets', 'a duration in ms')
  if (regularised && terms.length > 1) throw only('loss', terms, 'one loss, with a regulariser')
}

function hasRateUnits({ populations }: NetworkDescription): boolean {
  return populations.some(({ model }) => model === 'rate')
}
