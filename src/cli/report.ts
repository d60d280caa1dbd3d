import type { Comparison, RuleResult, Summary } from '../compare/comparison.js'
import { FINAL_ITERATIONS } from '../compare/curve.js'
import { stuckAbove } from '../compare/measure.js'
import { table } from './table.js'

/** The table that ends `mdgl compare`. */
export function report(comparison: Comparison): string {
  const { task, measure, iterations, rules, mdglBelowEprop } = comparison
  const header = [
    'rule',
    'seeds',
    'final loss',
    'stuck',
    'median of learned',
    'accuracy',
    'ms/iteration',
    'published loss',
    'published accuracy'
  ]
  return [
    `${task}, ${iterations} iterations`,
    '',
    table([header, ...rules.map(ruleRow)], 1),
    '',
    'Final loss of each seed:',
    table(seedRows(comparison), 1),
    '',
    ...(mdglBelowEprop === null
      ? []
      : [`MDGL ends below e-prop on ${mdglBelowEprop.seeds} of ${mdglBelowEprop.of} seeds.`]),
    `Final: mean over the validations of the last ${FINAL_ITERATIONS} iterations, then mean ± sd over the seeds, stuck ones included.`,
    `Loss: ${measure.label}; ${measure.chanceLabel} has ${round(measure.chance)}. Stuck: a final loss above ${round(stuckAbove(measure))}.`,
    ...(rules.some(({ diverged }) => diverged > 0)
      ? ['Diverged: a gradient or weight was no longer finite; the run ends there and counts as stuck.']
      : []),
    ...(rules.some(({ published }) => published !== null) ? ['Published: 5 runs a rule, 2000 iterations.'] : [])
  ].join('\n')
}

function ruleRow({ rule, all, stuck, medianOfLearned, msPerIteration, published }: RuleResult): string[] {
  return [
    rule,
    String(all.runs),
    lossOf(all),
    String(stuck),
    medianOfLearned?.toFixed(3) ?? '–',
    accuracyOf(all),
    msPerIteration.toFixed(1),
    published === null ? '–' : lossOf(published.summary),
    published === null ? '–' : accuracyOf(published.summary)
  ]
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
