import type { NativeModel } from '#native'
import { guard } from '../addon/native.js'
import { type CustomRule, defineRule, isCustomRule } from './custom-rule.js'
import { expandRule, type Rule, type RuleName } from './rule.js'

/** What a rule is used for, where not every rule serves; the engine's table has them. */
export type RuleUse = 'custom-loss' | 'collective' | 'profile' | 'recorded-signals' | 'session'

/** The whole value of a rule for a model: refused where its network has no equation for it, or where it does not serve the use. */
export function expandRuleFor(model: NativeModel, given: RuleName | Rule, use?: RuleUse): Rule {
  const rule = expandRule(given)
  guard(() => model.checkRule(JSON.stringify(rule), use))
  return rule
}

/** A rule that takes a gradient. */
export interface PlannedRule {
  /** The engine's part of the plan: the rule as JSON, unless it is a custom one. */
  readonly plan: { readonly rule?: string }
  /** The rule that JavaScript is to be asked. */
  readonly custom: CustomRule | undefined
}

/** Checks a rule for a model and a use, a custom one too. */
export function planRule(model: NativeModel, given: RuleName | Rule | CustomRule, use?: RuleUse): PlannedRule {
  if (isCustomRule(given)) return { plan: {}, custom: defineRule(given) }
  return { plan: { rule: JSON.stringify(expandRuleFor(model, given, use)) }, custom: undefined }
}
