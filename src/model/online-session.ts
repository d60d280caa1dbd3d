import type { NativeModel, NativeStream, StreamTarget } from '#native'
import { guard, native } from '../addon/native.js'
import type { NamesOf, NetworkDescription, Readout, WholeDescription } from '../network/description.js'
import { type InputNames, projectionNames, type ReadoutNames } from '../network/names.js'
import { find } from '../network/normalise.js'
import { expandRuleFor } from '../rule/planned-rule.js'
import type { Rule, RuleName } from '../rule/rule.js'
import { finite, floats, list, numbers, object, orDefault, ownMemory, record, wholeNumber } from '../support/check.js'
import { deprecated } from '../support/deprecated.js'
import { invalid, MdglError } from '../support/error.js'
import type { Precision, Values } from '../support/precision.js'
import { isFloat64Array, isFloatArray, isUint32Array } from '../support/recognise.js'
import { completeOptimiser, defaultOptimiser, type Optimiser, optimiserOrDefault } from '../task/optimiser.js'

/** The published rules that run forwards in time. */
export type OnlineRuleName = Extract<RuleName, `${string}-online`> | 'rflo'

/** Options of {@link Model.session}. */
export interface SessionOptions {
  /**
   * The learning rule: its name, or a rule with the estimator `'online'`. Default: none; the network runs and does not learn, which is cheaper.
   * Networks without an online form (rate units, conventions `'bellec2020'`) have no sessions, with or without a rule.
   */
  readonly rule?: OnlineRuleName | Rule | undefined
  /** How {@link OnlineSession.update} changes the weights. Default: plain Adam, {@link defaultOptimiser}. */
  readonly optimiser?: Optimiser | undefined
  /** Seed of noise and rewiring. Default: the network's seed. */
  readonly seed?: number | undefined
}

/** The names of a description's recurrent populations. */
export type PopulationNames<D> = NamesOf<D>['population']

/**
 * What the input populations do in one step; one that is left out is silent.
 *
 * A `Uint32Array` holds the indices of the units that fire, in any order; a repeated index counts twice. A `Float64Array` or
 * `Float32Array` holds a value of each unit. A population may change from one kind to the other at any step.
 */
export type SessionInput<D extends NetworkDescription = WholeDescription> = {
  readonly [Name in InputNames<D>]?: Uint32Array | Float64Array | Float32Array
}

/** What one step of a session gave; the arrays are the caller's to keep. */
export interface SessionStep<D extends NetworkDescription = WholeDescription, P extends Precision = Precision> {
  /** Indices of the neurons that spiked, ascending, of each recurrent population. */
  readonly spikes: { readonly [Name in PopulationNames<D>]: Uint32Array }
  /** y of each unit, with bias, of each readout. */
  readonly outputs: { readonly [Name in ReadoutNames<D>]: Values<P> }
}

/**
 * What a readout should have done in the last step, or how wrong it was.
 *
 * - `target`, a number: the right class. The loss is −log softmax(y)[target], so δ = softmax(y) − onehot(target).
 * - `target`, an array: the right value of each unit. The loss is ½ Σ (y − target)², so δ = y − target.
 * - `error`: δ = ∂E/∂y of each unit, for a loss of your own.
 */
export type SessionTarget =
  | {
      /** A class, or a value of each unit. */
      readonly target: number | readonly number[] | Float64Array | Float32Array
      /** Factor of loss and δ, for instance 1 / (number of steps that count). Default 1. */
      readonly weight?: number
    }
  | {
      /** δ of each unit. */
      readonly error: readonly number[] | Float64Array | Float32Array
      /** Factor of δ. Default 1. */
      readonly weight?: number
    }

/** Targets by readout; a readout that is left out has no error. */
export type SessionTargets<D extends NetworkDescription = WholeDescription> = {
  readonly [Name in ReadoutNames<D>]?: SessionTarget
}

/** What {@link OnlineSession.update} did. */
export interface SessionUpdate {
  /** Global norm of the gradient, before clipping. */
  readonly gradientNorm: number
  /** Steps with targets since the last update. */
  readonly steps: number
}

/**
 * A session between two steps: all that the steps to come depend on, the weights aside. A plain value: it can be kept,
 * cloned with `structuredClone`, sent to a worker, and put back into any session on the same network with the same rule, the
 * same frozen projections and the same precision.
 */
