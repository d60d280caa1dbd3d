import type { BuiltInTask } from '../runs/tasks.js'
import { isFloat64Array } from '../support/recognise.js'
import { makeBatch } from '../task/task.js'

/** What a task's losses are held against, and how they are shown. */
export interface Measure {
  /** What the shown loss is, with its unit. */
  readonly label: string
  /** Losses are divided by this to be shown. */
  readonly scale: number
  /** The shown loss of an output that tells nothing. */
  readonly chance: number
  /** What {@link Measure.chance} is. */
  readonly chanceLabel: string
}

/** Two classes: the loss as it is. */
export const TWO_CLASSES = classes(2)

/** A run that ends above this part of the way to chance has learned nothing: 0.65 where chance is ln 2 = 0.693. */
export const stuckAbove = ({ chance }: Measure): number => 0.65 * (chance / Math.LN2)

/** The measure of a task: cross-entropy as it is, a squared error as the normalised error Σ (y − y*)² / Σ y*². */
export async function measureOf(task: BuiltInTask): Promise<Measure> {
  if (task.loss.kind === 'squared-error') return normalised(await targetPower(task))
  const units = (task.network({ seed: 1 }).readouts ?? []).reduce((sum, { size }) => sum + size, 0)
  return classes(units)
}

function classes(count: number): Measure {
  const chance = Math.log(count)
  return { label: 'cross-entropy, nats', scale: 1, chance, chanceLabel: `chance (ln ${count})` }
}

function normalised(power: number): Measure {
  return { label: 'normalised error', scale: power / 2, chance: 1, chanceLabel: 'an output of 0' }
}

/** Σ y*² of a trial. */
async function targetPower(task: BuiltInTask): Promise<number> {
  const { targets } = await makeBatch(task, { split: 'validation', size: 1, seed: 1 })
  if (!isFloat64Array(targets)) throw new Error(`the task '${task.name}' has no values as targets`)
  return targets.reduce((sum, value) => sum + value ** 2, 0)
}
