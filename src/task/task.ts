import { guard, native } from '../addon/native.js'
import type { Names, NetworkDescription } from '../network/description.js'
import type { InputNames, ReadoutNames } from '../network/names.js'
import { callable, isObject, object, oneOf, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Batch, Loss, Losses, Regulariser, Targets, TrialRange } from './batch.js'
import type { Optimiser } from './optimiser.js'

/** The use of a batch; each split draws its own random numbers. */
export type Split = 'train' | 'validation' | 'test'

/** A generator of random numbers: the engine's counter-based one. The same key gives the same numbers on every machine. */
export interface Random {
  /** Uniform in (0, 1]. */
  uniform(): number
  /**
   * A whole number from 0 to `n` − 1.
   *
   * @param n - At least 1.
   */
  integer(n: number): number
  /** Normal, mean 0 and standard deviation 1. */
  normal(): number
  /**
   * The numbers 0 to n − 1 in random order.
   *
   * @param n - The count of numbers, at most 2^28.
   */
  permutation(n: number): Uint32Array
}

/** A generator for a whole batch; {@link BatchRandom.trial} returns the generator of a trial. */
export interface BatchRandom extends Random {
  /**
   * A generator keyed by the trial: its numbers do not depend on other trials. It starts anew at each call.
   *
   * @param index - The trial.
   */
  trial(index: number): Random
}

/** The argument of {@link Task.batch}. */
export interface TaskContext {
  /** The iteration, from 1. */
  readonly iteration: number
  /** The use of the batch. */
  readonly split: Split
  /** Number of trials of the batch. */
  readonly size: number
  /**
   * The trials that this process computes: all, unless several processes share the batch. A task may create only these and return the range with
   * them ({@link Batch.range}); a task that creates all trials also works, at a higher cost.
   */
  readonly range: TrialRange
  /** Random numbers keyed by seed, split and iteration. */
  readonly rng: BatchRandom
}

/**
 * A task for a network whose inputs and readouts have these names. A {@link Task} with other names does not compile; a task of
 * unknown names (`Task` alone) fits every network, and is checked when it runs.
 */
export interface TaskFor<N extends Pick<Names, 'input' | 'readout'> = Names> {
  /** The name, for reports and folders. */
  readonly name: string
  /** A sentence, for the run's report. */
  readonly description?: string
  /**
   * The network that goes with the task; it need not be the one that is trained.
   *
   * @param options - The seed of connectivity and initial weights.
   */
  network?(options: {
    /** Seed of connectivity and initial weights. */
    readonly seed: number
  }): NetworkDescription
  /** The loss. */
  readonly loss: Losses<N['readout']>
  /** Firing-rate regulariser. Default: none. */
  readonly regulariser?: Regulariser | null
  /** The task's default optimiser. Default: {@link defaultOptimiser}. */
  readonly optimiser?: Optimiser
  /** The task's default number of iterations. Default: 1000. */
  readonly iterations?: number
  /** The task's default number of trials per batch. Default: 64. */
  readonly batchSize?: number
  /** The task's default number of iterations between validations. Default: 10. */
  readonly validateEvery?: number
  /**
   * Creates a batch. It must be a pure function of its argument, since batches are created ahead of their use.
   *
   * @param context - Iteration, split, size and random numbers.
   */
  batch(context: TaskContext): Batch<N['input'], N['readout']> | Promise<Batch<N['input'], N['readout']>>
}

/**
 * A task: a plain object that names the loss and creates batches of inputs and targets. Of Poisson inputs it gives the rates; the engine draws the events.
 *
 * @example
 * ```ts
 * const task: Task = {
 *   name: 'left or right',
 *   loss: { kind: 'cross-entropy' },
 *   batch: ({ size, rng }) => {
 *     const targets = Array.from({ length: size }, (_, trial) => rng.trial(trial).integer(2));
 *     const rates = targets.map((side, trial) => ({ trial, units: [side * 10, side * 10 + 10] as const, from: 0, to: 100, rate: 40 }));
 *     return { length: 200, inputs: { cues: { rates } }, targets };
 *   },
 * };
 * ```
 */
export interface Task<N extends Names = Names> extends TaskFor<N> {
  /**
   * The network that goes with the task.
   *
   * @param options - The seed of connectivity and initial weights.
   */
  network?(options: {
    /** Seed of connectivity and initial weights. */
    readonly seed: number
  }): NetworkDescription<N>
}

