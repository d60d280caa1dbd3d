import { drawKey, encodeBatch } from '../engine/encode-batch.js'
import { checkOptions, withSession } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import type { NetworkDescription } from '../network/description.js'
import type { InputNames, ReadoutNames, RecordableNames } from '../network/names.js'
import { type RecordingShape, shapeOf } from '../network/recording-shape.js'
import { expandRuleFor } from '../rule/planned-rule.js'
import { flag, orDefault } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Precision, Values } from '../support/precision.js'
import { checkLayout } from '../support/tensor.js'
import type { Batch } from '../task/batch.js'
import { objectiveFor } from '../task/objective.js'
import type { ChosenRecording, RecordOptions, SignalOptions, SimulateChosenOptions } from './chosen-recording.js'
import { chosenUnits, recordedParts } from './record-chosen.js'

/** Options of {@link simulate} for a whole recording. */
export interface SimulateOptions<ReadoutName extends string = string> extends SignalOptions<ReadoutName> {
  /** Whether to record membrane voltages. Default false. */
  readonly voltage?: boolean | undefined
  /** Whether to record the input events. Default false. */
  readonly inputs?: boolean | undefined
  /** Variables of chosen units to record instead of everything: see {@link SimulateChosenOptions}. Default: none. */
  readonly record?: undefined
  /** Order of the dimensions of a recording of chosen units; not allowed without `record`. */
  readonly layout?: undefined
}

/** Recording of a whole network. Values of steps after the end of a shorter trial have no meaning. */
export interface Recording<P extends Precision = Precision> {
  /** Spikes, triples `(trial, step, neuron)` in ascending order. */
  readonly spikes: Uint32Array
  /**
   * Input events, triples `(trial, step, unit)` in ascending order, units numbered through all inputs, if requested; a repeated event
   * is listed repeatedly. Analogue inputs have none.
   */
  readonly inputs?: Uint32Array
  /** Membrane voltages v `[trial][step][neuron]`, if requested. */
  readonly voltage?: Values<P>
  /** Readouts y `[trial][step][unit]`. */
  readonly readout: Values<P>
  /** Learning signal L `[trial][step][neuron]`, with a rule. */
  readonly learningSignal?: Values<P>
  /** Modulatory signal Γ `[trial][step][neuron]`, with a rule: entry t is multiplied by the eligibility trace of step t − 1. */
  readonly modulatorySignal?: Values<P>
  /** Sizes and names. */
  readonly shape: RecordingShape
}

/**
 * Runs a batch and records the activity of the network: all spikes and readouts, or with `record` only the variables and units that it names, in
 * memory in proportion to these.
 *
 * @example
 * ```ts
 * const { spikes, readout, voltage } = await simulate(model, batch, { voltage: true });
 * console.log(spikes.length / 3, 'spikes'); // (trial, step, neuron)
 * const { recorded } = await simulate(model, batch, {
 *   record: { cells: { variables: ['voltage', 'spikes'], units: [0, 7] }, choice: ['readout'] }
 * });
 * const { data, shape } = recorded.cells.voltage; // [trial][step][of the two]
 * ```
 * @param model - The model; it is not changed.
 * @param batch - The batch; it needs targets only with a rule.
 * @param options - What to record.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad options and batches, and for variables and units that the network does not
 * have, `'not-finite'`, `'memory'`, `'disposed'`; the signal's reason when aborted.
 */
export async function simulate<
  D extends NetworkDescription,
  P extends Precision,
  const R extends RecordOptions<RecordableNames<D>>
>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options: SimulateChosenOptions<R, ReadoutNames<D>>
): Promise<ChosenRecording<P, R>>
export async function simulate<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options?: SimulateOptions<ReadoutNames<D>>
): Promise<Recording<P>>
export async function simulate(
  model: Model,
  batch: Batch,
  options: SimulateOptions | SimulateChosenOptions = {}
): Promise<Recording | ChosenRecording> {
  nativeModel(model)
  const checked = checkOptions<SimulateOptions | SimulateChosenOptions>(options, KEYS as never)
  const { description } = model
  const chosen = checked.record === undefined ? undefined : chosenUnits(checked, model)
  const { plan, objective } = makePlan(checked, batch, model)
  const { handle, ...size } = encodeBatch(batch, description, objective, drawKey(checked.seed, description))
  if (chosen !== undefined) {
    return await withSession(model, plan, checked, async session => {
      const parts = await session.run(engine => engine.simulateChosen(handle, chosen))
      const shape = shapeOf(size, description)
      return { recorded: recordedParts(parts, shape, checkLayout(checked.layout)), shape }
    })
  }
  if (checked.layout !== undefined) throw invalid('options.layout', checked.layout, 'nothing without options.record')
  const voltage = flag(orDefault(checked.voltage, false), 'options.voltage')
  const inputs = flag(orDefault(checked.inputs, false), 'options.inputs')
  return await withSession(model, plan, checked, async session => {
    const recorded = await session.run(engine => engine.simulate(handle, voltage, inputs))
    return { ...recorded, shape: shapeOf(size, description) } as Recording
  })
}

const KEYS = ['voltage', 'inputs', 'record', 'layout', 'rule', 'loss', 'regulariser', 'seed']

function makePlan({ rule, loss, regulariser }: SignalOptions, batch: Batch, model: Model) {
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
