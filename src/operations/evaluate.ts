import type { Evaluation as NativeEvaluation } from '#native'
import { askLoss } from '../engine/ask-loss.js'
import { type Collective, checkCollective, computeTogether, given } from '../engine/collective.js'
import { drawKey, type EncodedBatch, encodeBatch } from '../engine/encode-batch.js'
import { checkOptions, type RunOptions, type Session, withSession } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import type { NetworkDescription } from '../network/description.js'
import type { InputNames, ReadoutNames } from '../network/names.js'
import type { Precision } from '../support/precision.js'
import type { Batch, ObjectiveOptions } from '../task/batch.js'
import { type Objective, objectiveFor } from '../task/objective.js'

/** Options of {@link evaluate}, {@link gradients} and the analyses. */
export interface EvaluateOptions<ReadoutName extends string = string>
  extends RunOptions,
    ObjectiveOptions<ReadoutName> {
  /** Seed of the input events that the engine draws. Default: the network's seed. */
  readonly seed?: number | undefined
}

/** Options of {@link evaluate}. */
export interface SharedEvaluateOptions<ReadoutName extends string = string> extends EvaluateOptions<ReadoutName> {
  /**
   * The processes that share the computation, of which this is one; all call with the same model, batch and options, while nothing else uses
   * the collective. Each computes its blocks of 16 trials; the result has the same bits on every process and for any number of processes. A batch
   * of {@link makeBatch} with `share` contains only the trials of this process. Built-in losses only. Default: none.
   */
  readonly collective?: Collective | undefined
}

/** Loss and accuracy of a readout on a batch. */
export interface ReadoutMetrics {
  /** Its loss, before its weight. */
  readonly loss: number
  /** Fraction of answers that were right; null where its loss does not define right answers. */
  readonly accuracy: number | null
}

/** Loss, accuracy and firing rate of a model on a batch. */
export interface Evaluation {
  /** E of the task, the weighted sum of its losses, without the regulariser. */
  readonly loss: number
  /** The regulariser's part, 0 without one. */
  readonly regulariser: number
  /**
   * Fraction of answers that were right, over all readouts; where a custom loss returns an accuracy, the mean of the readouts' accuracies; null
   * where no loss defines right answers.
   */
  readonly accuracy: number | null
  /** Metrics of each readout that has a loss. */
  readonly readouts: { readonly [readout: string]: ReadoutMetrics }
  /** Mean firing rate of the recurrent neurons in Hz. */
  readonly rate: number
}

/**
 * Runs a batch and returns loss, accuracy and firing rate.
 *
 * @example
 * ```ts
 * const { loss, accuracy, rate } = await evaluate(model, batch); // makeBatch gave it the task's loss
 * console.log(loss, accuracy, rate, 'Hz');
 * ```
 * @param model - The model.
 * @param batch - The batch; it must have the targets that the loss needs.
 * @param options - The loss and more.
 * @returns The evaluation. A model that is being trained is evaluated with the weights after the last completed iteration.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad options, batches and targets, `'not-finite'`, `'memory'`,
 * `'disposed'`; the signal's reason when aborted; errors of a custom loss or a collective unchanged.
 */
export async function evaluate<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options: SharedEvaluateOptions<ReadoutNames<D>> = {}
): Promise<Evaluation> {
  nativeModel(model)
  const checked = checkOptions(options, ['loss', 'regulariser', 'seed', 'collective'])
  const { description } = model
  const objective = objectiveFor(checked, batch, description, nativeModel(model))
  const collective = checkCollective(checked.collective, objective, { custom: undefined })
  const encoded = encodeBatch(batch, description, objective, drawKey(checked.seed, description), collective)
  const plan = { objective: objective.json, training: false }
  return await withSession(model, plan, checked, async session => {
    if (collective === undefined) return await score(session, objective, encoded)
    const job = { objective, collective, signal: checked.signal, step: false }
    const { evaluation } = await computeTogether(session, encoded, job)
    return evaluationOf(given(evaluation, 'evaluation'))
  })
}

/**
 * Evaluates an encoded batch in an open session.
 *
 * @internal
 */
export async function score(session: Session, objective: Objective, encoded: EncodedBatch): Promise<Evaluation> {
  if (!objective.custom) return evaluationOf(await session.run(engine => engine.evaluate(encoded.handle)))
  const { pending, score } = await askLoss(session, objective, encoded)
  return evaluationOf(await session.run(() => pending.evaluate(score)))
}

/**
 * The engine's evaluation with its losses by readout.
 *
 * @internal
 */
export function evaluationOf({ losses, ...rest }: NativeEvaluation): Evaluation {
  return { ...rest, readouts: Object.fromEntries(losses.map(({ readout, ...metrics }) => [readout, metrics])) }
}
