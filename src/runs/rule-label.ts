import { isDeepStrictEqual } from 'node:util'
import { isCustomRule } from '../rule/custom-rule.js'
import { expandRule, type Rule, type RuleName, ruleNames } from '../rule/rule.js'
import type { CodeFile } from './code-file.js'
import { type ChosenRule, ruleFileLabel } from './rule-file.js'

/** The name of a run's rule: of one from a file its own or the file's; of another without a name what it is made of. */
export function ruleLabel({
  rule,
  ruleFile
}: {
  readonly rule: unknown
  readonly ruleFile?: CodeFile | undefined
}): string {
  if (typeof rule === 'string') return rule
  if (ruleFile !== undefined) return ruleFileLabel({ rule, ruleFile })
  if (isCustomRule(rule)) return rule.name
  const value = rule as Rule
  const same = (name: RuleName) =>
    isDeepStrictEqual(JSON.parse(JSON.stringify(expandRule(name))), JSON.parse(JSON.stringify(value)))
  return ruleNames.find(same) ?? `${value.estimator}, ${value.hops} hops`
}

/** A run's folder within a comparison's: its rule's name, as far as folders may have it, and its seed. */
export const folderName = (run: ChosenRule & { readonly seed: number }): string =>
  `${ruleLabel(run).replaceAll(/[^\w.-]+/g, '-')}-${run.seed}`

/** A name that two of several rules have; nothing where each has its own. */
export function sameName(rules: readonly ChosenRule[]): string | undefined {
  const names = rules.map(ruleLabel)
  return names.find((name, i) => names.indexOf(name) !== i)
}
