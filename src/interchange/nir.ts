import { Model, nativeModel } from '../model/model.js'
import type { NetworkDescription } from '../network/description.js'
import { type ByteSource, type Bytes, bytesOf } from '../support/byte-source.js'
import { oneOf, orDefault, positive, record } from '../support/check.js'
import { filePath } from '../support/file-path.js'
import type { Precision } from '../support/precision.js'
import { writeAside } from '../support/write-aside.js'
import { readableFile } from './file-error.js'
import { Hdf5Thread } from './hdf5-thread.js'
import { toGraph } from './nir-export.js'
import type { NirGraph } from './nir-graph.js'
import { fromGraph } from './nir-import.js'

/** Options of {@link loadNir}. */
export interface NirOptions<P extends Precision> {
  /** The network's step in ms. Default: that of the model which {@link saveNir} wrote, else 1. */
  readonly dt?: number
  /** The unit of the file's time constants and delays. NIR states none; most programs that write it take seconds. Default `'s'`. */
  readonly timeUnit?: 's' | 'ms'
  /** The float type to compute in. Default `'f32'`. */
  readonly precision?: P
}

/**
 * Writes a model as a graph of the Neuromorphic Intermediate Representation, an HDF5 file that other simulators and chips read.
 *
 * | here | there |
 * |---|---|
 * | input | `Input` |
 * | projection | `Linear`, W[receiver][sender], 0 where there is no synapse |
 * | its delay of d > 1 steps | `Delay` of d · dt before it, from an input of (d − 1) · dt; one step, the least there is here, needs none |
 * | several synapses of a pair | a `Linear` for each, `name (2 per pair)`; read again, one projection |
 * | delays that differ by synapse | `Delay` and `Linear` for each number of steps, `name (3 steps)`; read again, one projection |
 * | LIF population | `LIF`, r 1, v_leak 0, v_reset 0 |
 * | current-based LIF population | `CubaLIF`, r 1, w_in 1/(1 − α_s), v_leak 0, v_reset 0 |
 * | readout | `LI`, r 1, v_leak 0; with a bias `Affine` of the identity behind it; `Output` |
 *
 * NIR's equations are continuous: τ v′ = v_leak − v + r I, and v becomes v_reset where it reaches v_threshold. mdgl's cell is
 * their exact solution over a step in which I is constant, v_t = α v_t−1 + (1−α) r I_t, α = exp(−dt/τ), where a spike is 1 for one step, and its reset
 * subtracts v_threshold; in continuous time that is the same as v_reset 0, in steps another program may set v to 0
 * instead. Times are in seconds.
 *
 * `CubaLIF` is τ_syn I′ = −I + w_in S, τ_mem v′ = v_leak − v + r I: solved in the same way, a spike adds (1−α_s) w_in to the current, α_s = exp(−dt/τ_syn),
 * and the membrane takes the current at the end of a step for the whole of it: I_t = α_s I_t−1 + (1−α_s) w_in S_t, v_t = α v_t−1 + (1−α) r I_t.
 *
 * Refused by name, since NIR has no node for them: adaptive cells, rate units, noise and step currents, a refractory period other than 0, a time constant
 * of 0, conventions `'bellec2020'`, names with `'/'`. Kept in metadata, which only {@link loadNir} reads, since they are learning and no dynamics: signs,
 * dampening, pseudo-derivative, cell types, channels, sheet, seed, step, what is plastic, synapses of weight 0. Not kept: the optimiser's
 * state and how weights were drawn (the weights are).
 *
 * Source: Pedersen et al. 2024, Nature Communications 15, 8122; layout of the Python package `nir` 1.0.8.
 *
 * @example
 * ```ts
 * const cells = network({ seed: 1 })
 *   .input('cues', 4)
 *   .lif('cells', 10, { refractoryPeriod: 0 })
 *   .readout('choice', 2)
 *   .project('cues', 'cells', { density: 1 })
 *   .project('cells', 'cells', { density: 0.5, delay: 3 })
 *   .project('cells', 'choice', { density: 1 })
 *   .build();
 * await saveNir(Model.create(cells), 'network.nir');
 * const again = await loadNir('network.nir');
 * console.log(again.description.projections?.map(({ name }) => name));
 * ```
 * @param model - The model; it is not changed.
 * @param path - The file; an existing one is replaced.
 * @throws {@link MdglError} `'invalid'` for a model that NIR cannot express, `'disposed'`; the system's own error where the file cannot be
 * written.
 */
export async function saveNir(model: Model, path: string | URL): Promise<void> {
  nativeModel(model)
  const target = filePath(path)
  await writeAside(target, await encode(model, target))
}

