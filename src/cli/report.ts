import type { Comparison, RuleResult, Summary } from '../compare/comparison.js'
import { type FinalIterations, finalText } from '../compare/curve.js'
import { type Measure, stuckAbove } from '../compare/measure.js'
import { table } from './table.js'

/** The table that ends `mdgl compare`. */
export function report(comparison: Comparison): string {
  const { task, measure, iterations, finalIterations, rules, mdglBelowEprop } = comparison
  return [
    `${task}, ${iterations} iterations`,
    '',
    table([[...HEADER, 'published loss', 'published accuracy'], ...rules.map(publishedRow)], 1),
    '',
    'Final loss of each seed:',
    table(seedRows(comparison), 1),
    '',
    ...(mdglBelowEprop === null
      ? []
      : [`MDGL ends below e-prop on ${mdglBelowEprop.seeds} of ${mdglBelowEprop.of} seeds.`]),
    ...legend(measure, rules, finalIterations),
    ...(rules.some(({ published }) => published !== null) ? ['Published: 5 runs per rule, 2000 iterations.'] : [])
  ].join('\n')
}

/** A combination of a sweep, with its values on the sweep's axes. */
export interface ReportedCombination {
  readonly values: readonly string[]
  readonly comparison: Comparison
}

/** The table that has the combinations of a sweep. */
export function sweepReport(
  title: string,
  axes: readonly string[],
  combinations: readonly ReportedCombination[]
): string {
  const rows = combinations.flatMap(({ values, comparison }) =>
    comparison.rules.map(rule => [...values, ...ruleRow(rule)])
  )
  const measures = new Map(combinations.map(({ comparison: { measure } }) => [JSON.stringify(measure), measure]))
  const rules = combinations.flatMap(({ comparison }) => comparison.rules)
  const legends = [...measures.values()].flatMap(measure => legend(measure, rules, undefined))
  return [title, '', table([[...axes, ...HEADER], ...rows], axes.length + 1), '', ...new Set(legends)].join('\n')
}

const HEADER = ['rule', 'seeds', 'final loss', 'stuck', 'median of learned', 'accuracy', 'ms/iteration']

function ruleRow({ rule, all, stuck, medianOfLearned, msPerIteration }: RuleResult): string[] {
  return [
    rule,
    String(all.runs),
    lossOf(all),
    String(stuck),
    medianOfLearned?.toFixed(3) ?? '–',
    accuracyOf(all),
    msPerIteration.toFixed(1)
  ]
}

function publishedRow(result: RuleResult): string[] {
  const { published } = result
  const figures = published === null ? ['–', '–'] : [lossOf(published.summary), accuracyOf(published.summary)]
  return [...ruleRow(result), ...figures]
}

/** What the figures of a table are. */
function legend(measure: Measure, rules: readonly RuleResult[], finalIterations: FinalIterations): string[] {
  return [
    `Final: mean over the validations of ${finalText(finalIterations)}, then mean ± sd over the seeds, stuck ones included.`,
    lossText(measure),
    ...(rules.some(({ diverged }) => diverged > 0)
      ? ['Diverged: a gradient or weight was no longer finite; the run ends there and counts as stuck.']
      : [])
  ]
}

function lossText(measure: Measure): string {
  const { label, chance, chanceLabel } = measure
  const limit = stuckAbove(measure)
  if (chance === null || limit === null)
    return `Loss: ${label}, as the task has it; what is chance is not known, so no run counts as stuck.`
  return `Loss: ${label}; ${chanceLabel} has ${round(chance)}. Stuck: the median of those validations is above ${round(limit)}.`
}

const accuracyOf = ({ accuracy }: Summary) => accuracy?.toFixed(3) ?? '–'

/** To three decimals, without trailing zeros. */
const round = (value: number) => String(Number(value.toFixed(3)))

const lossOf = ({ runs, loss, deviation }: Summary) =>
  runs < 2 ? loss.toFixed(3) : `${loss.toFixed(3)} ± ${deviation.toFixed(3)}`

function seedRows({ seeds, rules }: Comparison): string[][] {
  return [
    ['seed', ...rules.map(({ rule }) => rule)],
    ...seeds.map(seed => [String(seed), ...rules.map(rule => seedCell(rule, seed))])
  ]
}

function seedCell({ runs }: RuleResult, seed: number): string {
  const run = runs.find(candidate => candidate.seed === seed)
  if (run === undefined) return '–'
  const loss = run.final.loss.toFixed(3)
  if (run.diverged !== undefined) return `diverged at ${run.diverged.iteration + 1}, ${loss}`
  return run.stuck ? `stuck ${loss}` : loss
}
