import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import type { NativeModel } from '#native'
import { askEngine } from '../addon/ask-engine.js'
import { guard, native, settle } from '../addon/native.js'
import type { Lesion, NamesOf, NetworkDescription, WholeDescription } from '../network/description.js'
import { packDescription } from '../network/draft.js'
import { inMs } from '../network/duration.js'
import { type ProjectionNames, projectionNames, type ReadoutNames } from '../network/names.js'
import { unpack } from '../network/number-lists.js'
import { type ByteSource, type Bytes, bytesOf } from '../support/byte-source.js'
import { doubles, flag, isObject, oneOf, orDefault, record } from '../support/check.js'
import { invalid, MdglError } from '../support/error.js'
import { filePath } from '../support/file-path.js'
import { ownFolder } from '../support/own-file.js'
import { plainCopy, plainText } from '../support/plain.js'
import type { Precision, Values } from '../support/precision.js'
import { version } from '../support/version.js'
import { writeAside } from '../support/write-aside.js'
import { type OnlineSession, openSession, type SessionOptions } from './online-session.js'
import { ProjectionValues } from './projection-values.js'

/** Options of {@link Model.save} and {@link Model.toBytes}. */
export interface SaveOptions {
  /**
   * Whether the file contains the optimiser's state too: its step count and moments, and what rewiring needs of dead synapses. Training of the
   * loaded model then continues with the same bits. Default false: the file contains description and weights alone.
   */
  readonly optimiser?: boolean
}

/** Options of {@link Model.create}. */
export interface ModelOptions<P extends Precision> {
  /** The float type to compute in. Default `'f32'`. */
  readonly precision?: P
}

/** A model's synaptic weights. During training they are those after the last completed iteration. */
export interface Weights<D extends NetworkDescription, P extends Precision> {
  /** The names of the projections, in the order of the description. */
  names(): readonly ProjectionNames<D>[]
  /**
   * A copy of the weights of a projection.
   *
   * @param projection - Its name.
   * @throws {@link MdglError} `'invalid'` for an unknown name, `'disposed'` after {@link Model.dispose}.
   */
  get(projection: ProjectionNames<D>): ProjectionValues<P>
  /**
   * The delay of each synapse of a projection in ms, given or drawn, in the order of `get`. With a delay of d steps a spike of step t acts at step
   * t + d, an input event of step t at step t + d − 1.
   *
   * @param projection - Its name.
   * @throws {@link MdglError} `'invalid'` for an unknown name, `'disposed'`.
   */
  delays(projection: ProjectionNames<D>): Float64Array
  /**
   * Replaces the weights of a projection.
   *
   * @param projection - Its name.
   * @param values - One finite number per synapse, in the order of `get`.
   * @throws {@link MdglError} `'invalid'` for an unknown name, a wrong number of values, and a value that is not finite, has the wrong sign or is
   * not 0 where a synapse is lesioned; `'busy'` during training and while a session is open; `'disposed'`.
   */
  set(projection: ProjectionNames<D>, values: ArrayLike<number>): void
}

/** The biases of a model's readouts. */
export interface Biases<D extends NetworkDescription, P extends Precision> {
  /**
   * A copy of the biases of a readout, one per unit; empty where the readout has none.
   *
   * @param readout - Its name.
   * @throws {@link MdglError} `'invalid'` for an unknown name, `'disposed'`.
   */
  get(readout: ReadoutNames<D>): Values<P>
  /**
   * Replaces the bias of a readout.
   *
   * @param readout - Its name.
   * @param values - One finite number per unit.
   * @throws {@link MdglError} `'invalid'`, `'busy'` during training and while a session is open, `'disposed'`.
   */
  set(readout: ReadoutNames<D>, values: ArrayLike<number>): void
}

/** What another copy of the package knows a model by: its version, and where it stands. */
const COPY = /* @__PURE__ */ Symbol.for('mdgl.copy')

let handleOf: (model: Model) => NativeModel
let isModel: (value: unknown) => value is Model

