import type { RunOptions } from '../engine/engine-session.js'
import type { RecordingShape } from '../network/recording-shape.js'
import type { Rule, RuleName } from '../rule/rule.js'
import type { Precision, Values } from '../support/precision.js'
import type { DenseTensor, TensorLayout } from '../support/tensor.js'
import type { Losses, Regulariser } from '../task/batch.js'

/** Options of {@link simulate} for every kind of recording. */
export interface SignalOptions<ReadoutName extends string = string> extends RunOptions {
  /** The rule whose learning and modulatory signals are recorded. Default: none. */
  readonly rule?: RuleName | Rule | undefined
  /** With a rule: the loss from which the signals come. Default: the batch's own. */
  readonly loss?: Losses<ReadoutName> | undefined
  /** Firing-rate regulariser, part of the learning signal. Default: with the batch's own loss the batch's own, else none. */
  readonly regulariser?: Regulariser | null | undefined
  /** Seed of the input events that the engine draws. Default: the network's seed. */
  readonly seed?: number | undefined
}

/**
 * A variable that can be recorded in each step:
 *
 * | variable | meaning | recorded of |
 * |---|---|---|
 * | `'spikes'` | z_t, 0 or 1 | every spiking neuron |
 * | `'activity'` | z_t = max(0, v_t) | `'rate'` |
 * | `'voltage'` | v_t before the reset | every neuron |
 * | `'threshold'` | what v_t is compared with: thr, or A_t = thr + β b_t | every spiking neuron |
 * | `'adaptation'` | b_t | `'alif'`, `'cuba-alif'`, where β is not 0 |
 * | `'current'` | c_t, the synaptic current | `'cuba-lif'`, `'cuba-alif'` |
 * | `'psi'` | ψ_t, the pseudo-derivative; 0 while refractory | every neuron |
 * | `'learningSignal'` | L_t, with a rule | every neuron |
 * | `'modulatorySignal'` | Γ_t, with a rule: entry t is multiplied by the eligibility trace of step t − 1 | every neuron |
 * | `'readout'` | y_t | readouts |
 */
export type RecordedVariable =
  | 'spikes'
  | 'activity'
  | 'voltage'
  | 'threshold'
  | 'adaptation'
  | 'current'
  | 'psi'
  | 'learningSignal'
  | 'modulatorySignal'
  | 'readout'

/** Variables of some units of a population or readout. */
export interface ChosenUnits {
  /** At least one, each once. */
  readonly variables: readonly RecordedVariable[]
  /** Indices within the population or readout, in the order in which they are recorded. Default: all. */
  readonly units?: ArrayLike<number> | undefined
}

/** What to record, by name of the population or readout: variables of all its units, or of some. */
export type RecordOptions<Name extends string = string> = {
  readonly [N in Name]?: readonly RecordedVariable[] | ChosenUnits
}

/** Options of {@link simulate} for a recording of chosen units. */
export interface SimulateChosenOptions<R = RecordOptions, ReadoutName extends string = string>
  extends SignalOptions<ReadoutName> {
  /** The variables and units, by population and readout; at least one. */
  readonly record: R
  /** The order of the dimensions. Default `'trial-time-unit'`. */
  readonly layout?: TensorLayout | undefined
  /** Option of a whole recording, not allowed with `record`. */
  readonly voltage?: undefined
  /** Option of a whole recording, not allowed with `record`. */
  readonly inputs?: undefined
}

/** The variables that a choice names. */
export type VariableOf<C> = C extends readonly (infer V)[] ? V : C extends ChosenUnits ? C['variables'][number] : never

/** The recorded variables of a population or readout: dense numbers of the units, 0 beyond a shorter trial's end. */
export type RecordedPart<P extends Precision, Variable> = {
  readonly [V in Variable & RecordedVariable]: DenseTensor<V extends 'spikes' ? Uint8Array : Values<P>>
} & {
  /** Indices of the units within it, in the order of the last dimension. */
  readonly units: Uint32Array
}

/** Recording of chosen units by {@link simulate}. */
export interface ChosenRecording<P extends Precision = Precision, R = RecordOptions> {
  /** The variables requested, by population and readout. */
  readonly recorded: { readonly [N in keyof R]: RecordedPart<P, VariableOf<R[N]>> }
  /** Sizes and names of the whole network. */
  readonly shape: RecordingShape
}
