import { type Activity, activityAt } from '../network/activity.js'
import type { NetworkDescription } from '../network/description.js'
import type { Metrics } from '../operations/train.js'

const ADVICE = {
  silent: 'no cell fired: larger weights or inputs, or lower thresholds, would wake it',
  epileptic:
    'its cells fire at over half of the highest rate they can: smaller weights or inputs, higher thresholds, or the firing-rate ' +
    'regulariser would calm it'
} as const

/** Finds the first iteration at which a run's network is silent, and the first at which it is epileptic. */
export class ActivityWatch {
  readonly #description: NetworkDescription
  readonly #said = new Set<Activity>()

  constructor(description: NetworkDescription) {
    this.#description = description
  }

  /** What there is to say about a line of metrics, each kind once. */
  warning({ iteration, rate }: Metrics): string | undefined {
    const activity = activityAt(this.#description, rate)
    if (activity === 'normal' || this.#said.has(activity)) return undefined
    this.#said.add(activity)
    return `the network is ${activity} in iteration ${iteration}; ${ADVICE[activity]}. The run continues`
  }
}
