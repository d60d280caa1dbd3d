import type { NativeModel, NativeStream, StreamTarget } from '#native'
import { guard, native } from '../addon/native.js'
import type { NamesOf, NetworkDescription, Readout, WholeDescription } from '../network/description.js'
import { find, type InputNames, type ReadoutNames, trainableNames } from '../network/names.js'
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
   * The learning rule: its name, or a rule with the estimator `'online'`. Default: none; the network then runs without learning, which is faster.
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
 * Activity of the input populations in one step; one that is left out is silent.
 *
 * A `Uint32Array` has the indices of the units that fire, in any order; a repeated index counts twice. A `Float64Array` or
 * `Float32Array` has one value per unit. A population may change from one kind to the other at any step.
 */
export type SessionInput<D extends NetworkDescription = WholeDescription> = {
  readonly [Name in InputNames<D>]?: Uint32Array | Float64Array | Float32Array
}

/** Result of one step of a session; later steps do not change the arrays. */
export interface SessionStep<D extends NetworkDescription = WholeDescription, P extends Precision = Precision> {
  /** Indices of the neurons that spiked, ascending, of each recurrent population. */
  readonly spikes: { readonly [Name in PopulationNames<D>]: Uint32Array }
  /** y of each unit, with bias, of each readout. */
  readonly outputs: { readonly [Name in ReadoutNames<D>]: Values<P> }
}

/**
 * Target or error of a readout in the last step.
 *
 * - `target`, a number: the right class. The loss is −log softmax(y)[target], so δ = softmax(y) − onehot(target).
 * - `target`, an array: the right value of each unit. The loss is ½ Σ (y − target)², so δ = y − target.
 * - `error`: δ = ∂E/∂y of each unit, for a loss of your own.
 */
