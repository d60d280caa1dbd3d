import { nonNegative } from '../support/check.js'
import type { NetworkDescription, Parameter, Population, WholeDescription } from './description.js'
import { completeDescription } from './draft.js'
import { stepsIn } from './duration.js'

/** Whether a network fires as one that learns does: not at all, as good as always, or in between. */
export type Activity = 'silent' | 'normal' | 'epileptic'

/** The part of the highest possible rate from which on a network counts as epileptic. */
const EPILEPTIC = 0.5

/**
 * Whether a network is silent (no spike at all) or epileptic (its mean rate is at least half of the highest that its refractory periods allow, 1
 * spike in `dt + refractoryPeriod`) at a mean firing rate, as {@link Metrics}, {@link Evaluation} and {@link Gradients} give it. A network without
 * spiking cells is always normal. In both cases there is next to nothing to learn from: ψ is 0 far from threshold. A run of the command line
 * warns of either and goes on.
 *
 * @example
 * ```ts
 * const { rate } = await evaluate(model, batch, { loss: task.loss });
 * console.log(networkActivity(model.description, rate)); // normal
 * ```
 * @param description - The network.
 * @param rate - Mean firing rate of its recurrent neurons in Hz.
 * @returns What kind of activity it is.
 * @throws {@link MdglError} `'invalid'` for a description that is not allowed, or a rate that is none.
 */
export function networkActivity(description: NetworkDescription, rate: number): Activity {
  return activityAt(completeDescription(description), nonNegative(rate, 'rate'))
}

/** The same for a model's own description, which needs no check. */
export function activityAt(description: WholeDescription, rate: number): Activity {
  const highest = highestRate(description)
  if (highest === 0) return 'normal'
  if (rate === 0) return 'silent'
  return rate >= EPILEPTIC * highest ? 'epileptic' : 'normal'
}

/** Mean over all recurrent neurons in Hz; rate units, which have no refractory period, count as silent, as they do in the engine's mean. */
function highestRate({ populations, dt, conventions }: WholeDescription): number {
  const blocked = conventions === 'bellec2020' ? 1 : 0
  const highest = (period: number) => 1000 / (dt * (1 + Math.max(0, stepsIn(period, dt) - blocked)))
  const sums = populations.map(p => (p.refractoryPeriod === undefined ? 0 : sum(p, p.refractoryPeriod, highest)))
  const cells = populations.reduce((all, { size }) => all + size, 0)
  return sums.reduce((all, own) => all + own, 0) / cells
}

function sum({ size }: Population, period: Parameter, of: (period: number) => number): number {
  return typeof period === 'number' ? size * of(period) : period.reduce((all, own) => all + of(own), 0)
}
