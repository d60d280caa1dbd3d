import { drawKey, encodeBatch } from '../engine/encode-batch.js'
import { checkOptions, type RunOptions, withSession } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import type { NetworkDescription } from '../network/description.js'
import { type InputNames, type ReadoutNames, trainableNames } from '../network/names.js'
import { expandRuleFor } from '../rule/planned-rule.js'
import type { Rule, RuleName } from '../rule/rule.js'
import { flag, orDefault, wholeNumber } from '../support/check.js'
import { withRule } from '../support/deprecated.js'
import { invalid } from '../support/error.js'
import type { Precision } from '../support/precision.js'
import type { Batch, ObjectiveOptions } from '../task/batch.js'
import { objectiveFor } from '../task/objective.js'
import { completeOptimiser, type Optimiser, optimiserOrDefault } from '../task/optimiser.js'

/** Options of {@link profile}. */
export interface ProfileOptions<ReadoutName extends string = string> extends RunOptions, ObjectiveOptions<ReadoutName> {
  /** A published rule's name or a rule. */
  readonly rule: RuleName | Rule
  /** The optimiser whose step ends an iteration. Default: plain Adam, {@link defaultOptimiser}. */
  readonly optimiser?: Optimiser | undefined
  /** Seed of the input events that the engine draws. Default: the network's seed. */
  readonly seed?: number | undefined
  /** Number of profiled iterations; as many without probes run in between, for comparison. Default 20. */
  readonly iterations?: number | undefined
  /**
   * Length of the windows of steps in each of which one step, chosen at random, is timed: longer is cheaper and less precise. Default 32; from 2 on
   * the cost of reading the clock is measured.
   */
  readonly every?: number | undefined
  /** Whether to measure the machine's own peaks as well, which takes about a second. Default true. */
  readonly peaks?: boolean | undefined
}

/**
 * A kernel, or another part of an iteration:
 *
 * - `drawing-inputs`: drawing of input events, or sorting them into blocks of trials; `input-scatter` and `recurrent-scatter`: input of cells from
 *   events and spikes; `neuron-update`: membranes, thresholds, spikes, ψ; `readout`; `loss`: losses and δ;
 * - `modulation`: the modulatory signals Γ; `backward-recursion`: λ, from the last step to the first;
 *   `eligibility-traces` (online forms); `gradient-gather`: gradient sums over events; `reduction`: sums over lanes and blocks;
 * - `optimiser`; `rewiring`; `preparation`: checks, compiling weights and rule;
 * - `remainder`: other work in the passes through time;
 * - `preempted`: a thread with work but without a processor, since the system ran something else; `waiting`: a thread without work.
 */
export type ProfiledKernel =
  | 'drawing-inputs'
  | 'input-scatter'
  | 'recurrent-scatter'
  | 'neuron-update'
  | 'readout'
  | 'loss'
  | 'modulation'
  | 'backward-recursion'
  | 'eligibility-traces'
  | 'gradient-gather'
  | 'reduction'
  | 'optimiser'
  | 'rewiring'
  | 'preparation'
  | 'remainder'
  | 'preempted'
  | 'waiting'

/** A time per iteration with its standard error. */
export interface ProfiledTime {
  /** ms per iteration, mean over the profiled iterations. */
  readonly ms: number
  /** Its standard error in ms, since only some steps are timed and reading the clock takes time; 0 where every step is timed. */
  readonly standardError: number
}

/** Time and work of a kernel in one iteration, all threads together. Work is counted exactly, on the whole batch. */
export interface KernelProfile extends ProfiledTime {
  /** The kernel. */
  readonly kernel: ProfiledKernel
  /** Its time in each thread; the times of all kernels add up to the iteration's, `preempted` and `waiting` included. */
  readonly byThread: readonly ProfiledTime[]
  /** Number of calls: steps of blocks of trials for most, tiles of steps for `gradient-gather`. */
  readonly calls: number
  /** Cells × steps of their trials. */
  readonly neuronUpdates: number
  /** Events times the synapses of their senders. */
  readonly synapticEvents: number
  /** Bytes read and written, caches included, by the model in docs/profiling.md. */
  readonly bytes: number
  /** Floating-point operations in active lanes, by the same model; a multiply-add is two. */
  readonly operations: number
}

/** Peak performance of a number of threads together, measured during the profile. */
export interface MachinePeak {
  /** Number of threads. */
  readonly threads: number
  /** Multiply-adds in registers; each counts as two operations. */
  readonly operationsPerSecond: number
  /** a ← b + s c over buffers that fit into each level. */
  readonly bandwidth: readonly {
    /** Where the buffers fit. */
    readonly level: 'L1' | 'L2' | 'L3' | 'memory'
    /** Bytes of each thread's buffers. */
    readonly bytes: number
    /** Bytes read and written per second. */
    readonly bytesPerSecond: number
  }[]
}

