import type { WholeDescription } from '../network/description.js'
import type { Losses, Regulariser } from '../task/batch.js'
import type { RunInfo } from './frames.js'

/** What the curves of a run are held against: the unit and chance of its loss, and the rate that it is regularised to. */
export type Measures = Pick<RunInfo, 'lossUnit' | 'chance' | 'targetRate'>

/** The measures of a loss on a network; a loss of one's own has no chance that is known. */
export function measuresOf(
  loss: Losses | undefined,
  regulariser: Regulariser | null | undefined,
  { readouts }: WholeDescription
): Measures {
  const losses = loss === undefined ? [] : 'kind' in loss ? [loss] : Object.values(loss)
  const kinds = new Set(losses.map(each => (each as { readonly kind?: string } | undefined)?.kind))
  const [kind] = kinds.size === 1 ? kinds : []
  const { weight = 1 } = (losses[0] ?? {}) as { readonly weight?: number }
  const units = readouts.reduce((sum, { size }) => sum + size, 0)
  const alone = losses.length === 1 && kind === 'cross-entropy' && units > 1
  return {
    lossUnit: kind === 'cross-entropy' ? 'cross-entropy, nats' : kind === 'squared-error' ? 'squared error' : 'loss',
    chance: alone ? { loss: weight * Math.log(units), accuracy: 1 / units } : null,
    targetRate: regulariser?.targetRate ?? null
  }
}