/**
 * A network with weights and optimiser state, held by the engine.
 *
 * Its type knows the names of the network's parts and the precision: `model.weights.get('typo')` does not compile.
 *
 * @example
 * ```ts
 * using copy = model.clone();
 * const { pre, post, values } = copy.weights.get('cells->cells');
 * copy.weights.set('cells->cells', values.map(weight => weight / 2));
 * await copy.save('weights.safetensors');
 * const again = await Model.load('weights.safetensors');
 * ```
 */
export class Model<D extends NetworkDescription = NetworkDescription, P extends Precision = Precision>
  implements Disposable
{
  /** The float type the model computes in. */
  readonly precision: P
  /** The synaptic weights. */
  readonly weights: Weights<D, P>
  /** The readouts' biases. */
  readonly bias: Biases<D, P>
  #handle: NativeModel | undefined
  #description: WholeDescription<NamesOf<D>>

  static {
    handleOf = model => model.#alive()
    // A proxy of a model is an instance of the class and has nothing of a model.
    isModel = (value): value is Model => typeof value === 'object' && value !== null && #handle in value
  }

  private constructor(handle: NativeModel, description: WholeDescription) {
    this.#handle = handle
    Object.defineProperty(this, COPY, { get: thisCopy })
    guard(() => handle.watch())
    this.#description = description as WholeDescription<NamesOf<D>>
    this.precision = handle.precision() as P
    this.weights = Object.freeze({
      names: () => projectionNames(this.description) as ProjectionNames<D>[],
      get: (name: string) => this.#weights(name),
      delays: (name: string) => this.#delays(name),
      set: (name: string, values: ArrayLike<number>) => this.#set('setWeights', 'weights', name, values)
    })
    this.bias = Object.freeze({
      get: (name: string) => guard(() => this.#alive().bias(this.#known('bias', name))) as Values<P>,
      set: (name: string, values: ArrayLike<number>) => this.#set('setBias', 'bias', name, values)
    })
  }

  /**
   * Creates a model and draws its connectivity and initial weights from the description's seed.
   *
   * @param description - From {@link network}, from a task, or plain JSON.
   * @param options - The precision.
   * @throws {@link MdglError} `'invalid'` for a description or an option that is not allowed.
   */
  static create<const D extends NetworkDescription, P extends Precision = 'f32'>(
    description: D,
    options: ModelOptions<P> = {}
  ): Model<D, P> {
    const { description: whole, packed, precision } = checkCreate(description, options)
    return new Model<D, P>(
      guard(() => native.NativeModel.create(packed, precision)),
      whole
    )
  }

  /**
   * The same as {@link Model.create}, on a thread of the engine, since drawing the weights of a large network takes long (`'balanced'` weights of a
   * sending population of n neurons: O(n³) for n up to 512, O(n²) above).
   *
   * @example
   * ```ts
   * const model = await Model.createAsync(evidenceAccumulation().network({ seed: 1 }))
   * ```
   * @param description - From {@link network}, from a task, or plain JSON.
   * @param options - The precision.
   * @throws {@link MdglError} `'invalid'` for a description or an option that is not allowed, `'memory'`.
   */
  static async createAsync<const D extends NetworkDescription, P extends Precision = 'f32'>(
    description: D,
    options: ModelOptions<P> = {}
  ): Promise<Model<D, P>> {
    const { description: whole, packed, precision } = checkCreate(description, options)
    return new Model<D, P>(await settle(() => native.NativeModel.createAside(packed, precision)), whole)
  }

  /**
   * Reads a model, with its description, from a file that {@link Model.save} wrote. The optimiser starts anew unless its state was saved.
   *
   * @param path - A safetensors file.
   * @throws {@link MdglError} `'file'` for a file that is no model; the system's own error where it cannot be read.
   */
  static async load(path: string | URL): Promise<Model> {
    const bytes = await readFile(filePath(path))
    try {
      return await Model.#read(bytes)
    } catch (error) {
      if (!(error instanceof MdglError)) throw error
      throw new MdglError({ ...error, message: `${path}: ${error.message}`, cause: error })
    }
  }

  /**
   * Reads a model from the bytes that {@link Model.toBytes} returned or {@link Model.save} wrote: from a database, a bucket, a message of another
   * thread. The optimiser starts anew unless its state was saved.
   *
   * @example
   * ```ts
   * const bytes = await model.toBytes();
   * const copy = await Model.fromBytes(new Blob([bytes]).stream()); // or the body of a response, or a stream of Node
   * ```
   * @param bytes - All bytes, or a stream of them.
   * @throws {@link MdglError} `'invalid'` for an argument that is no source of bytes, `'file'` for bytes that are no model; an error of the stream unchanged.
   */
  static async fromBytes(bytes: ByteSource): Promise<Model> {
    return await Model.#read(await bytesOf(bytes, 'bytes'))
  }

  static async #read(bytes: Uint8Array): Promise<Model> {
    const handle = await settle(() => native.NativeModel.load(bytes))
    return new Model(handle, describe(handle))
  }

  /**
   * Writes description and weights to a file, completely or not at all: it is written under another name and then renamed.
   *
   * @param path - The file; an existing one is replaced.
   * @param options - Whether the optimiser's state is saved, too.
   * @throws {@link MdglError} `'disposed'`; the system's own error where it cannot be written.
   */
  async save(path: string | URL, options: SaveOptions = {}): Promise<void> {
    const optimiser = withOptimiser(options)
    const target = filePath(path)
    await writeAside(target, await settle(() => this.#alive().save(optimiser)))
  }

  /**
   * Description and weights as the bytes of the file that {@link Model.save} writes.
   *
   * @example
   * ```ts
   * const bytes = await model.toBytes({ optimiser: true });
   * console.log(bytes.length, (await Model.fromBytes(bytes)).precision);
   * ```
   * @param options - Whether the optimiser's state is saved, too.
   * @returns The bytes, in a buffer of their own that may be transferred to another thread.
   * @throws {@link MdglError} `'disposed'`, `'memory'`.
   */
  async toBytes(options: SaveOptions = {}): Promise<Bytes> {
    const optimiser = withOptimiser(options)
    // What an addon gave cannot be transferred.
    return new Uint8Array(await settle(() => this.#alive().save(optimiser)))
  }

  /**
   * The description of the network: plain JSON with every default filled in, deeply frozen; its {@link Connections} are copies of the model's own.
   * {@link Model.lesion} replaces it by one with the lesion.
   */
  get description(): WholeDescription<NamesOf<D>> {
    return this.#description
  }

  /**
   * Silences synapses permanently: their weights become 0, they have no gradient, and neither the optimiser nor rewiring restores them, in this
   * model, its clones and its files. Rewiring does not replace them.
   *
   * @example
   * ```ts
   * model.lesion({ projection: 'cells->cells', pre: [0, 0], post: [1, 2] });
   * console.log(model.description.lesions);
   * ```
   * @param lesion - A projection, cell types of sender and receiver, or single pairs of a projection.
   * @throws {@link MdglError} `'invalid'` for a lesion that does not fit the network, `'busy'` during training and while a session is open,
   * `'disposed'`.
   */
  lesion(lesion: Lesion<ProjectionNames<D>, NamesOf<D>['type']>): void {
    const copy = plainCopy(lesion)
    askEngine({ lesion: copy }, () => this.#alive().lesion(plainText(copy)))
    this.#description = describe(this.#alive()) as WholeDescription<NamesOf<D>>
  }

  /**
   * Opens a session, in which the model runs and, with a rule, learns one step per call. Until the session is disposed of, nothing else may
   * change the model.
   *
   * @param options - Rule, optimiser and seed.
   * @throws {@link MdglError} `'invalid'` for a rule whose estimator is not `'online'` or that does not fit the network, and for
   * other options that are not allowed; `'busy'` while the model is being trained or another session is open; `'disposed'`.
   */
  session(options: SessionOptions = {}): OnlineSession<D, P> {
    return openSession<D, P>(this.#alive(), this.description, options)
  }

  /** An independent copy: description, weights and optimiser state. */
  clone(): Model<D, P> {
    return new Model<D, P>(
      guard(() => this.#alive().clone()),
      this.description
    )
  }

  /**
   * Frees the engine's memory now instead of at garbage collection. Later uses throw `'disposed'`;
   * running computations continue; a second call does nothing.
   */
  dispose(): void {
    this.#handle?.dispose()
    this.#handle = undefined
  }

  /** The same as {@link Model.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }

  #alive(): NativeModel {
    if (this.#handle !== undefined) return this.#handle
    throw new MdglError({ code: 'disposed', message: 'The model was disposed of and cannot be used any more.' })
  }

  #weights(name: string): ProjectionValues<P> {
    const { pre, post, rows, columns, values } = guard(() => this.#alive().projection(this.#known('weights', name)))
    return new ProjectionValues(pre, post, values as Values<P>, [rows, columns])
  }

  #delays(name: string): Float64Array {
    const { pre, delays } = guard(() => this.#alive().projection(this.#known('weights', name)))
    return Float64Array.from(pre, (_, i) => inMs(delays[delays.length === 1 ? 0 : i] ?? 1, this.description.dt))
  }

  #known(part: 'weights' | 'bias', name: unknown): string {
    if (part === 'weights') return oneOf(name, 'projection', projectionNames(this.description)) as string
    return oneOf(
      name,
      'readout',
      this.description.readouts.map(readout => readout.name)
    ) as string
  }

  #set(setter: 'setWeights' | 'setBias', part: 'weights' | 'bias', name: string, given: ArrayLike<number>): void {
    const path = `${part}.${this.#known(part, name)}`
    const values = doubles(given, path)
    const wrong = values.findIndex(value => !Number.isFinite(value))
    if (wrong >= 0) throw invalid(`${path}[${wrong}]`, values[wrong], 'a finite number')
    guard(() => this.#alive()[setter](name, values))
  }
}

/** The description of the engine's side. */
function describe(handle: NativeModel): WholeDescription {
  return unpack(guard(() => handle.description())).description
}

function withOptimiser(options: SaveOptions): boolean {
  record(options, 'options', ['optimiser'])
  return flag(orDefault(options.optimiser, false), 'options.optimiser')
}

function checkCreate(description: NetworkDescription, options: ModelOptions<Precision>) {
  record(options, 'options', ['precision'])
  const precision = oneOf(orDefault(options.precision, 'f32'), 'options.precision', ['f32', 'f64'] as const)
  return { ...packDescription(description), precision }
}

/**
 * The engine's side of a model.
 *
 * @internal
 */
export function nativeModel(model: Model): NativeModel {
  if (!isModel(model)) throw noModel(model)
  return handleOf(model)
}

function thisCopy(): string {
  return `version ${version()} at ${fileURLToPath(ownFolder())}`
}

/** Two installed copies of the package have a class each, and an engine each: neither's models are the other's. */
function noModel(value: unknown): MdglError {
  const copy: unknown = isObject(value) && !types.isProxy(value) ? (value as { [COPY]?: unknown })[COPY] : undefined
  if (typeof copy !== 'string') return invalid('model', value, 'a Model')
  const message = `model is a Model of another copy of mdgl, ${copy}; allowed: a Model of this one, ${thisCopy()}. \`npm ls mdgl\` shows both; \`npm dedupe\` may make them one.`
  return new MdglError({ code: 'invalid', message, path: 'model', value, allowed: 'a Model of this copy of mdgl' })
}

/**
 * The constants of a model's equations, as the engine has them.
 *
 * @internal
 */
export function cellConstants(model: Model) {
  const handle = nativeModel(model)
  return guard(() => handle.cellConstants())
}