/** Interval in which a thread worked on a stage of one block of trials, or of the whole batch; in ns. */
export interface ProfileSlice {
  /** The stage. */
  readonly stage: 'prepare' | 'draw' | 'simulate' | 'judge' | 'backward' | 'forward' | 'reduce' | 'optimise' | 'rewire'
  /** The thread; what is not split into blocks counts as the first thread's. */
  readonly thread: number
  /** The block of sixteen trials; null for a stage of the whole batch. */
  readonly block: number | null
  /** Start. */
  readonly begin: number
  /** End. */
  readonly end: number
  /** Time between them for which the thread had a processor; the rest is `preempted`. */
  readonly processor: number
}

/** Time and work of training iterations by kernel. */
export interface Profile {
  /** The instruction set in use. */
  readonly simd: string
  /** The model's precision. */
  readonly precision: Precision
  /** Number of threads. */
  readonly threads: number
  /** Length of the windows of steps in each of which one step was timed. */
  readonly every: number
  /** Each profiled iteration, its start and end on the clock of the slices, and the iteration without probes after it. */
  readonly iterations: readonly {
    /** Start in ns. */
    readonly begin: number
    /** End in ns. */
    readonly end: number
    /** ms with the probes on. */
    readonly profiled: number
    /** ms of these for which threads with work had no processor, all threads together. */
    readonly preempted: number
    /** ms with the probes off. */
    readonly plain: number
  }[]
  /** Every kernel, in the order of an iteration. */
  readonly kernels: readonly KernelProfile[]
  /** With 1 thread and with all; empty with `peaks: false`. */
  readonly peaks: readonly MachinePeak[]
  /** The stages of all profiled iterations. */
  readonly slices: readonly ProfileSlice[]
  /** The batch's loss. */
  readonly loss: number
  /** The gradient's global norm: the same as without a profile. */
  readonly gradientNorm: number
}

const OPTIONS = ['rule', 'loss', 'regulariser', 'optimiser', 'seed', 'iterations', 'every', 'peaks'] as const
const MOST_ITERATIONS = 10_000
const MOST_EVERY = 2 ** 20

/**
 * Profiles training iterations on a batch: forward, gradient by a rule, and a step of the optimiser, repeatedly from
 * the same weights. The model is not changed, and profiling changes no bit of the results.
 *
 * @example
 * ```ts
 * const { kernels } = await profile(model, batch, { rule: 'mdgl' });
 * for (const { kernel, ms } of kernels) console.log(kernel, ms);
 * ```
 * @param model - The model.
 * @param batch - The batch; it must have the targets that the loss needs.
 * @param options - The rule, the loss and more.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad rules, options, batches, targets and for custom losses,
 * `'not-finite'`, `'memory'`, `'disposed'`; the signal's reason when aborted.
 */
export function profile<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options: ProfileOptions<ReadoutNames<D>>
): Promise<Profile>
/** @deprecated `profile(model, batch, { rule, … })` */
export function profile<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  rule: RuleName | Rule,
  options: Omit<ProfileOptions<ReadoutNames<D>>, 'rule'>
): Promise<Profile>
export async function profile<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  given: ProfileOptions<ReadoutNames<D>> | RuleName | Rule,
  options?: Omit<ProfileOptions<ReadoutNames<D>>, 'rule'>
): Promise<Profile> {
  nativeModel(model)
  const asked = withRule<ProfileOptions<ReadoutNames<D>>>('profile', 'rule', given, options)
  const { rule, ...checked } = checkOptions(asked, OPTIONS)
  const { description } = model
  const objective = objectiveFor(checked, batch, description, nativeModel(model))
  if (objective.custom) throw invalid('options.loss', checked.loss, 'a built-in loss; a custom one is JavaScript')
  const optimiser = completeOptimiser(optimiserOrDefault(checked.optimiser), trainableNames(description))
  const profilePlan = {
    iterations: wholeNumber(orDefault(checked.iterations, 20), 'options.iterations', 1, MOST_ITERATIONS),
    every: wholeNumber(orDefault(checked.every, 32), 'options.every', 1, MOST_EVERY),
    peaks: flag(orDefault(checked.peaks, true), 'options.peaks')
  }
  const plan = {
    objective: objective.json,
    rule: JSON.stringify(expandRuleFor(nativeModel(model), rule, 'profile')),
    optimiser: JSON.stringify(optimiser),
    training: false
  }
  const { handle } = encodeBatch(batch, description, objective, drawKey(checked.seed, description))
  return await withSession(model, plan, checked, async session => {
    return JSON.parse(await session.run(engine => engine.profile(handle, profilePlan))) as Profile
  })
}