/**
 * A model as the bytes of the file that {@link saveNir} writes.
 *
 * @example
 * ```ts
 * const cells = network().input('cues', 4).lif('cells', 10, { refractoryPeriod: 0 }).readout('choice', 2)
 *   .project('cues', 'cells', { density: 1 }).project('cells', 'choice', { density: 1 }).build();
 * const bytes = await nirToBytes(Model.create(cells));
 * console.log(bytes.length);
 * ```
 * @param model - The model; it is not changed.
 * @throws {@link MdglError} `'invalid'` for a model that NIR cannot express, `'disposed'`.
 */
export async function nirToBytes(model: Model): Promise<Bytes> {
  nativeModel(model)
  return await encode(model, BYTES)
}

async function encode(model: Model, source: string): Promise<Bytes> {
  const graph = toGraph(model)
  using thread = new Hdf5Thread(source)
  return await thread.ask('encodeGraph', graph)
}

/**
 * Reads a graph of the Neuromorphic Intermediate Representation as a model; {@link saveNir} says which node is what, and how its equations
 * become steps.
 *
 * Beyond what `saveNir` writes it takes `Scale`, a resistance r and a current's w_in · (1−α_s) into the weights; an edge without `Linear` joins units one to
 * one; `Affine` without a bias is `Linear`; delays that differ by unit are delays of the projection's synapses, rounded
 * to whole steps, at least one between cells; graphs in the graph are dissolved. Cells have no refractory period.
 *
 * Refused by name: every other node (`CubaLI`, `IF`, `Conv2d`, …), v_leak or v_reset other than 0, a bias before cells or
 * before an `LI` node, an `LI` node with several time constants or one that feeds cells, two matrices in a row, a delay to a
 * readout, an `Output` of weights without `LI`.
 *
 * @example
 * ```ts
 * async function continueTraining(path: string, task: Task) {
 *   const model = await loadNir(path, { dt: 0.5, precision: 'f64' });
 *   for await (const { loss } of train(model, task, { rule: 'mdgl' })) console.log(loss);
 *   await saveNir(model, path);
 * }
 * ```
 * @param path - A `.nir` file.
 * @param options - Step, unit of time and precision.
 * @returns A model with the file's weights.
 * @throws {@link MdglError} `'invalid'` for a graph that mdgl cannot express, or an option that is not allowed; `'file'` for a file that is
 * damaged or no NIR graph; the system's own error where it cannot be read.
 */
export async function loadNir<P extends Precision = 'f32'>(
  path: string | URL,
  options: NirOptions<P> = {}
): Promise<Model<NetworkDescription, P>> {
  const checked = checkOptions(options)
  const file = await readableFile(path)
  using thread = new Hdf5Thread(file)
  return await toModel(await thread.ask('readGraph', file), checked)
}

/**
 * The model in the bytes of a NIR file, as {@link loadNir} reads it.
 *
 * @example
 * ```ts
 * const cells = network().input('cues', 4).lif('cells', 10, { refractoryPeriod: 0 }).readout('choice', 2)
 *   .project('cues', 'cells', { density: 1 }).project('cells', 'choice', { density: 1 }).build();
 * const copy = await nirFromBytes(await nirToBytes(Model.create(cells)));
 * ```
 * @param bytes - All bytes, or a stream of them.
 * @param options - Step, unit of time and precision.
 * @returns A model with the weights of the graph.
 * @throws {@link MdglError} `'invalid'` for a graph that mdgl cannot express, an option that is not allowed, or an argument that is no source of bytes;
 * `'file'` for bytes that are damaged or no NIR graph; an error of the stream unchanged.
 */
export async function nirFromBytes<P extends Precision = 'f32'>(
  bytes: ByteSource,
  options: NirOptions<P> = {}
): Promise<Model<NetworkDescription, P>> {
  const checked = checkOptions(options)
  const whole = await bytesOf(bytes, 'bytes')
  using thread = new Hdf5Thread(BYTES)
  return await toModel(await thread.ask('decodeGraph', whole), checked)
}

/** What errors call a file that has no name. */
const BYTES = 'the bytes'

function checkOptions<P extends Precision>(options: NirOptions<P>) {
  record(options, 'options', ['dt', 'timeUnit', 'precision'])
  const dt = options.dt === undefined ? undefined : positive(options.dt, 'options.dt')
  const timeUnit = oneOf(orDefault(options.timeUnit, 's'), 'options.timeUnit', ['s', 'ms'] as const)
  const precision = oneOf<Precision>(orDefault<Precision | undefined>(options.precision, 'f32'), 'options.precision', [
    'f32',
    'f64'
  ]) as P
  return { dt, milliseconds: timeUnit === 's' ? 1000 : 1, precision }
}

async function toModel<P extends Precision>(graph: NirGraph, options: ReturnType<typeof checkOptions<P>>) {
  const { description, bias } = fromGraph(graph, options)
  const model = await Model.createAsync(description, { precision: options.precision })
  for (const [readout, values] of bias) model.bias.set(readout, values)
  return model
}
