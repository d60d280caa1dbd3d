import type { NetworkDescription } from '../network/description.js'
import type { RecordingShape } from '../network/recording-shape.js'
import { callable, isObject, record, text } from '../support/check.js'
import type { Values } from '../support/precision.js'
import type { Batch } from '../task/batch.js'

/**
 * The constants of a network's equations: one value for each recurrent neuron, of all populations end to end; `kappa` has one
 * for each readout unit, of all readouts end to end.
 */
export interface CellConstants {
  /** α = exp(−dt/τ_m). */
  readonly alpha: Float64Array
  /** ρ = exp(−dt/τ_a). */
  readonly rho: Float64Array
  /** α_s = exp(−dt/τ_s) of the synaptic current; 0 where a neuron has none. */
  readonly synapticDecay: Float64Array
  /** thr. */
  readonly threshold: Float64Array
  /** β; 0 for LIF. */
  readonly beta: Float64Array
  /** γ, a factor of ψ. */
  readonly dampening: Float64Array
  /** Refractory period in steps: the number of steps after a spike in which there is no other. */
  readonly refractory: Uint32Array
  /** Factor of the input: 1 − α, or that of the network's {@link Conventions}. */
  readonly inputGain: Float64Array
  /** Increment of the adaptation per spike: 1 − ρ, or that of the conventions. */
  readonly jump: Float64Array
  /** Factor of the reset in the eligibility trace: thr, or that of the conventions. */
  readonly reset: Float64Array
  /** κ = exp(−dt/τ_out) of each readout unit. */
  readonly kappa: Float64Array
  /** The type of each neuron, an index into {@link RuleContext.types}. */
  readonly type: Uint32Array
}

/** The synapses of a projection with their current weights. */
export interface Synapses {
  /** Kind of projection: from an input to neurons, between neurons, or from neurons to a readout. */
  readonly stage: 'input' | 'recurrent' | 'readout'
  /**
   * Delay d in steps, one number or one per synapse: the receiver's input at step t has z_q,t−d, from an input x_i,t−d+1. Always 1 to a readout.
   */
  readonly delay: number | Uint32Array
  /** Sender of each synapse, numbered through all populations (for an input: through all inputs). */
  readonly pre: Uint32Array
  /** Receiver of each synapse, numbered through all populations (for a readout: through all readouts). */
  readonly post: Uint32Array
  /** Weight of each synapse; 0 for a dead one. */
  readonly weights: Values
}

/**
 * The argument of a custom rule: weights, types and the network's activity in a batch. Everything is a copy: writing into
 * an array changes nothing.
 *
 * Arrays of neurons are laid out `[trial][step][neuron]`, the value of neuron p at step t of trial b at
 * `(b * shape.steps + t) * shape.neurons + p`, with the neurons of all populations end to end. Arrays of readout units are laid
 * out likewise. After the end of a shorter trial (`shape.lengths`) z, ψ, δ are 0, and voltage and readout have no meaning.
 */
export interface RuleContext {
  /** Sizes and names: trials, steps, neurons, the place of each population, type and readout. */
  readonly shape: RecordingShape
  /** Names of the cell types; {@link CellConstants.type} has indices into them. */
  readonly types: readonly string[]
  /** The network. */
  readonly description: NetworkDescription
  /** The batch as the task returned it, with its targets. */
  readonly batch: Batch
  /** The constants of the equations, one value per neuron. */
  readonly cells: CellConstants
  /** Every projection, by name. */
  readonly projections: { readonly [name: string]: Synapses }
  /** z, 1 where a neuron spiked and otherwise 0, `[trial][step][neuron]`; 0 for rate units, whose z is max(0, voltage). */
  readonly z: Uint8Array
  /** v before the reset, `[trial][step][neuron]`. */
  readonly voltage: Values
  /** ψ, the pseudo-derivative, `[trial][step][neuron]`. */
  readonly psi: Values
  /** y, `[trial][step][unit]`. */
  readonly readout: Values
  /** δ = ∂E/∂y, the batch mean included, `[trial][step][unit]`. */
  readonly error: Values
  /**
   * L_p,t = (1−κ) Σ_k W_out[p→k] g_k,t with g_k,t = δ_k,t + κ g_k,t+1, and the firing-rate regulariser's part,
   * `[trial][step][neuron]`: the third factor of e-prop.
   */
  readonly learningSignal: Values
}

/** A learning rule written in JavaScript or TypeScript: from {@link defineRule}. */
export interface CustomRule {
  /** Distinguishes it from other rules. */
  readonly kind: 'custom'
  /** The name, for messages, tables and plots. */
  readonly name: string
  /**
   * Computes the third factor S of a batch.
   *
   * @param context - Weights, types and activity.
   */
  signal(context: RuleContext): Float64Array | Float32Array | Promise<Float64Array | Float32Array>
}

/**
 * Defines a learning rule of your own: exact but slow, for research. Its function computes the third factor S, one value per trial, step and
 * neuron, and the gradient of the weight from q to p is
 *
 *     ∂E/∂W[q→p] = Σ_t S_p,t e_qp,t
 *
 * with e the eligibility trace of the network's neurons; the readout's weights and biases keep their exact gradient. e-prop is
 * S_t = L_t, MDGL is S_t = L_t + Γ_t+1 with Γ_p,t = Σ_j w̄ (1−α_j) L_j,t ψ_j,t. The engine simulates, waits until your function, on JavaScript's
 * thread, has returned S or a promise of it, and computes the gradient.
 *
 * {@link train}, {@link gradients} and {@link alignment} accept it in place of a built-in rule. It works with every loss and
 * network; it needs the memory of the arrays in {@link RuleContext}, about five numbers per trial, step and neuron.
 *
 * @example
 * ```ts
 * // e-prop, for excitatory cells alone.
 * const rule = defineRule({
 *   name: 'half e-prop',
 *   signal: ({ learningSignal, shape, types, cells }) => {
 *     const excitatory = types.indexOf('excitatory');
 *     return learningSignal.map((L, i) => (cells.type[i % shape.neurons] === excitatory ? L : 0));
 *   },
 * });
 * const { norm } = await gradients(model, batch, { rule });
 * ```
 * @param rule - A name for messages, and the function.
 * @returns The rule, frozen.
 * @throws {@link MdglError} `'invalid'` for a name that is empty, a `signal` that is no function, or an unknown key. A signal of the
 * wrong size or kind, or with a value that is not finite, rejects with `'invalid'` where the rule is used; errors of the function pass
 * through unchanged. The model is then as the last completed iteration left it.
 */
export function defineRule(rule: Omit<CustomRule, 'kind'>): CustomRule {
  const { name, signal } = record(rule as CustomRule, 'rule', ['kind', 'name', 'signal'])
  return Object.freeze({ kind: 'custom', name: text(name, 'rule.name'), signal: callable(signal, 'rule.signal') })
}

/** Whether a rule is one of {@link defineRule}. */
export function isCustomRule(rule: unknown): rule is CustomRule {
  return isObject(rule) && 'kind' in rule && rule.kind === 'custom'
}