type BatchOf<T extends TaskFor> = Awaited<ReturnType<T['batch']>>

/** The names by which losses or targets are given; none where they are one loss, or an array. */
type Keys<T> = T extends Loss | Targets ? never : keyof T

/** The inputs and readouts that a task T names and a network D has not. */
type UnknownNames<D, T extends TaskFor> =
  | NotIn<Keys<BatchOf<T>['inputs']>, InputNames<D>>
  | NotIn<Keys<T['loss']> | Keys<NonNullable<BatchOf<T>['targets']>>, ReadoutNames<D>>

/** Names that the compiler does not know (`string`) may be any. */
type NotIn<Name, Known> = string extends Name ? never : Exclude<Name, Known>

/**
 * `unknown`, if the network D has every input and readout that the task T names; else a type that no task has, which lists the missing names.
 * {@link TaskFor} alone would accept a misspelt name beside a right one.
 */
export type KnownNames<D, T extends TaskFor> = [UnknownNames<D, T>] extends [never]
  ? unknown
  : {
      /** What the task names. */
      readonly 'names that the network does not have': UnknownNames<D, T>
    }

const SPLITS: readonly Split[] = ['train', 'validation', 'test']
/** Input events come from streams 0 to 99, tasks draw from 100 to 199 (the engine's rule). */
const FIRST_TASK_STREAM = 100
/** The last of the tasks' streams: no split's. */
const FIXED_STREAM = 199
/** No trial has this index, so no trial shares the batch's own numbers. */
const WHOLE_BATCH = 2 ** 32 - 1
const MOST_TRIALS = 2 ** 20
const MOST = 2 ** 32 - 1
/** A gigabyte of numbers. */
const MOST_PERMUTED = 2 ** 28

/** Options of {@link makeBatch}. */
export interface BatchOptions {
  /** The use of the batch: training draws `'train'` and `'validation'`, so that trials of `'test'` are new to the model. */
  readonly split: Split
  /** Number of trials. */
  readonly size: number
  /** Seed of the random numbers: a whole number of at least 0. */
  readonly seed: number
  /** The iteration, from 1. Default 1. */
  readonly iteration?: number
  /**
   * A process among those that share the batch, for example a {@link Collective}: only its own trials are created, if the task supports it, and
   * {@link evaluate} with the same collective computes with them. Default: the whole batch.
   */
  readonly share?: Share | undefined
}

/** The place of a process among those that share a batch. */
export interface Share {
  /** Number of the process, from 0 on. */
  readonly rank: number
  /** Number of processes. */
  readonly size: number
}

/**
 * Creates a batch of a task, the same that {@link train} creates for the same seed, split, iteration and size. If the batch has
 * rates, the engine draws the events when the batch is run, from the `seed` of {@link evaluate} or another function. The batch
 * contains the task's loss and regulariser, unless the task has given it a loss of its own.
 *
 * @example
 * ```ts
 * const batch = await makeBatch(task, { split: 'test', size: 100, seed: 1 });
 * const { accuracy } = await evaluate(model, batch);
 * ```
 * @param task - The task.
 * @param options - Split, size, seed, iteration and share.
 * @throws {@link MdglError} as a rejection: `'invalid'` for a task without `batch` and for an option that is not allowed;
 * the task's own error unchanged.
 */
export async function makeBatch<InputName extends string, ReadoutName extends string>(
  task: TaskFor<{ input: InputName; readout: ReadoutName }>,
  options: BatchOptions
): Promise<Batch<InputName, ReadoutName>> {
  const batch = await taskBatch(task, options)
  const { loss, regulariser } = task
  if (!isObject(batch) || Array.isArray(batch) || loss === undefined || Object.hasOwn(batch, 'loss')) return batch
  return { ...batch, loss, ...(regulariser != null && { regulariser }) }
}

