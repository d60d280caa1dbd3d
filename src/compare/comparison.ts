import type { RuleName } from '../rule.js'
import { type Curve, FINAL_ITERATIONS, type Final, final, isStuck, STUCK_ABOVE } from './curve.js'
import { groupBy } from './group-by.js'
import { publishedCurves } from './published.js'
import type { FinishedRun } from './runs.js'
import { mean, median, standardDeviation } from './statistics.js'

/** The format of results.json. */
export const COMPARISON_FORMAT = 'mdgl-compare/1'

/** A run and what it came to. */
export interface RunResult extends FinishedRun {
  readonly final: Final
  readonly stuck: boolean
}

/** Mean and standard deviation of several runs' final losses, and their mean accuracy. */
export interface Summary {
  readonly runs: number
  readonly loss: number
  readonly deviation: number
  readonly accuracy: number
}

/** All runs of one rule. */
export interface RuleResult {
  readonly rule: RuleName
  readonly runs: readonly RunResult[]
  readonly all: Summary
  /** The runs that got stuck. */
  readonly stuck: number
  /** The median final loss of the runs that did not; null if there is none. */
  readonly medianOfLearned: number | null
  readonly msPerIteration: number
  readonly published: { readonly curves: readonly Curve[]; readonly summary: Summary } | null
}

/** What a comparison found. */
export interface Comparison {
  readonly task: string
  readonly iterations: number
  readonly seeds: readonly number[]
  readonly rules: readonly RuleResult[]
  /** On how many of the seeds MDGL ends below e-prop; null unless both have run. */
  readonly mdglBelowEprop: { readonly seeds: number; readonly of: number } | null
}

/** Sums up finished runs, rule by rule. */
export function summarise(task: string, iterations: number, runs: readonly FinishedRun[]): Comparison {
  const published = publishedCurves(task)
  const byRule = [...groupBy(runs, ({ rule }) => rule)]
  return {
    task,
    iterations,
    seeds: [...new Set(runs.map(({ seed }) => seed))],
    rules: byRule.map(([rule, ruleRuns]) => ruleResult(rule, ruleRuns, published.get(rule))),
    mdglBelowEprop: mdglBelowEprop(runs)
  }
}

function ruleResult(
  rule: RuleName,
  finished: readonly FinishedRun[],
  published: readonly Curve[] | undefined
): RuleResult {
  const runs = finished.map(run => {
    const result = final(run.curve)
    return { ...run, final: result, stuck: isStuck(result) }
  })
  const learned = runs.filter(({ stuck }) => !stuck)
  return {
    rule,
    runs,
    all: summaryOf(runs.map(run => run.final)),
    stuck: runs.length - learned.length,
    medianOfLearned: learned.length === 0 ? null : median(learned.map(run => run.final.loss)),
    msPerIteration: mean(runs.map(({ msPerIteration }) => msPerIteration)),
    published: published === undefined ? null : { curves: published, summary: summaryOf(published.map(final)) }
  }
}

function summaryOf(finals: readonly Final[]): Summary {
  const losses = finals.map(({ loss }) => loss)
  return {
    runs: finals.length,
    loss: mean(losses),
    deviation: standardDeviation(losses),
    accuracy: mean(finals.map(({ accuracy }) => accuracy))
  }
}

function mdglBelowEprop(runs: readonly FinishedRun[]): Comparison['mdglBelowEprop'] {
  const losses = (rule: RuleName) =>
    new Map(runs.filter(run => run.rule === rule).map(run => [run.seed, final(run.curve).loss]))
  const eprop = losses('eprop')
  const pairs = [...losses('mdgl')].flatMap(([seed, loss]) => {
    const other = eprop.get(seed)
    return other === undefined ? [] : [loss < other]
  })
  return pairs.length === 0 ? null : { seeds: pairs.filter(Boolean).length, of: pairs.length }
}

/** results.json: every figure of the table, and how it came about. */
export function resultsJson(comparison: Comparison): string {
  const { rules, ...rest } = comparison
  const results = {
    format: COMPARISON_FORMAT,
    finalIterations: FINAL_ITERATIONS,
    stuckAbove: STUCK_ABOVE,
    ...rest,
    rules: rules.map(({ runs, published, ...rule }) => ({
      ...rule,
      published: published?.summary ?? null,
      runs: runs.map(({ seed, path, final, stuck }) => ({ seed, path, final, stuck }))
    }))
  }
  return `${JSON.stringify(results, null, 2)}\n`
}