export interface SessionState<P extends Precision = Precision> {
  /** Steps since the start. */
  readonly steps: number
  /** α v − thr z of each neuron, populations end to end: what the next step's input is added to. */
  readonly membrane: Values<P>
  /** b of each neuron as the next step has it. */
  readonly adaptation: Values<P>
  /**
   * State variables that only some models have, by name, one value per neuron, 0 where it has none: `current`, (1−α) α_s c, the
   * synaptic current of current-based neurons decayed for the next step, whose input is added to it. Only where a neuron has any.
   */
  readonly variables?: { readonly [name: string]: Values<P> }
  /** For how many steps to come each neuron cannot spike. */
  readonly refractory: Uint32Array
  /** Neurons that spiked in the last step, ascending, counted over all populations. */
  readonly spikes: Uint32Array
  /**
   * Earlier spikes that a delay of more than one step has still to deliver, in pairs: how many steps before the last one, and the
   * neuron; ascending. Empty without such delays.
   */
  readonly inTransit: Uint32Array
  /** Inputs that a delay of more than one step has still to deliver. Only where a projection from an input has such a delay. */
  readonly inputsInTransit?: InputsInTransit<P>
  /** Of a network with noise: which trial it is, and the noise of its last step. */
  readonly noise?: SessionNoise
  /** y without bias, readouts end to end. */
  readonly readout: Values<P>
  /** Eligibility traces of every learning synapse and what is filtered of them, in the engine's order. */
  readonly traces: Values<P>
}

/** The noise currents of a session's trial. */
export interface SessionNoise {
  /** The trial, counted by `reset`: the noise of each is another one, drawn from the session's seed. */
  readonly trial: number
  /** n − μ of each neuron that noise or a step current drives, populations end to end. */
  readonly values: Float64Array
}

/** Inputs of the last steps, as far as delays reach back: those of the last step, 0 steps before it, first. */
export interface InputsInTransit<P extends Precision = Precision> {
  /** Events, in threes: how many steps before the last one, the unit (counted over all inputs), how many. */
  readonly events: Uint32Array
  /** Where analogue values belong, in pairs: how many steps before the last one, and the unit. */
  readonly places: Uint32Array
  /** Analogue values. */
  readonly values: Values<P>
}

let open: (model: NativeModel, description: WholeDescription, options: SessionOptions) => OnlineSession

/**
 * A model that runs and learns step by step, for streams without end and for agents in an environment: from
 * {@link Model.session}.
 *
 * Everything is synchronous, on the caller's thread. Memory does not grow with time. T steps with their targets and one
 * `update` are what `gradients` and one step of the optimiser are for the same trial as a batch of one, to the last bit.
 *
 * While a session is open its model cannot be trained or changed otherwise (`'busy'`); reading, evaluating and saving it is
 * free, and gives the weights after the last `update`.
 *
 * @example
 * ```ts
 * using session = model.session({ rule: 'mdgl-online' });
 * for (let step = 0; step < 100; step++) {
 *   const { outputs } = session.step({ cues: Uint32Array.of(0, 1) }); // these two units spike
 *   if (step >= 50) session.addLoss({ choice: { target: 1 } });
 * }
 * session.update();
 * ```
 */
