import { type CustomRule, defineRule, isCustomRule } from './custom-rule.js'
import type { NetworkDescription } from './description.js'
import { delaySteps } from './duration.js'
import { invalid } from './error.js'
import type { Loss } from './loss.js'
import { checkKernelTimes } from './normalise.js'
import { expandRule, type Rule, type RuleName } from './rule.js'

const only = (path: string, value: unknown, allowed: string) =>
  invalid(path, value, `with conventions 'bellec2020': ${allowed}`)

/** The whole value of a rule for a network: refused where the network's conventions or its delays have no equation, or sizes differ. */
export function expandRuleFor(description: NetworkDescription, given: RuleName | Rule): Rule {
  const rule = expandRule(given)
  if (description.conventions === 'bellec2020') {
    if (rule.estimator !== 'backward') throw only('rule.estimator', rule.estimator, "'backward'")
    if (rule.readoutFilter !== 'exact') throw only('rule.readoutFilter', rule.readoutFilter, "'exact'")
    if (rule.learningSignal === 'diffusive') throw only('rule.learningSignal', rule.learningSignal, "'own'")
    if (rule.hops !== 0) throw only('rule.hops', rule.hops, '0 (e-prop)')
  }
  if (!['backward', 'online'].includes(rule.estimator) && hasDelays(description)) {
    throw invalid('rule.estimator', rule.estimator, "with delays of more than one step: 'backward' or 'online'")
  }
  if (rule.estimator !== 'backward' && hasRateUnits(description)) {
    throw invalid('rule.estimator', rule.estimator, "with rate units: 'backward'")
  }
  checkChannelTimes(rule, description.dt ?? 1)
  if (typeof rule.feedback === 'object' && 'weights' in rule.feedback) checkSizes(description, rule.feedback.weights)
  return rule
}

/** The kernels of a rule's own channels, in a network's steps. */
function checkChannelTimes({ channels }: Rule, dt: number): void {
  if (channels === 'network') return
  const listed = 'length' in channels
  const all = listed ? channels : [channels]
  for (const [i, { kernel }] of all.entries())
    checkKernelTimes(kernel, dt, `rule.channels${listed ? `[${i}]` : ''}.kernel`)
}

/** A rule that takes a gradient. */
export interface PlannedRule {
  /** The engine's part of the plan: the rule as JSON, unless it is a custom one. */
  readonly plan: { readonly rule?: string }
  /** Of a custom rule none. */
  readonly estimator: Rule['estimator'] | undefined
  /** The rule that JavaScript is to be asked. */
  readonly custom: CustomRule | undefined
}

/** Checks a rule for a network, a custom one too. */
export function planRule(description: NetworkDescription, given: RuleName | Rule | CustomRule): PlannedRule {
  if (isCustomRule(given)) return { plan: {}, estimator: undefined, custom: defineRule(given) }
  const rule = expandRuleFor(description, given)
  return { plan: { rule: JSON.stringify(rule) }, estimator: rule.estimator, custom: undefined }
}

/** Refuses losses that have no equation in the network's conventions, or for its units. */
export function checkObjective(
  description: NetworkDescription,
  terms: readonly { readonly loss: Loss }[],
  regularised: boolean
): void {
  if (regularised && hasRateUnits(description)) throw invalid('regulariser', 'set', 'with rate units: none')
  if (description.conventions !== 'bellec2020') return
  const custom = terms.find(({ loss }) => loss.kind === 'custom')
  if (custom) throw only('loss.kind', custom.loss.kind, "'squared-error' or 'cross-entropy'")
  const windowed = terms.some(({ loss }) => loss.kind === 'cross-entropy' && loss.window === 'targets')
  if (windowed) throw only('loss.window', 'targets', 'a duration in ms')
  if (regularised && terms.length > 1) throw only('loss', terms, 'one loss, with a regulariser')
}

function hasRateUnits({ populations }: NetworkDescription): boolean {
  return populations.some(({ model }) => model === 'rate')
}

function hasDelays(description: NetworkDescription): boolean {
  return (description.projections ?? []).some(projection => delaySteps(projection, description) > 1)
}

function checkSizes(description: NetworkDescription, weights: readonly (readonly number[])[]): void {
  const sum = (parts: readonly { readonly size: number }[] = []) => parts.reduce((total, { size }) => total + size, 0)
  const [neurons, units] = [sum(description.populations), sum(description.readouts)]
  const path = 'rule.feedback.weights'
  if (weights.length !== neurons) throw invalid(path, weights, `${neurons} rows, one a neuron`)
  const columns = weights[0]?.length ?? 0
  if (columns !== units) throw invalid(`${path}[0]`, weights[0], `${units} weights, one a readout unit`)
}
