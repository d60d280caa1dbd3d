import { checkOptions } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import type { Channel, NetworkDescription } from '../network/description.js'
import type { InputNames, ReadoutNames } from '../network/names.js'
import type { EvaluateOptions } from '../operations/evaluate.js'
import { type Recording, simulate } from '../operations/simulate.js'
import { channelsOf } from '../rule/channels-of.js'
import { expandRuleFor } from '../rule/planned-rule.js'
import type { Rule, RuleName } from '../rule/rule.js'
import { withRule } from '../support/deprecated.js'
import { invalid } from '../support/error.js'
import type { Precision } from '../support/precision.js'
import type { Batch } from '../task/batch.js'

/** Strength of the modulation that one type receives from another, or from itself. */
export interface ChannelNorm {
  /** The receiving type (presynaptic). */
  readonly to: string
  /** The secreting type (postsynaptic). */
  readonly from: string
  /** √(Σ Γ²) over the trials, their steps and the receiving cells. */
  readonly norm: number
  /** √(mean Γ²) over the same values; null where the receiving type has no cells. */
  readonly rootMeanSquare: number | null
}

/** Strength of the modulation of a rule on a batch, by pair of types. */
export interface ChannelNorms {
  /** One entry for each ordered pair of types that has a channel, in the channels' order. */
  readonly pairs: readonly ChannelNorm[]
  /** √(Σ Γ²) of all channels together, over the trials, their steps and all cells. */
  readonly norm: number
}

/** Options of {@link channelNorms}. */
export interface ChannelNormsOptions<ReadoutName extends string = string> extends EvaluateOptions<ReadoutName> {
  /** A rule of one hop, by name or value: with several hops channels feed one another, so that Γ is not a sum over channels. */
  readonly rule: RuleName | Rule
}

/**
 * Shows which channels carry learning: the norm of the modulatory signal Γ for each pair of a receiving and a secreting type. Γ is a sum over
 * channels; the part of a pair is recorded with its own channels alone, at the same weights and on the same batch. The squared norms of
 * the parts that different types receive add up to that of the whole; parts from different types to the same one may
 * reinforce or cancel each other.
 *
 * @example
 * ```ts
 * const { pairs } = await channelNorms(model, batch, { rule: 'mdgl' });
 * for (const { to, from, norm } of pairs) console.log(`${to} <- ${from}: ${norm}`);
 * ```
 * @param model - The model; it is not changed.
 * @param batch - The batch; it must have the targets that the loss needs.
 * @param options - The rule, the loss, a built-in one, and more.
 * @throws {@link MdglError} as a rejection: `'invalid'` for other rules and for bad options, batches and targets,
 * `'memory'`, `'disposed'`; the signal's reason when aborted.
 */
export function channelNorms<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options: ChannelNormsOptions<ReadoutNames<D>>
): Promise<ChannelNorms>
/** @deprecated `channelNorms(model, batch, { rule, … })` */
export function channelNorms<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  rule: RuleName | Rule,
  options: EvaluateOptions<ReadoutNames<D>>
): Promise<ChannelNorms>
export async function channelNorms<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  given: ChannelNormsOptions<ReadoutNames<D>> | RuleName | Rule,
  options?: EvaluateOptions<ReadoutNames<D>>
): Promise<ChannelNorms> {
  nativeModel(model)
  const asked = withRule<ChannelNormsOptions<ReadoutNames<D>>>('channelNorms', 'rule', given, options)
  const { rule, ...checked } = checkOptions(asked, ['rule', 'loss', 'regulariser', 'seed'])
  const expanded = expandRuleFor(nativeModel(model), rule)
  if (expanded.hops !== 1) throw invalid('rule.hops', expanded.hops, '1, a rule of one hop')
  // All parts at the same weights, even if the model is trained meanwhile.
  using still = model.clone()
  const squaresOf = async (channels: Rule['channels'], receiving?: string) =>
    squares(await simulate(still, batch, { ...checked, rule: { ...expanded, channels } }), receiving)

  const whole = await squaresOf(expanded.channels)
  const pairs: ChannelNorm[] = []
  for (const channels of byPair(channelsOf(expanded, model.description))) {
    const { from, to } = channels[0]
    const { sum, summands } = await squaresOf(channels, to)
    pairs.push({ to, from, norm: Math.sqrt(sum), rootMeanSquare: summands === 0 ? null : Math.sqrt(sum / summands) })
  }
  return { pairs, norm: Math.sqrt(whole.sum) }
}

type OneOrMore<T> = readonly [T, ...T[]]

function byPair(channels: readonly Channel[]): OneOrMore<Channel>[] {
  const pairs = new Map<string, [Channel, ...Channel[]]>()
  for (const channel of channels) {
    const key = JSON.stringify([channel.to, channel.from])
    const others = pairs.get(key)
    if (others === undefined) pairs.set(key, [channel])
    else others.push(channel)
  }
  return [...pairs.values()]
}

/** Σ Γ² over a type's cells, or over all, in the steps that the trials have, and the number of summands. */
function squares({ modulatorySignal = new Float64Array(), shape }: Recording, receiving?: string) {
  const { lengths, steps, neurons, types } = shape
  const cells = receiving === undefined ? [...Array(neurons).keys()] : (types[receiving] ?? [])
  let sum = 0
  for (const [trial, length] of lengths.entries()) {
    for (let step = 0; step < length; step++) {
      const row = (trial * steps + step) * neurons
      for (const cell of cells) sum += (modulatorySignal[row + cell] ?? 0) ** 2
    }
  }
  return { sum, summands: cells.length * lengths.reduce((total, length) => total + length, 0) }
}
