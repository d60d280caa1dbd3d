// The experiments of examples/experiments, in the order of docs/results.md.
import cellTypes from '../../examples/experiments/cell-types.mjs'
import lesions from '../../examples/experiments/lesions.mjs'
import specificity from '../../examples/experiments/specificity.mjs'
import { runCount } from './experiment-runs.mjs'

export const EXPERIMENTS = [specificity, lesions, cellTypes]

/** What `--list` prints of them: one line each. */
export function experimentListing() {
  return EXPERIMENTS.map(experiment => {
    const { name, tasks, budget } = experiment
    return `${name.padEnd(22)} ${tasks.join(', ')}: ${runCount(experiment)} runs, at most ${budget} minutes on 2 cores`
  }).join('\n')
}
