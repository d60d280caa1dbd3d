import { drawKey } from '../engine/encode-batch.js'
import { checkOptions } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import type { ProjectionValues } from '../model/projection-values.js'
import type { NetworkDescription } from '../network/description.js'
import { type InputNames, type ProjectionNames, plasticNames, type ReadoutNames } from '../network/names.js'
import type { EvaluateOptions } from '../operations/evaluate.js'
import { type Gradients, keyedGradients } from '../operations/gradients.js'
import { type CustomRule, defineRule, isCustomRule } from '../rule/custom-rule.js'
import { expandRuleFor } from '../rule/planned-rule.js'
import { rules as published, type Rule, type RuleName } from '../rule/rule.js'
import { array } from '../support/check.js'
import { withRule } from '../support/deprecated.js'
import { invalid } from '../support/error.js'
import type { Precision } from '../support/precision.js'
import type { Batch, DrawKey } from '../task/batch.js'

/** Cosine, angle and ratio of norms between a gradient g and BPTT's gradient b, over the same synapses. */
export interface GradientAlignment {
  /** g·b / (|g| |b|), from −1 to 1; null where either gradient is 0 in every synapse, or there is no synapse. */
  readonly cosine: number | null
  /** The angle between the two in degrees, 0 to 180; null where the cosine is null. */
  readonly angle: number | null
  /** |g| / |b|; null where b is 0 in every synapse, or there is no synapse. */
  readonly normRatio: number | null
}

/** Alignment of a rule's gradient with BPTT's. */
export interface Alignment<D extends NetworkDescription = NetworkDescription> {
  /** The rule, every part written out. */
  readonly rule: Rule | CustomRule
  /** Over all plastic projections together, without biases, whose gradient is the same for every rule. */
  readonly all: GradientAlignment
  /** For each plastic projection. */
  readonly projections: { readonly [Name in ProjectionNames<D>]?: GradientAlignment }
}

/** Options of {@link alignment}. */
export interface AlignmentOptions<ReadoutName extends string = string> extends EvaluateOptions<ReadoutName> {
  /** Published rules' names, rules, or rules of {@link defineRule}. */
  readonly rules: readonly (RuleName | Rule | CustomRule)[]
}

/**
 * Compares the gradients of learning rules with BPTT's by cosine, angle and ratio of norms, on one batch and at the weights
 * at the time of the call, also while the model is being trained. With g a rule's gradient and b BPTT's,
 * cos = Σ g b / √(Σ g² Σ b²) over the synapses, summed in f64 whatever the model's precision.
 *
 * A projection onto a readout has its exact gradient under every rule with symmetric feedback, so its cosine is 1 to rounding.
 *
 * @example
 * ```ts
 * const [eprop, mdgl] = await alignment(model, batch, { rules: ['eprop', 'mdgl'] });
 * console.log(eprop?.all.angle, mdgl?.projections['cells->cells']?.cosine);
 * ```
 * @param model - The model; it is not changed.
 * @param batch - The batch; it must have the targets that the loss needs.
 * @param options - The rules, the loss and more.
 * @returns One alignment per rule, in their order.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad rules, options, batches and targets and for a network of
 * conventions in which BPTT has no equation, `'not-finite'` where a gradient is not finite (BPTT's may explode), `'memory'`,
 * `'disposed'`; the signal's reason when aborted; errors of a custom loss or rule unchanged.
 */
export function alignment<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options: AlignmentOptions<ReadoutNames<D>>
): Promise<Alignment<D>[]>
/** @deprecated `alignment(model, batch, { rules, … })` */
export function alignment<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  rules: readonly (RuleName | Rule | CustomRule)[],
  options: EvaluateOptions<ReadoutNames<D>>
): Promise<Alignment<D>[]>
export async function alignment<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  given: AlignmentOptions<ReadoutNames<D>> | readonly (RuleName | Rule | CustomRule)[],
  options?: EvaluateOptions<ReadoutNames<D>>
): Promise<Alignment<D>[]> {
  nativeModel(model)
  const asked = withRule<AlignmentOptions<ReadoutNames<D>>>('alignment', 'rules', given, options)
  const { rules, ...checked } = checkOptions(asked, ['rules', 'loss', 'regulariser', 'seed'])
  return await keyedAlignment(model, batch, rules, checked, drawKey(checked.seed, model.description))
}

