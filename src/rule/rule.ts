import { askEngine } from '../addon/ask-engine.js'
import { guard, native } from '../addon/native.js'
import type { Channel, Gain, Kernel, Reach } from '../network/description.js'
import { isObject, list } from '../support/check.js'
import { invalid } from '../support/error.js'
import { deepFreeze } from '../support/freeze.js'
import { plainCopy, plainText } from '../support/plain.js'
import { isCustomRule } from './custom-rule.js'

/** A kind of channel: one such channel from every cell type to every cell type. */
export interface UniformChannel {
  /** Its strength. */
  readonly gain: Gain
  /** The cells that it reaches. */
  readonly reach: Reach
  /** Its time course. */
  readonly kernel: Kernel
  /** See {@link Channel.above}. */
  readonly above?: number
}

/**
 * Fixed random feedback: each pair of a cell and a readout unit has, with probability `density`, a weight drawn from a normal
 * distribution with mean 0. The weights depend on the seed and the network's sizes alone.
 */
export interface RandomFeedback {
  /** How the weights are drawn. */
  readonly random: {
    /** Seed of the draw. Default 1. */
    readonly seed?: number
    /** Fraction of the pairs that have a weight, above 0 to 1. Default 1; below it is sparse random feedback. */
    readonly density?: number
    /** Standard deviation of a weight. Default 1, as in Bellec et al. 2020. */
    readonly standardDeviation?: number
  }
}

/**
 * Adaptive feedback: weights B that begin as the readout's weights plus random ones, B = W_out + D, and receive every change of W_out.
 * Each training step then multiplies W_out and D by 1 − learning rate · `weightDecay`, so that D shrinks and B converges to W_out. The remaining
 * factor of D is part of the model and of its weights file; `gradients` does not change it. Source: Bellec et al. 2020 (adaptive e-prop).
 */
export interface AdaptiveFeedback {
  /** How D is drawn, as {@link RandomFeedback}, and how fast both decay. */
  readonly adaptive: {
    /** Seed of the draw. Default 1. */
    readonly seed?: number
    /** Fraction of the pairs of a cell and a readout unit that have a D, above 0 to 1. Default 1. */
    readonly density?: number
    /** Standard deviation of D. Default 1. */
    readonly standardDeviation?: number
    /** Decay of W_out and D per step, divided by the learning rate: from 0 to 1/(learning rate). Default 0.01, as published. */
    readonly weightDecay?: number
  }
}

/**
 * Given, fixed feedback weights B: `[neuron][unit]`, the neurons of all populations end to end in the description's order, and
 * the units of all readouts likewise. A weight of 0 means no feedback for this pair.
 */
export interface FeedbackWeights {
  /** A row per neuron, a column per readout unit. */
  readonly weights: readonly (readonly number[])[]
}

/**
 * A learning rule: one plain value from which the gradient of every weight follows,
 * ∂E/∂W[q→p] ≈ Σ_t (L_p,t + Γ_p,t+1) e_qp,t, with L the learning signal, e the eligibility trace and Γ the modulation
 * that the channels carry. Source: Liu et al. 2021 (MDGL); Bellec et al. 2020 (e-prop).
 */
