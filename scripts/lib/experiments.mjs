// The experiments of examples/experiments, in the order of docs/results.md.
import biasOrVariance from '../../examples/experiments/bias-or-variance.mjs'
import cellTypes, { onDelayedMatch } from '../../examples/experiments/cell-types.mjs'
import family, { onOtherTasks } from '../../examples/experiments/family.mjs'
import lesions from '../../examples/experiments/lesions.mjs'
import sequentialDigitsWhy from '../../examples/experiments/sequential-digits-why.mjs'
import specificity from '../../examples/experiments/specificity.mjs'
import { runCount } from './experiment-runs.mjs'

export const EXPERIMENTS = [
  specificity,
  lesions,
  cellTypes,
  onDelayedMatch,
  family,
  onOtherTasks,
  biasOrVariance,
  sequentialDigitsWhy
]

/** What `--list` prints of them: one line each. */
export function experimentListing() {
  return EXPERIMENTS.map(experiment => {
    const { name, tasks, minutes } = experiment
    return `${name.padEnd(32)} ${tasks.join(', ')}: ${runCount(experiment)} runs, at most ${minutes} minutes on 2 cores`
  }).join('\n')
}
