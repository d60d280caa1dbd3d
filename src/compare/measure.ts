import type { BuiltInTask } from '../runs/tasks.js'
import { isFloatArray } from '../support/recognise.js'
import type { Batch, Loss } from '../task/batch.js'
import { makeBatch } from '../task/task.js'

/** What a task's losses are held against, and how they are shown. */
export interface Measure {
  /** What the shown loss is, with its unit. */
  readonly label: string
  /** Losses are divided by this to be shown. */
  readonly scale: number
  /** The shown loss of an output that tells nothing; null where it is not known. */
  readonly chance: number | null
  /** What {@link Measure.chance} is. */
  readonly chanceLabel: string
}

/** Two classes: the loss as it is. */
export const TWO_CLASSES = classes(2)

/** A loss of which nothing is known. */
const UNKNOWN: Measure = { label: 'loss', scale: 1, chance: null, chanceLabel: 'chance is not known' }

/** Trials over which the power of a task's targets is averaged. */
const POWER_TRIALS = 16

/**
 * A run that ends above this part of the way to chance has learned nothing: 0.65 where chance is ln 2 = 0.693. Null where chance is not
 * known: then no run counts as stuck.
 */
export const stuckAbove = ({ chance }: Measure): number | null => (chance === null ? null : 0.65 * (chance / Math.LN2))

/**
 * The measure of a task: cross-entropy as it is, a squared error as the normalised error Σ (y − y*)² / Σ y*²; of another loss, or of
 * several, the loss as it is.
 */
export async function measureOf(task: BuiltInTask): Promise<Measure> {
  const losses =
    'kind' in task.loss
      ? [['', task.loss as Loss] as const]
      : Object.entries(task.loss as Readonly<Record<string, Loss>>)
  const [[readout, loss] = ['', undefined], ...more] = losses
  if (loss === undefined || more.length > 0 || loss.weight === 0) return UNKNOWN
  const { weight = 1 } = loss
  if (loss.kind === 'cross-entropy') {
    const { readouts = [] } = task.network({ seed: 1 })
    const units = (readouts.find(({ name }) => name === readout) ?? readouts[0])?.size ?? 0
    return loss.reduction === 'sum' || loss.classWeights !== undefined ? UNKNOWN : classes(units, weight)
  }
  if (loss.kind !== 'squared-error' || loss.reduction === 'mean') return UNKNOWN
  const power = targetPower(await makeBatch(task, { split: 'validation', size: POWER_TRIALS, seed: 1 }))
  return power > 0 && Number.isFinite(power) ? normalised(weight * power) : UNKNOWN
}

function classes(count: number, weight = 1): Measure {
  const name = `${weight === 1 ? '' : `${weight} `}ln ${count}`
  return { label: 'cross-entropy, nats', scale: 1, chance: weight * Math.log(count), chanceLabel: `chance (${name})` }
}

function normalised(power: number): Measure {
  return { label: 'normalised error', scale: power / 2, chance: 1, chanceLabel: 'an output of 0' }
}

/** Σ y*² of a trial, the mean over a batch; NaN where its targets are no values of one readout. */
function targetPower({ targets }: Batch): number {
  const [values] = isFloatArray(targets) ? [targets] : Object.values(targets ?? {})
  if (!isFloatArray(values)) return Number.NaN
  let sum = 0
  for (const value of values) sum += value ** 2
  return sum / POWER_TRIALS
}
