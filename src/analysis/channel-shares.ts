import { isCustomRule } from '../rule/custom-rule.js'
import { expandRule } from '../rule/rule.js'
import { makeBatch } from '../task/task.js'
import { channelNorms } from './channel-norms.js'
import { canRecord, type Subject } from './trial-snapshot.js'

/** How much of the modulation each ordered pair of types carries in a trial. */
export interface ChannelShares {
  readonly iteration: number
  /** The receiving and the secreting type, √(Σ Γ²), and its square's part of the sum of all squares. */
  readonly pairs: readonly {
    readonly to: string
    readonly from: string
    readonly norm: number
    readonly share: number
  }[]
  /** Why there are none, where there are none. */
  readonly reason?: string
}

/** The shares of a rule's channels in the modulation of the trial that a snapshot shows. It changes nothing of the model. */
export async function channelShares(subject: Subject): Promise<ChannelShares> {
  const { model, task, rule, seed, iteration } = subject
  const none = (reason: string): ChannelShares => ({ iteration, pairs: [], reason })
  if (isCustomRule(rule)) return none('The parts of a rule of your own are not known.')
  const { hops } = expandRule(rule)
  if (hops === 0) return none('This rule uses no channels.')
  if (hops !== 1) return none('With more than one hop channels feed one another; one alone has no share.')
  if (!canRecord(task, rule)) return none('The modulation of this rule and loss is not recorded.')
  const batch = await makeBatch(task, { seed, split: 'validation', iteration, size: 1 })
  const { loss, regulariser } = task
  const { pairs } = await channelNorms(model, batch, { rule, loss, regulariser, seed, threads: 1 })
  const all = pairs.reduce((sum, { norm }) => sum + norm ** 2, 0)
  return {
    iteration,
    pairs: pairs.map(({ to, from, norm }) => ({ to, from, norm, share: all === 0 ? 0 : norm ** 2 / all }))
  }
}
