import type { Channel, NetworkDescription } from '../network/description.js'
import { completeDescription } from '../network/draft.js'
import { finite, record } from '../support/check.js'
import { invalid } from '../support/error.js'
import { expandRule, type Rule, type RuleName } from './rule.js'

/** The rule's channels between the network's types, written out. */
export function channelsOf({ channels }: Rule, description: NetworkDescription): readonly Channel[] {
  if (channels !== 'network') return 'gain' in channels ? everywhere(channels, description) : channels
  return description.channels ?? everywhere({ gain: 'mean-weight', reach: 'synaptic', kernel: 'none' }, description)
}

/** One such channel between every ordered pair of types. */
function everywhere(
  shape: Pick<Channel, 'gain' | 'reach' | 'kernel' | 'above'>,
  description: NetworkDescription
): Channel[] {
  const names = (description.types ?? description.populations).map(({ name }) => name)
  return names.flatMap(to => names.map(from => ({ name: `${from}->${to}`, from, to, ...shape })))
}

/**
 * A rule whose modulatory channels have other strengths: the gain of each named channel, whatever it is, is multiplied by a factor. 0 blocks it,
 * 1 leaves it as it is, −1 reverses it. The synapses stay as they are.
 *
 * A channel that the network declares has its own name; those that every network has, one for each ordered pair of types, are called
 * `secreting->receiving`. Passed to {@link train} from some iteration on, the rule perturbs a training that goes on; passed to
 * {@link gradients}, {@link channelNorms} or {@link alignment}, it says what a channel contributes.
 *
 * @example
 * ```ts
 * const blocked = perturbChannels('mdgl', model.description, { 'inhibitory->excitatory': 0 });
 * const { projections } = await gradients(model, batch, { rule: blocked, loss: task.loss });
 * ```
 * @param rule - A rule that has channels, by name or value.
 * @param description - The network.
 * @param factors - A finite factor for each channel to perturb, by its name.
 * @returns The rule with its channels written out; those that were perturbed have a `factor`.
 * @throws {@link MdglError} `'invalid'` for a rule without channels, an unknown channel, a factor that is no finite number.
 */
export function perturbChannels(
  rule: RuleName | Rule,
  description: NetworkDescription,
  factors: Readonly<Record<string, number>>
): Rule {
  const expanded = expandRule(rule)
  const channels = channelsOf(expanded, completeDescription(description))
  if (expanded.hops === 0 || channels.length === 0) throw invalid('rule', rule, 'a rule with channels, such as mdgl')
  record(factors, 'factors', [...new Set(channels.map(({ name }) => name))])
  const perturbed = channels.map(channel => {
    const factor = factors[channel.name]
    if (factor === undefined) return channel
    return { ...channel, factor: (channel.factor ?? 1) * finite(factor, `factors.${channel.name}`) }
  })
  return expandRule({ ...expanded, channels: perturbed })
}