/** {@link alignment} of checked options, with input events drawn by a key of any split and iteration. */
export async function keyedAlignment<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  rules: readonly (RuleName | Rule | CustomRule)[],
  options: EvaluateOptions<ReadoutNames<D>>,
  key: DrawKey
): Promise<Alignment<D>[]> {
  refuseConventions(model.description)
  const expanded = array(rules, 'rules').map(rule =>
    isCustomRule(rule) ? defineRule(rule) : expandRuleFor(nativeModel(model), rule)
  )
  // All gradients at the same weights, even if the model is trained meanwhile.
  using still = model.clone()
  const bptt = await keyedGradients(still, batch, published.bptt, options, key)
  const alignments: Alignment<D>[] = []
  for (const rule of expanded) {
    const own = await keyedGradients(still, batch, rule, options, key)
    alignments.push({ rule, ...align(own, bptt, plasticNames(model.description)) })
  }
  return alignments
}

function refuseConventions({ conventions }: NetworkDescription): void {
  if (conventions !== 'bellec2020') return
  throw invalid('model.description.conventions', conventions, "'mdgl2021', in which BPTT has an equation")
}

function align<D extends NetworkDescription>(
  own: Gradients<D, Precision>,
  bptt: Gradients<D, Precision>,
  names: readonly string[]
): Omit<Alignment<D>, 'rule'> {
  const pairs = names.map((name): [string, GradientPair] => [
    name,
    { own: values(own, name), bptt: values(bptt, name) }
  ])
  return {
    all: alignmentOf(pairs.map(([, pair]) => pair)),
    projections: Object.fromEntries(pairs.map(([name, pair]) => [name, alignmentOf([pair])]))
  } as Omit<Alignment<D>, 'rule'>
}

function values<D extends NetworkDescription>({ projections }: Gradients<D, Precision>, name: string) {
  return (projections as Readonly<Record<string, ProjectionValues>>)[name]?.values ?? new Float64Array()
}

/** Two gradients of the same synapses, in the same order. */
export interface GradientPair {
  readonly own: ArrayLike<number>
  readonly bptt: ArrayLike<number>
}

/** The alignment over several pairs laid end to end. */
export function alignmentOf(pairs: readonly GradientPair[]): GradientAlignment {
  const [ownScale, bpttScale] = [largest(pairs.map(({ own }) => own)), largest(pairs.map(({ bptt }) => bptt))]
  let [product, ownSquares, bpttSquares] = [0, 0, 0]
  for (const { own, bptt } of pairs) {
    for (let i = 0; i < own.length; i++) {
      // Scaled, since squares of faint gradients would be 0; a gradient of nothing but 0 stays so.
      const [g, b] = [(own[i] ?? 0) / (ownScale || 1), (bptt[i] ?? 0) / (bpttScale || 1)]
      product += g * b
      ownSquares += g * g
      bpttSquares += b * b
    }
  }
  if (bpttScale === 0) return { cosine: null, angle: null, normRatio: null }
  // Divided by √ of the product, a gradient and itself give 1 exactly; others may pass it by a rounding error.
  const cosine = ownScale === 0 ? null : clamp(product / Math.sqrt(ownSquares * bpttSquares))
  return {
    cosine,
    angle: cosine === null ? null : (Math.acos(cosine) / Math.PI) * 180,
    normRatio: Math.sqrt(ownSquares / bpttSquares) * (ownScale / bpttScale)
  }
}

const clamp = (cosine: number) => Math.max(-1, Math.min(1, cosine))

function largest(parts: readonly ArrayLike<number>[]): number {
  let most = 0
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) most = Math.max(most, Math.abs(part[i] ?? 0))
  }
  return most
}
