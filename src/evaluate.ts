import type { PackedBatch as NativeBatch } from '#native'
import type { Batch, DrawKey } from './batch.js'
import { wholeNumber } from './check.js'
import type { NetworkDescription } from './description.js'
import { encodeBatch } from './encode-batch.js'
import { checkOptions, type RunOptions, type Session, withSession } from './engine-session.js'
import type { Losses, Regulariser } from './loss.js'
import { type Model, nativeModel } from './model.js'
import type { InputNames } from './names.js'
import { guard, native } from './native.js'
import { askCustomLosses, encodeTargets, makeObjective, type Objective } from './objective.js'
import type { Precision } from './precision.js'
import { eventStream } from './task.js'

/** Options that say what is to become small. */
export interface ObjectiveOptions {
  /** The loss. */
  readonly loss: Losses
  /** Firing-rate regulariser. Default none. */
  readonly regulariser?: Regulariser | null | undefined
}

/** Options of {@link evaluate}. */
export interface EvaluateOptions extends RunOptions, ObjectiveOptions {
  /** Seed of the input events that the engine draws. Default: the network's seed. */
  readonly seed?: number | undefined
}

/** How well a model does on a batch. */
export interface Evaluation {
  /** E of the task, without the regulariser. */
  readonly loss: number
  /** The regulariser's part, 0 without one. */
  readonly regulariser: number
  /** Fraction of trials that were right; null where the loss knows no right or wrong. */
  readonly accuracy: number | null
  /** Mean firing rate of the recurrent neurons in Hz. */
  readonly rate: number
}

/**
 * Runs a batch and gives loss, accuracy and firing rate.
 *
 * @example
 * ```ts
 * const { loss, accuracy, rate } = await evaluate(model, batch, { loss: task.loss });
 * console.log(loss, accuracy, rate, 'Hz');
 * ```
 * @param model - The model.
 * @param batch - The batch; it must have the targets that the loss needs.
 * @param options - The loss and more.
 * @returns The evaluation. A model in training is evaluated as it was after the last completed iteration.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad options, batches and targets, `'not-finite'`, `'memory'`,
 * `'disposed'`; the signal's reason when aborted; the error of a custom loss as it is.
 */
export async function evaluate<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>>,
  options: EvaluateOptions
): Promise<Evaluation> {
  nativeModel(model)
  const checked = checkOptions(options, ['loss', 'regulariser', 'seed'])
  const objective = makeObjective(checked.loss, checked.regulariser, model.description)
  const packed = packBatch(batch, model.description, objective, drawKey(checked.seed, model.description))
  const plan = { objective: objective.json, training: false }
  return await withSession(model, plan, checked, session => score(session, objective, packed))
}

/** A batch ready for the engine, which shares no memory with it, and the batch itself for custom losses. */
export interface PackedBatch {
  readonly batch: Batch
  readonly trials: number
  /** Steps of the longest trial. */
  readonly steps: number
  /** Steps of each trial. */
  readonly lengths: readonly number[]
  /** The engine's copy; the job that computes with it uses it up. */
  readonly packed: NativeBatch
}

/** Checks a batch and, where there is an objective, its targets, and copies both for the engine. */
export function packBatch(
  batch: Batch,
  description: NetworkDescription,
  objective: Objective | undefined,
  key: DrawKey
): PackedBatch {
  const encoded = encodeBatch(batch, description, key, objective)
  const { trials, steps } = encoded
  const lengths = Array.from(encoded.lengths ?? new Uint32Array(trials).fill(steps))
  const targets = objective && encodeTargets(objective, batch, { lengths, steps, dt: description.dt ?? 1 })
  return { batch, trials, steps, lengths, packed: guard(() => new native.PackedBatch(encoded, targets)) }
}

/** Evaluates a packed batch in an open session. */
export async function score(
  session: Session,
  objective: Objective,
  { batch, trials, steps, packed }: PackedBatch
): Promise<Evaluation> {
  if (!objective.custom) return withAccuracy(await session.run(engine => engine.evaluate(packed)))
  const readout = await session.run(engine => engine.forward(packed))
  const { loss, accuracy } = askCustomLosses(objective, batch, readout, trials, steps)
  const { regulariser, rate } = await session.run(engine => engine.evaluate(packed))
  return { loss, regulariser, accuracy: accuracy ?? null, rate }
}

/** The engine leaves the accuracy out where there is none. */
export function withAccuracy<T extends { accuracy?: number }>(
  given: T
): Omit<T, 'accuracy'> & { accuracy: number | null } {
  return { ...given, accuracy: given.accuracy ?? null }
}

/** The key of the events of a single batch. */
export function drawKey(seed: number | undefined, description: NetworkDescription) {
  const checked = wholeNumber(seed ?? description.seed ?? 1, 'options.seed')
  return { seed: checked, stream: eventStream('test'), iteration: 0 }
}
