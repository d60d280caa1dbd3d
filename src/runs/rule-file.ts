import { basename, extname } from 'node:path'
import { type CustomRule, defineRule, isCustomRule } from '../rule/custom-rule.js'
import { expandRule, type Rule, type RuleName, ruleNames } from '../rule/rule.js'
import { isObject } from '../support/check.js'
import { type CodeFile, importCode, isCodeFile } from './code-file.js'

/** A run's learning rule, and the file that it came from, if it is the user's. */
export interface ChosenRule {
  readonly rule: RuleName | Rule | CustomRule
  readonly ruleFile?: CodeFile | undefined
}

/**
 * A rule by its name, or from a file: its default export is a rule of `defineRule`, or a `Rule`, such as `{ ...rules.mdglExact, hops: 4 }`.
 *
 * @throws An error that names the file and what it lacks; the file's own errors as they are.
 */
export async function loadRule(name: string): Promise<ChosenRule> {
  if (!isCodeFile(name)) return { rule: name as RuleName }
  const { file: ruleFile, exported } = await importCode(name)
  if (!isObject(exported)) {
    throw new Error(`${name} has no rule: its default export must be a rule of defineRule({ name, signal }), or a Rule`)
  }
  const rule = isCustomRule(exported) ? defineRule(exported) : expandRule(exported as Rule)
  const chosen = { rule, ruleFile }
  const label = ruleFileLabel(chosen)
  if ((ruleNames as readonly string[]).includes(label)) {
    throw new Error(`${name} has a rule named '${label}', which is a published rule's name: choose another`)
  }
  return chosen
}

/** The name of a rule that came from a file: its own, or the file's without the ending. */
export function ruleFileLabel({ rule, ruleFile }: { readonly rule: unknown; readonly ruleFile: CodeFile }): string {
  if (isCustomRule(rule)) return rule.name
  return basename(ruleFile.path, extname(ruleFile.path))
}
