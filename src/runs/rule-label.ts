import { isDeepStrictEqual } from 'node:util'
import { expandRule, type Rule, type RuleName, ruleNames } from '../rule/rule.js'

/** The name of a rule, of one without a name what it is made of. */
export function ruleLabel(rule: RuleName | Rule): string {
  if (typeof rule === 'string') return rule
  const same = (name: RuleName) =>
    isDeepStrictEqual(JSON.parse(JSON.stringify(expandRule(name))), JSON.parse(JSON.stringify(rule)))
  return ruleNames.find(same) ?? `${rule.estimator}, ${rule.hops} hops`
}