export class OnlineSession<D extends NetworkDescription = WholeDescription, P extends Precision = Precision>
  implements Disposable
{
  readonly #inputs: readonly { readonly name: string; readonly size: number }[]
  readonly #populations: readonly string[]
  readonly #readouts: readonly Readout[]
  readonly #learns: boolean
  #native: NativeStream | undefined

  static {
    open = (model, description, options) => new OnlineSession(model, description, options)
  }

  private constructor(model: NativeModel, description: WholeDescription, options: SessionOptions) {
    record(options, 'options', ['rule', 'optimiser', 'seed'])
    const names = projectionNames(description)
    this.#learns = options.rule !== undefined
    if (!this.#learns && options.optimiser !== undefined) {
      throw invalid('options.optimiser', options.optimiser, 'nothing without a rule')
    }
    if (!this.#learns) guard(() => model.checkSession())
    const rule = expandRuleFor(model, options.rule ?? 'eprop-online', 'session')
    // Without a rule nothing is plastic, so that no synapse has traces.
    const optimiser = this.#learns
      ? completeOptimiser(optimiserOrDefault(options.optimiser), names)
      : { ...completeOptimiser(defaultOptimiser, names), frozen: names }
    const seed = wholeNumber(orDefault(options.seed, description.seed), 'options.seed')
    this.#inputs = description.inputs
    this.#populations = description.populations.map(({ name }) => name)
    this.#readouts = description.readouts
    const engine = guard(() => new native.NativeStream(model, JSON.stringify(rule), JSON.stringify(optimiser), seed))
    guard(() => engine.watch())
    this.#native = engine
  }

  /**
   * Runs the network for one step of `dt`.
   *
   * @param input - What the input populations do; one that is left out is silent.
   * @returns Spikes and readouts of this step.
   * @throws {@link MdglError} `'invalid'` for an unknown population, an index out of range, a wrong number of values or one that is
   * not finite; `'not-finite'` when an output would not be finite; `'memory'`; `'disposed'`. The session's state is as before then; after
   * `'not-finite'` the step before takes no more targets.
   */
  step(input: SessionInput<D> = {}): SessionStep<D, P> {
    const engine = this.#alive()
    object(input, 'input')
    const inputs = this.#inputs.map(({ name, size }) => encodeInput(input, name, size))
    refuseUnknown(input, 'input', this.#inputs)
    const { spikes, outputs } = guard(() => engine.step(inputs))
    return {
      spikes: byName(this.#populations, spikes),
      outputs: byName(
        this.#readouts.map(({ name }) => name),
        outputs
      )
    } as unknown as SessionStep<D, P>
  }

  /**
   * Says how the last step should have been. The gradient of the loss is added to what was learned since the last
   * {@link OnlineSession.update}; a step without targets has no error. Several calls about one step add up.
   *
   * The gradient is that of the **sum** of all losses; weigh them for a mean: to match `{ kind: 'cross-entropy', window }`, give
   * the last `window` steps a `weight` of 1 / (their number).
   *
   * @param targets - One entry per readout.
   * @returns The loss of these targets, weights included; an `error` counts 0.
   * @throws {@link MdglError} `'invalid'` for an unknown readout, a target or an error that does not fit, in a session without a rule, and where no step was made
   * since the session's start, the last `update`, `restore` or `reset`; `'not-finite'`; `'disposed'`. Nothing is added then.
   */
  addLoss(targets: SessionTargets<D>): number {
    const engine = this.#learning()
    object(targets, 'targets')
    const encoded = Object.entries<SessionTarget | undefined>(targets)
      .filter(([, target]) => target !== undefined)
      .map(([name, target]) => {
        const readout = find(this.#readouts, name, 'targets')
        return { readout: this.#readouts.indexOf(readout), ...encodeTarget(target as SessionTarget, readout) }
      })
    if (encoded.length === 0) throw invalid('targets', targets, 'a target for at least one readout')
    return guard(() => engine.addLoss(encoded))
  }

  /**
   * Updates the model's weights with what was learned since the last time, as one training iteration does: gradient step,
   * signs, l1 and noise, rewiring, the generator keyed by the seed and the optimiser's steps. Adam's moments are the
   * model's. From the next step on the session runs on the new weights, with the current mean weights; its state and
   * traces go on.
   *
   * It costs about as much as laying out the network anew; every few dozen steps it is hardly seen.
   *
   * @throws {@link MdglError} `'not-finite'` when gradient, weights, biases or moments would not be finite: the model is as before then, and what
   * was learned is dropped; `'memory'`; `'disposed'`.
   */
  update(): SessionUpdate {
    const engine = this.#learning()
    return guard(() => engine.update())
  }

  /** @deprecated {@link OnlineSession.addLoss} */
  learn(targets: SessionTargets<D>): number {
    deprecated('session.learn()', 'session.addLoss()')
    return this.addLoss(targets)
  }

  /** @deprecated {@link OnlineSession.update} */
  apply(): SessionUpdate {
    deprecated('session.apply()', 'session.update()')
    return this.update()
  }

  /**
   * A copy of the state between this step and the next. What was learned and the weights are no part of it.
   *
   * @throws {@link MdglError} `'not-finite'` when a membrane or trace has outgrown the precision; `'disposed'`.
   */
  state(): SessionState<P> {
    const engine = this.#alive()
    return guard(() => engine.state()) as SessionState<P>
  }

  /**
   * Puts a state back. What was learned since the last `update` is kept.
   *
   * @param state - From {@link OnlineSession.state}.
   * @throws {@link MdglError} `'invalid'` for a state of another network, rule or precision; `'disposed'`. The session is as before
   * then.
   */
  restore(state: SessionState<P>): void {
    const engine = this.#alive()
    record(state, 'state', STATE)
    // Read once: what was checked is what the engine gets.
    const values = STATE.map(key => [key, state[key]] as const)
    const given = Object.fromEntries(
      values.filter(([key, value]) => !OPTIONAL.includes(key) || value !== undefined)
    ) as unknown as SessionState<'f32'>
    wholeNumber(given.steps, 'state.steps')
    for (const key of STATE) if (key !== 'steps' && !OPTIONAL.includes(key)) checkArray(given[key], key)
    const { variables, inputsInTransit, noise } = given
    if (noise !== undefined) {
      record(noise, 'state.noise', ['trial', 'values'])
      wholeNumber(noise.trial, 'state.noise.trial', 0, 2 ** 32 - 1)
      checkArray(noise.values, 'noise.values')
    }
    if (inputsInTransit !== undefined) {
      record(inputsInTransit, 'state.inputsInTransit', IN_TRANSIT)
      for (const key of IN_TRANSIT) checkArray(inputsInTransit[key], `inputsInTransit.${key}`)
    }
    if (variables !== undefined) {
      const named = Object.entries(object(variables, 'state.variables'))
      for (const [name, values] of named) checkArray(values, `variables.${name}`)
    }
    guard(() => engine.restore(given))
  }

  /**
   * Back to rest, as every trial begins: all state and traces 0, and noise that of another trial. What was learned since the last `update` is kept, so that
   * several trials may be one update.
   *
   * @throws {@link MdglError} `'disposed'`.
   */
  reset(): void {
    const engine = this.#alive()
    guard(() => engine.reset())
  }

  /** Lets go of the model and gives memory back. What was learned since the last update is lost. A second call does nothing. */
  dispose(): void {
    this.#native?.dispose()
    this.#native = undefined
  }

  /** The same as {@link OnlineSession.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }

  #learning(): NativeStream {
    const engine = this.#alive()
    if (!this.#learns) throw invalid('options.rule', undefined, 'a rule, for a session that learns')
    return engine
  }

  #alive(): NativeStream {
    if (this.#native !== undefined) return this.#native
    throw new MdglError({ code: 'disposed', message: 'The session was disposed of and cannot be used any more.' })
  }
}

/**
 * Opens a session on a model of the engine's; the types are those of the model.
 *
 * @internal
 */
export function openSession<D extends NetworkDescription, P extends Precision>(
  model: NativeModel,
  description: WholeDescription,
  options: SessionOptions
): OnlineSession<D, P> {
  return open(model, description, options) as unknown as OnlineSession<D, P>
}

const STATE = [
  'steps',
  'membrane',
  'adaptation',
  'variables',
  'refractory',
  'spikes',
  'inTransit',
  'inputsInTransit',
  'noise',
  'readout',
  'traces'
] as const

/** What a state has only where the network needs it. */
const OPTIONAL: readonly string[] = ['variables', 'inputsInTransit', 'noise']
const IN_TRANSIT = ['events', 'places', 'values'] as const
const WHOLE: readonly string[] = [
  'refractory',
  'spikes',
  'inTransit',
  'inputsInTransit.events',
  'inputsInTransit.places'
]

function byName<T>(names: readonly string[], values: readonly T[]): { [name: string]: T | undefined } {
  return Object.fromEntries(names.map((name, i) => [name, values[i]]))
}

type AnyInput = { readonly [name: string]: Uint32Array | Float64Array | Float32Array | undefined }

function encodeInput(input: AnyInput, name: string, size: number) {
  const given = Object.hasOwn(input, name) ? input[name] : undefined
  if (given === undefined) return undefined
  const path = `input.${name}`
  if (isUint32Array(given)) return ownMemory(given, path)
  if (!isFloatArray(given)) {
    throw invalid(
      path,
      given,
      'a Uint32Array of units that fire, or a Float64Array or Float32Array with a value of each'
    )
  }
  if (ownMemory(given, path).length !== size) throw invalid(path, given, `${size} values, one per unit`)
  return given
}

function refuseUnknown(given: object, path: string, known: readonly { readonly name: string }[]): void {
  const unknown = Object.keys(given).find(key => !known.some(({ name }) => name === key))
  if (unknown !== undefined) throw invalid(path, unknown, list(known.map(({ name }) => name)))
}

function encodeTarget(given: SessionTarget, { name, size }: Readout): Omit<StreamTarget, 'readout'> {
  const path = `targets.${name}`
  const { target, error, weight } = record<{ target?: unknown; error?: unknown; weight?: unknown }>(given, path, [
    'target',
    'error',
    'weight'
  ])
  if ((target === undefined) === (error === undefined)) {
    throw invalid(path, given, "an object with one of 'target' and 'error'")
  }
  const factor = { weight: finite(orDefault(weight, 1), `${path}.weight`) }
  if (typeof target === 'number') return { class: wholeNumber(target, `${path}.target`, 0, size - 1), ...factor }
  if (target !== undefined) return { values: doubles(target, size, `${path}.target`), ...factor }
  return { error: doubles(error, size, `${path}.error`), ...factor }
}

function doubles(given: unknown, size: number, path: string): Float64Array {
  const values = floats(given, path)
  if (values.length !== size) throw invalid(path, given, `${size} values, one per unit`)
  const wrong = values.findIndex(value => !Number.isFinite(value))
  if (wrong >= 0) throw invalid(`${path}[${wrong}]`, values[wrong], 'a finite number')
  return isFloat64Array(values) ? values : Float64Array.from(values)
}

function checkArray(given: unknown, key: string): void {
  const path = `state.${key}`
  const whole = WHOLE.includes(key)
  numbers(given, path)
  const fits = whole ? isUint32Array(given) : isFloatArray(given)
  if (!fits) throw invalid(path, given, whole ? 'a Uint32Array' : 'a Float32Array or Float64Array')
}
