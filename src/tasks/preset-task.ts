import type { Names, WholeDescription } from '../network/description.js'
import type { Batch, Loss } from '../task/batch.js'
import type { Optimiser } from '../task/optimiser.js'
import type { Task, TaskContext } from '../task/task.js'

/** The names of a network of one recurrent population, `cells`, with one input and one readout. */
export interface CellNames<Input extends string, Readout extends string, Type extends string> extends Names {
  /** The input. */
  readonly input: Input
  /** The recurrent population. */
  readonly population: 'cells'
  /** The readout. */
  readonly readout: Readout
  /** The cell types. */
  readonly type: Type
  /** The projections. */
  readonly projection: `${Input}->cells` | 'cells->cells' | `cells->${Readout}`
}

/** A built-in task, with a network and defaults. */
export interface PresetTask<N extends Names = Names> extends Task<N> {
  /**
   * The network that goes with the task.
   *
   * @param options - The seed of connectivity and initial weights.
   */
  network(options: {
    /** Seed of connectivity and initial weights. */
    readonly seed: number
  }): WholeDescription<N>
  /** The loss at the only readout, whatever its name. */
  readonly loss: Loss
  /** The default optimiser for this task. */
  readonly optimiser: Optimiser
  /** Default number of iterations. */
  readonly iterations: number
  /** Default number of trials per batch. */
  readonly batchSize: number
  /** Default number of iterations between validations. */
  readonly validateEvery: number
  /**
   * Creates a batch, with targets for the only readout.
   *
   * @param context - Iteration, split, size and random numbers.
   */
  batch(context: PresetContext): Batch<N['input'], never> | Promise<Batch<N['input'], never>>
}

/** The argument of a built-in task's `batch`; without a range it creates all trials. */
export type PresetContext = Omit<TaskContext, 'range'> & Partial<Pick<TaskContext, 'range'>>