/** The batch as the task made it. */
export async function taskBatch<InputName extends string, ReadoutName extends string>(
  task: TaskFor<{ input: InputName; readout: ReadoutName }>,
  options: BatchOptions
): Promise<Batch<InputName, ReadoutName>> {
  object(task, 'task')
  const make = callable(task.batch, 'task.batch')
  record(options, 'options', ['split', 'size', 'seed', 'iteration', 'share'])
  const split = oneOf(options.split, 'options.split', SPLITS)
  const size = wholeNumber(options.size, 'options.size', 1, MOST_TRIALS)
  const seed = wholeNumber(options.seed, 'options.seed')
  const { iteration = 1 } = options
  wholeNumber(iteration, 'options.iteration', 1, MOST)
  const share = options.share === undefined ? undefined : checkShare(options.share, 'options.share')
  const range = share === undefined ? { from: 0, to: size, of: size } : askedOf(share, size)
  const batch = await make.call(task, { iteration, split, size, range, rng: batchRandom(seed, split, iteration) })
  return withRange(batch, range, share !== undefined)
}

/** Trials of a block of the engine; processes share whole blocks. */
const BLOCK = 16

/** Checks the place of a process. */
export function checkShare(given: Share, path: string): Share {
  const { rank, size } = object(given, path)
  wholeNumber(size, `${path}.size`, 1, MOST_TRIALS)
  return { rank: wholeNumber(rank, `${path}.rank`, 0, size - 1), size }
}

/** The trials of a process, which are none where there are more processes than blocks (as in the engine's `run/share.rs`). */
export function shareOf({ rank, size }: Share, trials: number): TrialRange {
  const blocks = Math.ceil(trials / BLOCK)
  const first = (rank: number) => Math.min(trials, BLOCK * Math.floor((blocks * rank) / size))
  return { from: first(rank), to: first(rank + 1), of: trials }
}

/** The trials that a task is asked for: the process's own, or one where it has none and only has to see whether the task makes ranges. */
export function askedOf(share: Share, trials: number): TrialRange {
  const own = shareOf(share, trials)
  return own.from < own.to ? own : { from: 0, to: 1, of: trials }
}

/** A batch with the range that its task returned, which only processes that share it keep. */
function withRange<B extends Batch>(batch: B, asked: TrialRange, shared: boolean): B {
  if (!isObject(batch) || Array.isArray(batch) || batch.range === undefined) return batch
  const { range, ...whole } = batch
  const { from, to, of } = record(range, 'batch.range', ['from', 'to', 'of'])
  if (from !== asked.from || to !== asked.to || of !== asked.of)
    throw invalid(
      'batch.range',
      range,
      `the range that the task was asked for, trials ${asked.from} to ${asked.to} of ${asked.of}`
    )
  return shared ? batch : (whole as B)
}

/** Refuses what cannot make batches. */
export function checkTask(task: Task): void {
  object(task, 'task')
  callable(task.batch, 'task.batch')
}

/** The stream from which a split's input events are drawn. */
export function eventStream(split: Split): number {
  return SPLITS.indexOf(split)
}

/** The random numbers of a task's batch. */
export function batchRandom(seed: number, split: Split, iteration: number): BatchRandom {
  const stream = FIRST_TASK_STREAM + eventStream(split)
  const keyed = (trial: number) => random(seed, stream, iteration, trial)
  return Object.freeze({
    ...keyed(WHOLE_BATCH),
    trial: (index: number) => keyed(wholeNumber(index, 'trial', 0, MOST_TRIALS))
  })
}

/**
 * A generator of random numbers that are the same in every batch: for a frozen input or a fixed target. The same arguments give
 * the same numbers on every machine; they are independent of those of {@link TaskContext.rng}.
 *
 * @example
 * ```ts
 * const random = fixedRandom(1);
 * console.log(random.uniform(), random.integer(6)); // the same numbers in every run
 * ```
 * @param seed - A whole number of at least 0.
 * @param part - Distinguishes independent generators of the same seed. Default 0.
 * @throws {@link MdglError} `'invalid'` for an argument that is not allowed.
 */
export function fixedRandom(seed: number, part = 0): Random {
  return random(wholeNumber(seed, 'seed'), FIXED_STREAM, 0, wholeNumber(part, 'part', 0, MOST_TRIALS))
}

function random(seed: number, stream: number, iteration: number, trial: number): Random {
  const generator = guard(() => new native.Rng(seed, stream, iteration, trial))
  return {
    uniform: () => generator.uniform(),
    integer: n => generator.integer(wholeNumber(n, 'n', 1, MOST)),
    normal: () => generator.normal(),
    permutation: n => generator.permutation(wholeNumber(n, 'n', 0, MOST_PERMUTED))
  }
}
