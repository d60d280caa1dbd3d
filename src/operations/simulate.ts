import { drawKey, encodeBatch } from '../engine/encode-batch.js'
import { checkOptions, type RunOptions, withSession } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import type { NetworkDescription } from '../network/description.js'
import type { InputNames, ReadoutNames } from '../network/names.js'
import { type RecordingShape, shapeOf } from '../network/recording-shape.js'
import { expandRuleFor } from '../rule/planned-rule.js'
import type { Rule, RuleName } from '../rule/rule.js'
import { flag, orDefault } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Precision, Values } from '../support/precision.js'
import type { Batch, Losses, Regulariser } from '../task/batch.js'
import { objectiveFor } from '../task/objective.js'

/** Options of {@link simulate}. */
export interface SimulateOptions<ReadoutName extends string = string> extends RunOptions {
  /** Whether to record membrane voltages. Default false. */
  readonly voltage?: boolean | undefined
  /** Whether to record the events that the inputs gave. Default false. */
  readonly inputs?: boolean | undefined
  /** The rule whose learning and modulatory signals are recorded. Default: none. */
  readonly rule?: RuleName | Rule | undefined
  /** With a rule: the loss from which the signals come. Default: the batch's own. */
  readonly loss?: Losses<ReadoutName> | undefined
  /** Firing-rate regulariser, part of the learning signal. Default: with the batch's own loss the batch's own, else none. */
  readonly regulariser?: Regulariser | null | undefined
  /** Seed of the input events that the engine draws. Default: the network's seed. */
  readonly seed?: number | undefined
}

/** What a network did. Steps beyond a shorter trial's end mean nothing. */
export interface Recording<P extends Precision = Precision> {
  /** Spikes, triples `(trial, step, neuron)` in ascending order. */
  readonly spikes: Uint32Array
  /**
   * Input events, triples `(trial, step, unit)` in ascending order, units counted through all inputs, if asked for; a repeated event
   * counts more than once. Analogue inputs have none.
   */
  readonly inputs?: Uint32Array
  /** Membrane voltages v `[trial][step][neuron]`, if asked for. */
  readonly voltage?: Values<P>
  /** Readouts y `[trial][step][unit]`. */
  readonly readout: Values<P>
  /** Learning signal L `[trial][step][neuron]`, with a rule. */
  readonly learningSignal?: Values<P>
  /** Modulatory signal Γ `[trial][step][neuron]`, with a rule: entry t is what meets the eligibility trace of step t − 1. */
  readonly modulatorySignal?: Values<P>
  /** Sizes and names. */
  readonly shape: RecordingShape
}

/**
 * Runs a batch and records what the network did.
 *
 * @example
 * ```ts
 * const { spikes, readout, voltage } = await simulate(model, batch, { voltage: true });
 * console.log(spikes.length / 3, 'spikes'); // (trial, step, neuron)
 * ```
 * @param model - The model; it is not changed.
 * @param batch - The batch; targets are needed with a rule only.
 * @param options - What to record.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad options and batches, `'not-finite'`, `'memory'`, `'disposed'`; the
 * signal's reason when aborted.
 */
export async function simulate<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options: SimulateOptions<ReadoutNames<D>> = {}
): Promise<Recording<P>> {
  nativeModel(model)
  const checked = checkOptions(options, ['voltage', 'inputs', 'rule', 'loss', 'regulariser', 'seed'])
  const { description } = model
  const { plan, objective } = makePlan(checked, batch, model)
  const { handle, ...size } = encodeBatch(batch, description, objective, drawKey(checked.seed, description))
  const voltage = flag(orDefault(checked.voltage, false), 'options.voltage')
  const inputs = flag(orDefault(checked.inputs, false), 'options.inputs')
  return await withSession(model, plan, checked, async session => {
    const recorded = await session.run(engine => engine.simulate(handle, voltage, inputs))
    return { ...recorded, shape: shapeOf(size, description) } as Recording<P>
  })
}

function makePlan({ rule, loss, regulariser }: SimulateOptions, batch: Batch, model: Model) {
  if (rule === undefined) {
    if (loss !== undefined) throw invalid('options.loss', loss, 'nothing without a rule')
    if (regulariser != null) throw invalid('options.regulariser', regulariser, 'nothing without a rule')
    return { plan: { training: false } }
  }
  const objective = objectiveFor({ loss, regulariser }, batch, model.description, nativeModel(model))
  if (objective.custom)
    throw invalid('options.loss', loss, 'a built-in loss; signals of custom losses are not recorded yet')
  return {
    objective,
    plan: {
      objective: objective.json,
      rule: JSON.stringify(expandRuleFor(nativeModel(model), rule, 'recorded-signals')),
      training: false
    }
  }
}
