import { nonNegative } from '../support/check.js'
import type { NetworkDescription, Parameter, Population, WholeDescription } from './description.js'
import { completeDescription } from './draft.js'
import { stepsIn } from './duration.js'

/** Level of a network's activity: no spikes, nearly as many as possible, or in between. */
export type Activity = 'silent' | 'normal' | 'epileptic'

/** The part of the highest possible rate from which on a network counts as epileptic. */
const EPILEPTIC = 0.5

/**
 * Classifies a mean firing rate, as in {@link Metrics} and {@link Evaluation}: the network is silent (no spike at all), epileptic (the rate is at
 * least half of the highest that its refractory periods allow, 1 spike in `dt + refractoryPeriod`) or normal. A network without
 * spiking cells is always normal. Silent and epileptic networks hardly learn, since ψ is 0 far from threshold; runs of the command line
 * print a warning and continue.
 *
 * @example
 * ```ts
 * const { rate } = await evaluate(model, batch, { loss: task.loss });
 * console.log(networkActivity(model.description, rate)); // normal
 * ```
 * @param description - The network.
 * @param rate - Mean firing rate of its recurrent neurons in Hz.
 * @returns The level of activity.
 * @throws {@link MdglError} `'invalid'` for a description that is not allowed, or a rate that is no number of at least 0.
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
