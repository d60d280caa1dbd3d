import { mean, median, standardDeviation } from '../support/averages.js'
import { type Curve, type Final, type FinalIterations, final, scaled } from './curve.js'
import { groupBy } from './group-by.js'
import { type Measure, stuckAbove, TWO_CLASSES } from './measure.js'
import { publishedCurves } from './published.js'
import type { FinishedRun } from './runs.js'

/** The format of results.json. */
const COMPARISON_FORMAT = 'mdgl-compare/1'

/** A run and what it came to. */
export interface RunResult extends FinishedRun {
  readonly final: Final
  /** Whether it learned nothing: the median of its final losses is near chance. A run that diverged counts. */
  readonly stuck: boolean
}

/** Mean and standard deviation of several runs' final losses, and their mean accuracy. */
export interface Summary {
  readonly runs: number
  readonly loss: number
  readonly deviation: number
  /** Null where the loss knows no right or wrong. */
  readonly accuracy: number | null
}

/** All runs of one rule. */
export interface RuleResult {
  /** Its name. */
  readonly rule: string
  readonly runs: readonly RunResult[]
  readonly all: Summary
  /** The runs that got stuck, or diverged. */
  readonly stuck: number
  /** The runs that diverged. */
  readonly diverged: number
  /** The median final loss of the runs that did not; null if there is none. */
  readonly medianOfLearned: number | null
  readonly msPerIteration: number
  readonly published: { readonly curves: readonly Curve[]; readonly summary: Summary } | null
}

/** What a comparison found; losses are those of its measure. */
export interface Comparison {
  readonly task: string
  readonly measure: Measure
  readonly iterations: number
  /** What counts as the end of a run. */
  readonly finalIterations: FinalIterations
  readonly seeds: readonly number[]
  readonly rules: readonly RuleResult[]
  /** On how many of the seeds MDGL ends below e-prop; null unless both have run. */
  readonly mdglBelowEprop: { readonly seeds: number; readonly of: number } | null
}

/** Sums up finished runs, rule by rule. */
export function summarise(
  task: string,
  iterations: number,
  finished: readonly FinishedRun[],
  measure = TWO_CLASSES,
  finalIterations?: FinalIterations
): Comparison {
  const published = publishedCurves(task)
  const runs = finished.map(run => ({ ...run, curve: scaled(run.curve, measure.scale) }))
  const byRule = [...groupBy(runs, ({ rule }) => rule)]
  return {
    task,
    measure,
    iterations,
    finalIterations,
    seeds: [...new Set(runs.map(({ seed }) => seed))],
    rules: byRule.map(([rule, ruleRuns]) =>
      ruleResult(rule, ruleRuns, published.get(rule), stuckAbove(measure), finalIterations)
    ),
    mdglBelowEprop: mdglBelowEprop(runs, finalIterations)
  }
}

function ruleResult(
  rule: string,
  finished: readonly FinishedRun[],
  published: readonly Curve[] | undefined,
  limit: number | null,
  finalIterations: FinalIterations
): RuleResult {
  const runs = finished.map(run => {
    const result = final(run.curve, finalIterations)
    return { ...run, final: result, stuck: run.diverged !== undefined || (limit !== null && result.median > limit) }
  })
  const learned = runs.filter(({ stuck }) => !stuck)
  return {
    rule,
    runs,
    all: summaryOf(runs.map(run => run.final)),
    stuck: runs.length - learned.length,
    diverged: runs.filter(({ diverged }) => diverged !== undefined).length,
    medianOfLearned: learned.length === 0 ? null : median(learned.map(run => run.final.loss)),
    msPerIteration: mean(runs.map(({ msPerIteration }) => msPerIteration)),
    published:
      published === undefined
        ? null
        : { curves: published, summary: summaryOf(published.map(curve => final(curve, finalIterations))) }
  }
}

function summaryOf(finals: readonly Final[]): Summary {
  const losses = finals.map(({ loss }) => loss)
  return {
    runs: finals.length,
    loss: mean(losses),
    deviation: standardDeviation(losses),
    accuracy: numberOrNull(mean(finals.map(({ accuracy }) => accuracy)))
  }
}

const numberOrNull = (value: number) => (Number.isNaN(value) ? null : value)

function mdglBelowEprop(runs: readonly FinishedRun[], finalIterations: FinalIterations): Comparison['mdglBelowEprop'] {
  const losses = (rule: string) =>
    new Map(runs.filter(run => run.rule === rule).map(run => [run.seed, final(run.curve, finalIterations).loss]))
  const eprop = losses('eprop')
  const pairs = [...losses('mdgl')].flatMap(([seed, loss]) => {
    const other = eprop.get(seed)
    return other === undefined ? [] : [loss < other]
  })
  return pairs.length === 0 ? null : { seeds: pairs.filter(Boolean).length, of: pairs.length }
}

/** results.json: every figure of the table, and how it came about. */
export function resultsJson(comparison: Comparison): string {
  return `${JSON.stringify({ format: COMPARISON_FORMAT, ...figures(comparison) }, null, 2)}\n`
}

/** Every figure of a comparison's table. */
export function figures({ rules, finalIterations, ...rest }: Comparison) {
  return {
    // Null: the last tenth, at least ten validations.
    finalIterations: finalIterations ?? null,
    stuckAbove: stuckAbove(rest.measure),
    ...rest,
    rules: rules.map(({ runs, published, ...rule }) => ({
      ...rule,
      published: published?.summary ?? null,
      runs: runs.map(({ seed, path, final, stuck, diverged = null }) => ({ seed, path, final, stuck, diverged }))
    }))
  }
}