export type SessionTarget =
  | {
      /** A class, or one value per unit. */
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

/** Result of {@link OnlineSession.update}. */
export interface SessionUpdate {
  /** Global norm of the gradient, before clipping. */
  readonly gradientNorm: number
  /** Steps with targets since the last update. */
  readonly steps: number
}

/**
 * State of a session between two steps: everything but the weights on which later steps depend. A plain value: it can be kept,
 * cloned with `structuredClone`, sent to a worker, and restored in any session on the same network with the same rule,
 * frozen projections and precision.
 */
export interface SessionState<P extends Precision = Precision> {
  /** Steps since the start. */
  readonly steps: number
  /** α v − thr z of each neuron, populations end to end: v of the next step without its input. */
  readonly membrane: Values<P>
  /** b of each neuron in the next step. */
  readonly adaptation: Values<P>
  /**
   * State variables that only some models have, by name, one value per neuron, 0 where it has none: `current`, (1−α) α_s c, the
   * synaptic current of the next step without its input. Missing where no neuron has any.
   */
  readonly variables?: { readonly [name: string]: Values<P> }
  /** Number of further steps in which each neuron cannot spike. */
  readonly refractory: Uint32Array
  /** Neurons that spiked in the last step, ascending, numbered through all populations. */
  readonly spikes: Uint32Array
  /**
   * Earlier spikes that have not arrived yet because of delays of more than one step, as pairs: number of steps before the last one, and the
   * neuron; ascending. Empty without such delays.
   */
  readonly inTransit: Uint32Array
  /** Inputs that have not arrived yet. Only where a projection from an input has a delay of more than one step. */
  readonly inputsInTransit?: InputsInTransit<P>
  /** In a network with noise: the number of the trial, and the noise of its last step. */
  readonly noise?: SessionNoise
  /** y without bias, readouts end to end. */
  readonly readout: Values<P>
  /** Eligibility traces of every learning synapse and their filtered forms, in the engine's order. */
  readonly traces: Values<P>
}

/** The noise currents of a session's trial. */
export interface SessionNoise {
  /** Number of the trial, which `reset` increases; each trial has its own noise, drawn from the session's seed. */
  readonly trial: number
  /** n − μ (noise minus its mean) of each neuron with noise or a step current, populations end to end. */
  readonly values: Float64Array
}

/** Inputs of the last steps, as far back as the longest delay; those of the last step, number 0, come first. */
export interface InputsInTransit<P extends Precision = Precision> {
  /** Events as triples: number of steps before the last one, unit (numbered through all inputs), count. */
  readonly events: Uint32Array
  /** Step and unit of each analogue value as pairs: number of steps before the last one, and unit. */
  readonly places: Uint32Array
  /** The analogue values. */
  readonly values: Values<P>
}

let open: (model: NativeModel, description: WholeDescription, options: SessionOptions) => OnlineSession

/**
 * A model that runs and learns step by step, for streams of unlimited length and for agents in an environment; {@link Model.session} opens it.
 *
 * Everything is synchronous, on the caller's thread. Memory does not grow with time. T steps with their targets and one
 * `update` give the same bits as `gradients` and one step of the optimiser for the same trial as a batch of one.
 *
 * While a session is open its model cannot be trained or changed otherwise (`'busy'`). It can be read, evaluated and saved, with
 * the weights after the last `update`.
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
    const names = trainableNames(description)
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
   * @param input - Activity of the input populations; one that is left out is silent.
   * @returns Spikes and readouts of this step.
   * @throws {@link MdglError} `'invalid'` for an unknown population, an index out of range, a wrong number of values or one that is
   * not finite; `'not-finite'` when an output would not be finite; `'memory'`; `'disposed'`. The session's state is then unchanged; after
   * `'not-finite'` the previous step accepts no more targets.
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
   * Gives targets or errors for the last step. The gradient of their loss is added to the gradient accumulated since the last
   * {@link OnlineSession.update}; a step without targets has no error. Several calls for one step add up.
   *
   * The gradient is that of the **sum** of all losses; weight them for a mean: to match `{ kind: 'cross-entropy', window }`, give
   * the last `window` steps a `weight` of 1 / (their number).
   *
   * @param targets - One entry per readout.
   * @returns The loss of these targets, weights included; an `error` counts 0.
   * @throws {@link MdglError} `'invalid'` for an unknown readout, a target or an error that does not fit, in a session without a rule, and without a step
   * since the session's start, the last `update`, `restore` or `reset`; `'not-finite'`; `'disposed'`. Nothing is then added.
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
   * Updates the model's weights with the gradient accumulated since the last update, as one training iteration does: gradient step,
   * signs, l1 and noise, rewiring, with random numbers keyed by the seed and the optimiser's step count. Adam's moments belong to the
   * model. From the next step on the session runs on the new weights and their means; its state and traces continue.
   *
   * It takes about as long as compiling the network; with some dozens of steps between updates this matters little.
   *
   * @throws {@link MdglError} `'not-finite'` when gradient, weights, biases or moments would not be finite: the model is then unchanged, and the
   * accumulated gradient is dropped; `'memory'`; `'disposed'`.
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
   * A copy of the state between this step and the next, without weights and accumulated gradient.
   *
   * @throws {@link MdglError} `'not-finite'` when a membrane or trace is no longer finite; `'disposed'`.
   */
  state(): SessionState<P> {
    const engine = this.#alive()
    return guard(() => engine.state()) as SessionState<P>
  }

  /**
   * Restores a state. The gradient accumulated since the last `update` is kept.
   *
   * @param state - From {@link OnlineSession.state}.
   * @throws {@link MdglError} `'invalid'` for a state of another network, rule or precision; `'disposed'`. The session is then unchanged.
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
   * Returns to the initial state of a trial: all state and traces are 0, and the noise is that of a new trial. The gradient accumulated since the last
   * `update` is kept, so that an update may follow several trials.
   *
   * @throws {@link MdglError} `'disposed'`.
   */
  reset(): void {
    const engine = this.#alive()
    guard(() => engine.reset())
  }

  /** Ends the session, releases the model and frees memory. The gradient accumulated since the last update is lost. A second call does nothing. */
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
