import { askLoss } from '../engine/ask-loss.js'
import { askRule, type RuleQuestion } from '../engine/ask-rule.js'
import { drawKey, type EncodedBatch, encodeBatch } from '../engine/encode-batch.js'
import { checkOptions, type Session, withSession } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import { ProjectionValues } from '../model/projection-values.js'
import type { NetworkDescription } from '../network/description.js'
import type { InputNames, ProjectionNames, ReadoutNames } from '../network/names.js'
import type { CustomRule } from '../rule/custom-rule.js'
import { planRule } from '../rule/planned-rule.js'
import type { Rule, RuleName } from '../rule/rule.js'
import { withRule } from '../support/deprecated.js'
import type { Precision, Values } from '../support/precision.js'
import type { Batch, DrawKey } from '../task/batch.js'
import { type Objective, objectiveFor } from '../task/objective.js'
import { type EvaluateOptions, type Evaluation, evaluationOf } from './evaluate.js'

/** Gradients of loss plus regulariser, one number per synapse. */
export interface Gradients<D extends NetworkDescription, P extends Precision> {
  /** Loss, accuracy and rate of the batch. */
  readonly evaluation: Evaluation
  /** The global norm over all projections and biases, plastic or not. */
  readonly norm: number
  /** The rule's estimate of ∂E/∂W of each projection, in the order of {@link Weights.get}. */
  readonly projections: { readonly [Name in ProjectionNames<D>]: ProjectionValues<P> }
  /** ∂E/∂bias of each readout. */
  readonly bias: { readonly [Name in ReadoutNames<D>]: Values<P> }
}

/** Options of {@link gradients}. */
export interface GradientsOptions<ReadoutName extends string = string> extends EvaluateOptions<ReadoutName> {
  /** The learning rule: the name of a published rule, a {@link Rule}, or a rule of {@link defineRule}. */
  readonly rule: RuleName | Rule | CustomRule
}

/**
 * Computes the gradient of every weight by a learning rule.
 *
 * @example
 * ```ts
 * const { projections } = await gradients(model, batch, { rule: 'mdgl' });
 * const { pre, post, values } = projections['cells->cells'];
 * ```
 * @param model - The model; it is not changed.
 * @param batch - The batch; it must have the targets that the loss needs.
 * @param options - The rule, the loss and more.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad rules, options, batches and targets, `'not-finite'`,
 * `'memory'`, `'disposed'`; the signal's reason when aborted; errors of a custom loss or rule unchanged.
 */
export function gradients<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options: GradientsOptions<ReadoutNames<D>>
): Promise<Gradients<D, P>>
/** @deprecated `gradients(model, batch, { rule, … })` */
export function gradients<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  rule: RuleName | Rule | CustomRule,
  options: EvaluateOptions<ReadoutNames<D>>
): Promise<Gradients<D, P>>
export async function gradients<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  given: GradientsOptions<ReadoutNames<D>> | RuleName | Rule | CustomRule,
  options?: EvaluateOptions<ReadoutNames<D>>
): Promise<Gradients<D, P>> {
  nativeModel(model)
  const asked = withRule<GradientsOptions<ReadoutNames<D>>>('gradients', 'rule', given, options)
  const { rule, ...checked } = checkOptions(asked, ['rule', 'loss', 'regulariser', 'seed'])
  return await keyedGradients(model, batch, rule, checked, drawKey(checked.seed, model.description))
}

/** {@link gradients} of checked options, with input events drawn by a key of any split and iteration. */
export async function keyedGradients<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  rule: RuleName | Rule | CustomRule,
  options: EvaluateOptions<ReadoutNames<D>>,
  key: DrawKey
): Promise<Gradients<D, P>> {
  const objective = objectiveFor(options, batch, model.description, nativeModel(model))
  const encoded = encodeBatch(batch, model.description, objective, key)
  const { plan: rulePlan, custom } = planRule(nativeModel(model), rule, objective.custom ? 'custom-loss' : undefined)
  const plan = { objective: objective.json, ...rulePlan, training: false }
  return await withSession(model, plan, options, async session => {
    const asked = { objective, description: model.description, encoded, signal: options.signal }
    const result = await (custom === undefined
      ? compute(session, objective, encoded)
      : computeByRule(session, { ...asked, rule: custom }))
    const bias = Object.fromEntries(result.bias.map(({ name, values }) => [name, values]))
    const projections = Object.fromEntries(
      result.projections.map(({ name, pre, post, rows, columns, values }) => [
        name,
        new ProjectionValues(pre, post, values, [rows, columns])
      ])
    )
    return {
      evaluation: evaluationOf(result.evaluation),
      norm: result.norm,
      projections,
      bias
    } as unknown as Gradients<D, P>
  })
}

async function compute(session: Session, objective: Objective, encoded: EncodedBatch) {
  if (!objective.custom) return await session.run(engine => engine.gradients(encoded.handle))
  const { pending, score } = await askLoss(session, objective, encoded)
  return await session.run(() => pending.gradients(score))
}

async function computeByRule(session: Session, question: RuleQuestion) {
  const { pending, signal } = await askRule(session, question)
  return await session.run(() => pending.gradients(signal))
}