export interface Rule {
  /**
   * How the gradient is computed: `'backward'`, a recursion from the last step to the first (fast); `'online'`, eligibility traces from the first step to
   * the last; or, with hops `'all'`, one of four estimators that carry the influence of the weights forwards, see {@link rules}.
   */
  readonly estimator: 'backward' | 'online' | 'rtrl' | 'snap1' | 'uoro' | 'kf-rtrl'
  /**
   * The weights B through which errors reach the cells, L_p,t = (1−κ) Σ_k B[p→k] g_k,t: the current weights of the readout, random ones, random ones
   * that converge to the readout's, or a given matrix. With the last three every cell that has a feedback weight has a learning signal.
   */
  readonly feedback: 'symmetric' | RandomFeedback | AdaptiveFeedback | FeedbackWeights
  /**
   * Whether a cell learns by its own learning signal (default, left out of files), or by the field of errors at its site on the network's
   * {@link Sheet}, with hops 0: G_t = K ∗ G_t−1 + Σ_{p at the site} Σ_k B[p→k] δ_k,t, forwards in time, and the gradient is
   * Σ_t G_t[site of p] ē_qp,t, with ē the trace e filtered by the readout. Source: Barretto-Bittar et al., arXiv 2603.08949 (2026). The
   * readouts must have the same time constant. Where only a trial's last step has an error, it has no time to spread, and the rule equals e-prop if
   * no two cells share a site.
   */
  readonly learningSignal?: 'own' | 'diffusive'
  /** The network's own channels, one kind of channel between all types, or a list. */
  readonly channels: 'network' | UniformChannel | readonly Channel[]
  /**
   * Over how many synapses the influence of a cell is followed: 0 is e-prop, 1 is MDGL, `'all'` is BPTT. Two to 64 hops need channels of
   * kernel `'exact'`, where a cell secretes the λv of the rule with one hop less, or all of the same kernel `'membrane'`, where the signal that a cell
   * receives passes through its membrane with the constant m of {@link MembraneKernel} in place of ψ: s⁽ⁿ⁾_j = h_j ⋆ (ψ_j L_j + m_j Γ⁽ⁿ⁻¹⁾_j,t+1),
   * causal. With the estimator `'online'`, several hops need `'membrane'` and delays of one step.
   */
  readonly hops: number | 'all'
  /**
   * The derivative on the recurrent path: the pseudo-derivative ψ, or a constant μ > 0 in its place where a cell passes on what it receives
   * (ModProp): λ_p,t = ψ_p,t L_p,t + α λ_p,t+1 + μ Γ_p,t+1, Γ_p,t = Σ_j gain (1−α_j) λ_j,t, and the gradient (1−α_p) Σ_t λ_p,t z_q,t−1. That
   * needs channels of kernel `'exact'`, the trace `'rflo'`, the estimator `'backward'`, and 1 to 64 hops (the filter's taps) or `'all'`. Source:
   * Liu et al. 2022 (NeurIPS), whose units are leaky ReLU.
   */
  readonly recurrentDerivative:
    | 'psi'
    | {
        /** μ. */
        readonly mu: number
      }
  /** The readout's filter in the modulatory term: on the product, or on both factors separately (On-MDGL). */
  readonly readoutFilter: 'exact' | 'separate'
  /**
   * The eligibility trace: with reset and adaptation, as in Liu et al. 2021 (in a network of other {@link Conventions}, according to these); or with the
   * membrane's leak alone (RFLO, Murray 2019), e_t = ψ_t εv_t with εv_t = α εv_t−1 + (1−α) z_q,t−1, for the estimators `'backward'` and `'online'` and any
   * rule except with hops `'all'`.
   */
  readonly trace: 'mdgl2021' | 'rflo'
}

/** The names of the published rules, as on the command line and in files. */
export const ruleNames = Object.freeze([
  'bptt',
  'eprop',
  'mdgl',
  'mdgl-cell',
  'nl-mdgl',
  'on-mdgl',
  'mdgl-membrane',
  'mdgl-above',
  'mdgl-membrane-2',
  'mdgl-membrane-3',
  'mdgl-exact',
  'hops-2',
  'hops-3',
  'modprop',
  'eprop-random',
  'eprop-adaptive',
  'eprop-diffusive',
  'eprop-online',
  'eprop-diffusive-online',
  'mdgl-online',
  'mdgl-membrane-online',
  'on-mdgl-online',
  'rflo',
  'rtrl',
  'snap1',
  'uoro',
  'kf-rtrl'
] as const)

/** The name of a published rule. */
export type RuleName = (typeof ruleNames)[number]

