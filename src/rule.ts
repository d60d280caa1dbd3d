import { list, object, oneOf, record } from './check.js'
import type { Channel, Gain, Kernel, Reach } from './description.js'
import { invalid } from './error.js'
import { deepFreeze } from './freeze.js'
import { guard, native } from './native.js'
import { channelShape } from './normalise.js'

/** A channel without its types: one such channel between every ordered pair of types. */
export interface UniformChannel {
  /** Its strength. */
  readonly gain: Gain
  /** Whom it reaches. */
  readonly reach: Reach
  /** Its time course. */
  readonly kernel: Kernel
}

/**
 * A learning rule: one plain value from which the gradient of every weight follows,
 * ∂E/∂W[q→p] ≈ Σ_t (L_p,t + Γ_p,t+1) e_qp,t, with L the learning signal, e the eligibility trace and Γ the modulation
 * that the channels carry. Source: Liu et al. 2021 (MDGL); Bellec et al. 2020 (e-prop).
 */
export interface Rule {
  /** A recursion from the last step to the first (fast), or eligibility traces from the first to the last. */
  readonly estimator: 'backward' | 'online'
  /** The weights through which errors reach the cells: those of the readout. */
  readonly feedback: 'symmetric'
  /** The network's own channels, one kind of channel between all types, or a list. */
  readonly channels: 'network' | UniformChannel | readonly Channel[]
  /** How many synapses a cell's influence is followed: 0 is e-prop, 1 is MDGL, all is BPTT. */
  readonly hops: 0 | 1 | 'all'
  /** The derivative on the recurrent path: the pseudo-derivative ψ. */
  readonly recurrentDerivative: 'psi'
  /** The readout's filter in the modulatory term: on the product, or on both factors separately (On-MDGL). */
  readonly readoutFilter: 'exact' | 'separate'
  /** The eligibility trace: with reset and adaptation, as in Liu et al. 2021. */
  readonly trace: 'mdgl2021'
}

/** The names of the published rules, as on the command line and in files. */
export const ruleNames = Object.freeze([
  'bptt',
  'eprop',
  'mdgl',
  'mdgl-cell',
  'nl-mdgl',
  'on-mdgl',
  'eprop-online',
  'mdgl-online',
  'on-mdgl-online'
] as const)

/** The name of a published rule. */
export type RuleName = (typeof ruleNames)[number]

const eprop: Rule = {
  estimator: 'backward',
  feedback: 'symmetric',
  channels: [],
  hops: 0,
  recurrentDerivative: 'psi',
  readoutFilter: 'exact',
  trace: 'mdgl2021'
}
const mdgl: Rule = { ...eprop, channels: 'network', hops: 1 }
const onMdgl: Rule = { ...mdgl, readoutFilter: 'separate' }

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
 *
 * `epropOnline`, `mdglOnline` and `onMdglOnline` compute the same gradients with eligibility traces.
 */
export const rules = deepFreeze({
  bptt: { ...eprop, channels: { gain: 'weight', reach: 'synaptic', kernel: 'exact' }, hops: 'all' },
  eprop,
  mdgl,
  mdglCell: { ...mdgl, channels: { gain: 'weight', reach: 'synaptic', kernel: 'none' } },
  nlMdgl: { ...mdgl, channels: { gain: 'mean-weight', reach: 'nonlocal', kernel: 'none' } },
  onMdgl,
  epropOnline: { ...eprop, estimator: 'online' },
  mdglOnline: { ...mdgl, estimator: 'online' },
  onMdglOnline: { ...onMdgl, estimator: 'online' }
} satisfies Record<string, Rule>) as Readonly<Record<RuleConstant, Rule>>

/** The keys of {@link rules}. */
export type RuleConstant =
  | 'bptt'
  | 'eprop'
  | 'mdgl'
  | 'mdglCell'
  | 'nlMdgl'
  | 'onMdgl'
  | 'epropOnline'
  | 'mdglOnline'
  | 'onMdglOnline'

const byName: Readonly<Record<RuleName, Rule>> = {
  bptt: rules.bptt,
  eprop: rules.eprop,
  mdgl: rules.mdgl,
  'mdgl-cell': rules.mdglCell,
  'nl-mdgl': rules.nlMdgl,
  'on-mdgl': rules.onMdgl,
  'eprop-online': rules.epropOnline,
  'mdgl-online': rules.mdglOnline,
  'on-mdgl-online': rules.onMdglOnline
}

/**
 * The whole value of a rule, from its name or from a value.
 *
 * @param rule - A published rule's name, or a rule.
 * @returns The rule, deeply frozen.
 * @throws {@link MdglError} `'invalid'` for an unknown name, an unknown option, or a combination that has no equation.
 */
export function expandRule(rule: RuleName | Rule): Rule {
  if (typeof rule === 'string') {
    const named = Object.hasOwn(byName, rule) ? byName[rule] : undefined
    if (named === undefined) throw invalid('rule', rule, list(ruleNames))
    return named
  }
  const checked = check(rule)
  guard(() => native.checkRule(JSON.stringify(checked)))
  return deepFreeze(checked)
}

function check(rule: Rule): Rule {
  record(rule, 'rule', ['estimator', 'feedback', 'channels', 'hops', 'recurrentDerivative', 'readoutFilter', 'trace'])
  return {
    estimator: oneOf(rule.estimator, 'rule.estimator', ['backward', 'online'] as const),
    feedback: oneOf(rule.feedback, 'rule.feedback', ['symmetric'] as const),
    channels: channels(rule.channels),
    hops: oneOf(rule.hops, 'rule.hops', [0, 1, 'all'] as const),
    recurrentDerivative: oneOf(rule.recurrentDerivative, 'rule.recurrentDerivative', ['psi'] as const),
    readoutFilter: oneOf(rule.readoutFilter, 'rule.readoutFilter', ['exact', 'separate'] as const),
    trace: oneOf(rule.trace, 'rule.trace', ['mdgl2021'] as const)
  }
}

function channels(given: Rule['channels']): Rule['channels'] {
  const path = 'rule.channels'
  if (typeof given === 'string') return oneOf(given, path, ['network'] as const)
  if (isList(given)) return given.map((channel, i) => listed(channel, `${path}[${i}]`))
  return channelShape(record(given, path, ['gain', 'reach', 'kernel']), path)
}

function listed(channel: Channel, path: string): Channel {
  return { ...object(channel, path), ...channelShape(channel, path) }
}

function isList(given: UniformChannel | readonly Channel[]): given is readonly Channel[] {
  return Array.isArray(given)
}
