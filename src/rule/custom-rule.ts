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
  /** Steps without a spike after one. */
  readonly refractory: Uint32Array
  /** What scales the input: 1 − α, or what the network's {@link Conventions} say. */
  readonly inputGain: Float64Array
  /** What a spike adds to the adaptation: 1 − ρ, or what the conventions say. */
  readonly jump: Float64Array
  /** What the reset weighs in the eligibility trace: thr, or what the conventions say. */
  readonly reset: Float64Array
  /** κ = exp(−dt/τ_out) of each readout unit. */
  readonly kappa: Float64Array
  /** The type of each neuron, an index of {@link RuleContext.types}. */
  readonly type: Uint32Array
}

/** The synapses of a projection: its mask, and the current weights. */
export interface Synapses {
  /** What it joins: inputs or neurons to neurons, or neurons to a readout. */
  readonly stage: 'input' | 'recurrent' | 'readout'
  /**
   * Steps from a spike to its effect, of all synapses or of each: d, where the equations have z_q,t−1 for d = 1. An input has x_i,t−d+1, a readout
   * always 1.
   */
  readonly delay: number | Uint32Array
  /** Sender of each synapse, counted through all populations (for an input: through all inputs). */
  readonly pre: Uint32Array
  /** Receiver of each synapse, counted through all populations (for a readout: through all readouts). */
  readonly post: Uint32Array
  /** Weight of each synapse; 0 for one that is in the mask and dead. */
  readonly weights: Values
}

/**
 * What a rule of your own is shown of a batch: weights, types and the trajectory. Everything is a copy: what the rule writes into
 * an array changes nothing.
 *
 * Arrays of neurons are laid out `[trial][step][neuron]`, the value of neuron p at step t of trial b at
 * `(b * shape.steps + t) * shape.neurons + p`, with the neurons of all populations end to end. Arrays of readout units are laid
 * out likewise. Beyond the end of a shorter trial (`shape.lengths`) z, ψ, δ are 0, and voltage and readout mean nothing.
 */
export interface RuleContext {
  /** Sizes and names: trials, steps, neurons, the place of each population, type and readout. */
  readonly shape: RecordingShape
  /** Names of the cell types; {@link CellConstants.type} counts through them. */
  readonly types: readonly string[]
  /** The network. */
  readonly description: NetworkDescription
  /** The batch as the task gave it, its targets included. */
  readonly batch: Batch
  /** The constants of the equations, a value per neuron. */
  readonly cells: CellConstants
  /** Every projection, by name. */
  readonly projections: { readonly [name: string]: Synapses }
  /** z, 1 where a neuron spiked and otherwise 0, `[trial][step][neuron]`; 0 of rate units, whose z is max(0, voltage). */
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
  /** A rule of your own. */
  readonly kind: 'custom'
  /** For messages. */
  readonly name: string
  /**
   * The third factor S of a batch.
   *
   * @param context - What happened.
   */
  signal(context: RuleContext): Float64Array | Float32Array | Promise<Float64Array | Float32Array>
}

/**
 * A learning rule of your own: slow but right, for research. It is asked for the third factor S, one value for each trial, step and
 * neuron, and the gradient of the weight from q to p is
 *
 *     ∂E/∂W[q→p] = Σ_t S_p,t e_qp,t
 *
 * with e the eligibility trace of the network's neurons; the readout's weights and biases keep their exact gradient. e-prop is
 * S_t = L_t, MDGL is S_t = L_t + Γ_t+1 with Γ_p,t = Σ_j w̄ (1−α_j) L_j,t ψ_j,t. The engine simulates, waits for S on its own
 * thread while your function runs on JavaScript's, and goes on; a function that waits for something of its own may return a promise.
 *
 * {@link train}, {@link gradients} and {@link alignment} take it in place of a built-in rule. It works with every loss and
 * network; memory is that of the arrays in {@link RuleContext}, some five numbers for each trial, step and neuron.
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
 * wrong size or kind, or with a value that is not finite, rejects with `'invalid'` where the rule is used; what the function throws
 * passes through as it is. The model is as the last completed iteration left it then.
 */
export function defineRule(rule: Omit<CustomRule, 'kind'>): CustomRule {
  const { name, signal } = record(rule as CustomRule, 'rule', ['kind', 'name', 'signal'])
  return Object.freeze({ kind: 'custom', name: text(name, 'rule.name'), signal: callable(signal, 'rule.signal') })
}

/** Whether a rule is one of {@link defineRule}. */
export function isCustomRule(rule: unknown): rule is CustomRule {
  return isObject(rule) && 'kind' in rule && rule.kind === 'custom'
}