/**
 * The published rules.
 *
 * | rule | Γ_p,t |
 * |---|---|
 * | `eprop` | 0 |
 * | `mdgl` | Σ_types w̄[type(p)→c] Σ_{j of type c, p projects to j} (1−α_j) L_j,t ψ_j,t |
 * | `mdglCell` | the same with the true weights W[p→j] |
 * | `nlMdgl` | as `mdgl`, j over every neuron of type c, absent synapses counted as 0 in w̄ |
 * | `onMdgl` | as `mdgl`, the readout's filter on both factors separately |
 * | `bptt` | Σ_j W[p→j] (1−α_j) λv_j,t |
 * | `mdglMembrane` | as `mdgl`, with s_j,t of {@link MembraneKernel} in place of L_j,t ψ_j,t: the secreting cell's memory, causal |
 * | `mdglAbove` | as `mdglMembrane`, along the synapses with \|W\| above 0.3 of the mean \|W\| between their types: `above` of {@link Channel} |
 * | `mdglMembrane2`, `mdglMembrane3` | as `mdglMembrane`, over two and three hops, causal: see `hops` |
 * | `mdglExact` | as `mdgl`, with the λv_j,t of e-prop, the secreting cell's own memory, in place of L_j,t ψ_j,t |
 * | `hops2`, `hops3` | as `mdglExact`, with the λv_j,t of the rule with one hop less: a series from e-prop to BPTT |
 * | `modprop` | Σ_j w̄ (1−α_j) λ_j,t along all hops, passed on through a constant: see `recurrentDerivative` |
 * | `epropRandom` | 0; L through fixed random weights |
 * | `epropAdaptive` | 0; L through random weights that converge to the readout's, see {@link AdaptiveFeedback} |
 * | `epropDiffusive` | 0; in place of L the field of all cells' errors at the cell's site, see `learningSignal` |
 *
 * The rules from `mdglMembrane` to `hops3` are not in the paper; `mdglExact`, `hops2` and `hops3` are acausal, as BPTT is.
 *
 * `epropOnline`, `epropDiffusiveOnline`, `mdglOnline`, `mdglMembraneOnline` and `onMdglOnline` compute the same gradients with eligibility traces;
 * `mdglOnline` is MDGL's exact online form, with one more filtered trace per readout unit, and `mdglMembraneOnline` has
 * two further traces for each group of cells with the same type and constants. `rflo` (Murray 2019) has the trace of the leak
 * alone and random feedback.
 *
 * Four more estimate BPTT's gradient from the first step to the last, for comparison on small networks. They carry the
 * influence J_t = ∂x_t/∂W of every weight on the state x = (v, b, y), J_t = D_t J_t−1 + I_t, with D_t the derivative of
 * one step by the state before it and I_t the direct effect of the weight in the step. For N neurons and S synapses onto them:
 *
 * | rule | J_t | numbers kept | gradient |
 * |---|---|---|---|
 * | `rtrl` | whole (Williams and Zipser 1989) | about 2 N·S | BPTT's |
 * | `snap1` | its entries at each weight's own target neuron (Menick et al. 2020) | about 4 S | e-prop's |
 * | `uoro` | x̃ θ̃ᵀ, random signs for each neuron and step (Tallec and Ollivier 2017) | about S | BPTT's, on average |
 * | `kfRtrl` | u ⊗ A, two random signs for each step (Mujika, Meier and Steger 2018) | about 2 N·N | BPTT's, on average |
 *
 * SnAp-1 keeps only the influence within one step: on these networks that on v, z and b of the weight's target, whose recursion is
 * e-prop's eligibility trace. The random estimators are unbiased but vary widely from draw to draw; their signs follow
 * from the seed, the iteration and the trial alone. All four compute in f64 whatever the model's precision, keep at most
 * 1 GiB of J (a trial that needs more is refused) and need a built-in loss. The firing-rate regulariser is exact in each.
 */
export const rules = /* @__PURE__ */ byConstant()

/** The keys of {@link rules}: the names of the published rules in camel case. */
export type RuleConstant<Name extends string = RuleName> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<RuleConstant<Tail>>}`
  : Name

function byConstant(): Readonly<Record<RuleConstant, Rule>> {
  const published = JSON.parse(guard(() => native.publishedRules())) as readonly (readonly [RuleName, Rule])[]
  const entries = published.map(([name, rule]) => [camelCase(name), rule] as const)
  return deepFreeze(Object.fromEntries(entries)) as Readonly<Record<RuleConstant, Rule>>
}

/** The same object per rule at every call. */
const byName = (name: RuleName): Rule | undefined => (ruleNames.includes(name) ? rules[camelCase(name)] : undefined)

function camelCase(name: RuleName): RuleConstant {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()) as RuleConstant
}

/**
 * The complete, checked value of a rule, from its name or its value.
 *
 * @example
 * ```ts
 * const rule = expandRule('mdgl');
 * console.log(rule.hops, rule.channels); // 1 'network'
 * const two = expandRule({ ...rules.mdglExact, hops: 2 });
 * ```
 * @param rule - A published rule's name, or a rule.
 * @returns The rule, deeply frozen.
 * @throws {@link MdglError} `'invalid'` for an unknown name, an unknown option, or a combination that has no equation.
 */
export function expandRule(rule: RuleName | Rule): Rule {
  if (typeof rule === 'string') {
    const named = byName(rule)
    if (named === undefined) throw invalid('rule', rule, list(ruleNames))
    return named
  }
  refuseOthers(rule)
  const copy = plainCopy(rule)
  return deepFreeze(JSON.parse(askEngine({ rule: copy }, () => native.completeRule(plainText(copy)))) as Rule)
}

/** What is neither a name nor a rule of the engine's, in words that say what to do about it. */
function refuseOthers(rule: unknown): void {
  const kinds = "a published rule's name or a Rule"
  if (isCustomRule(rule))
    throw invalid('rule', rule, `${kinds}; one of defineRule works in train, gradients and alignment`)
  if (typeof rule === 'function' || (isObject(rule) && 'signal' in rule)) {
    throw invalid('rule', rule, `${kinds}; a rule of your own is defineRule({ name, signal })`)
  }
  if (!isObject(rule)) throw invalid('rule', rule, kinds)
}
