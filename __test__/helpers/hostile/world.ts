import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Batch,
  defineRule,
  evaluate,
  gradients,
  Model,
  type NetworkDescription,
  network,
  type OnlineSession,
  saveNir,
  type Task,
  train,
  writeNpy,
  writeNpz
} from '../../../src/index.js'
import { writeCheckpoint } from '../../../src/runs/checkpoints.js'
import { Own } from './values.js'

const STEPS = 12
const TRIALS = 3

/** A network that has one of everything, and is so small that a call takes a millisecond. */
export function description(): NetworkDescription {
  return network({ seed: 5, sheet: { width: 4, height: 3 } })
    .input('cues', 4, { sign: { excitatory: 3, inhibitory: 1 } })
    .input('noise', 2)
    .lif('cells', 5, { sign: { excitatory: 4, inhibitory: 1 }, threshold: [0.01, 0.02, 0.01, 0.01, 0.03] })
    .alif('slow', 3, { sign: 'excitatory', adaptationTimeConstant: 100 })
    .readout('choice', 2, { bias: true })
    .type('a', { cells: { from: 0, to: 3 } })
    .type('b', { cells: [3, 4], slow: 'all' })
    .project('cues', 'cells', { density: 1 })
    .project('noise', 'slow', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.1 } })
    .project('cells', 'cells', { density: 0.6 })
    .project('cells', 'slow', { density: 0.5, delay: 2 })
    .project('slow', 'cells', { connections: { pre: [0, 1, 2], post: [1, 2, 4], values: [0.2, 0.1, 0.4] } })
    .project('cells', 'choice', { density: 1 })
    .channel({ from: 'a', to: 'b' })
    .channel({ from: 'b', to: 'a', gain: 0.5, reach: 'nonlocal', kernel: { tauRise: 2, tauDecay: 5 } })
    .build()
}

/** A network that NIR can express. */
export function plainDescription(): NetworkDescription {
  return network({ seed: 2 })
    .input('in', 3)
    .lif('cells', 4, { refractoryPeriod: 0 })
    .readout('out', 2)
    .project('in', 'cells', { density: 1 })
    .project('cells', 'out', { density: 1 })
    .build()
}

/** Rates, events and values; classes. */
export function batch(): Batch {
  const rates = Array.from({ length: TRIALS }, (_, trial) => ({
    trial,
    units: [0, 4] as const,
    from: 0,
    to: STEPS,
    rate: 400
  }))
  return {
    length: STEPS,
    trials: TRIALS,
    inputs: { cues: { rates }, noise: { events: Uint32Array.of(0, 1, 0, 1, 3, 1, 2, 5, 0) } },
    targets: [0, 1, 1]
  }
}

/** The same with values in place of events, and trials of different lengths. */
export function analogueBatch(): Batch {
  const analogue = Float64Array.from({ length: TRIALS * STEPS * 2 }, (_, i) => ((i % 5) - 2) / 20)
  return {
    length: [STEPS, STEPS - 2, STEPS - 4],
    inputs: { noise: { analogue }, cues: { events: [[0, 1, 0]] } },
    targets: Float64Array.from({ length: TRIALS * STEPS * 2 }, (_, i) => (i % 3) / 3)
  }
}

export const crossEntropy = { kind: 'cross-entropy', window: 4 } as const

/** A custom loss that pulls every readout to 0. */
export const customLoss = () => ({
  kind: 'custom' as const,
  evaluate: ({ values }: { readonly values: ArrayLike<number> }) => ({
    loss: Array.from(values).reduce((sum, value) => sum + value ** 2 / 2, 0),
    delta: Float64Array.from(values),
    accuracy: 0.5
  })
})

/** A rule of one's own: e-prop. */
export const customRule = () => ({
  kind: 'custom' as const,
  name: 'own',
  signal: ({ learningSignal }: { readonly learningSignal: Float32Array | Float64Array }) => learningSignal.slice()
})

/** A task with every option. */
export function task(): Task {
  return {
    name: 'hostile',
    loss: { ...crossEntropy },
    regulariser: { strength: 0.1, targetRate: 10 },
    optimiser: { kind: 'adam', learningRate: 0.01, decay: { factor: 0.5, every: 2 }, clipNorm: 1 },
    iterations: 3,
    batchSize: 3,
    validateEvery: 2,
    network: () => description(),
    batch: () => batch()
  }
}

/** Files that are as they should be. */
export interface Files {
  readonly folder: string
  readonly weights: string
  readonly npy: string
  readonly npz: string
  readonly idx: string
  readonly nir: string
  readonly digits: string
  readonly spoken: string
  readonly checkpoint: string
}

/** Six recordings of the layout of the Heidelberg digits; `fixtures/README.md` says what made it. */
const SPOKEN = fileURLToPath(new URL('../../fixtures/hostile/spoken.h5', import.meta.url))

/** Makes a folder with one valid file of each format, and goes there. */
export async function makeFiles(): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-hostile-'))
  const files = {
    folder,
    weights: join(folder, 'weights.safetensors'),
    npy: join(folder, 'values.npy'),
    npz: join(folder, 'values.npz'),
    idx: join(folder, 'images-idx2-ubyte'),
    nir: join(folder, 'graph.nir'),
    digits: join(folder, 'digits'),
    spoken: SPOKEN,
    checkpoint: ''
  }
  // What names no folder is written here, and threads look up what Node was started with from here.
  await symlink(fileURLToPath(new URL('../../../node_modules', import.meta.url)), join(folder, 'node_modules'))
  process.chdir(folder)
  await mkdir(join(files.digits, '3'), { recursive: true })
  await writeFile(join(files.digits, '3/00001.bin'), Uint8Array.of(1, 2, 128, 0, 9, 3, 240, 0, 0, 0, 5, 6, 0, 1, 0))
  using model = Model.create(description())
  await model.save(files.weights, { optimiser: true })
  using plain = Model.create(plainDescription())
  await saveNir(plain, files.nir)
  await writeNpy(files.npy, { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] })
  await writeFile(files.idx, Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 7, 9))
  await writeNpz(files.npz, { a: Uint8Array.of(1, 0), b: { data: Float64Array.of(1), shape: [] } })
  using run = Model.create(description())
  await mkdir(join(folder, 'run'))
  return { ...files, checkpoint: await writeCheckpoint(join(folder, 'run'), run, 3) }
}

/** Takes the folder away. */
export async function removeFiles({ folder }: Files): Promise<void> {
  process.chdir(tmpdir())
  await rm(folder, { recursive: true, force: true })
}

/** What one call is made in: a model and a session of its own, and a signal that ends what would take long. */
export class World implements Disposable {
  readonly files: Files
  readonly model: Model = Model.create(description())
  /** The weights after the last iteration that was told of. */
  told: string
  /** Whether a callback changed the model on purpose. */
  touched = false
  readonly #stop = new AbortController()
  readonly #timer: NodeJS.Timeout
  #session: OnlineSession | undefined

  constructor(files: Files, patience: number) {
    this.files = files
    this.told = weightsOf(this.model)
    this.#timer = setTimeout(() => this.#stop.abort(new Own('the call took too long')), patience)
  }

  /** Ends what takes long. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** A session in the middle of a trial. */
  get session(): OnlineSession {
    this.#session ??= this.#begin()
    return this.#session
  }

  #begin(): OnlineSession {
    const session = this.model.session({ rule: 'mdgl-online' })
    session.step({ cues: Uint32Array.of(0, 1, 2, 3), noise: Float64Array.of(0.5, 0.5) })
    session.addLoss({ choice: { target: 1 } })
    return session
  }

  /** What the session and the model are at the moment. */
  state(): string {
    const state = this.#session?.state()
    return weightsOf(this.model) + (state === undefined ? '' : JSON.stringify(Object.values(state).map(bits)))
  }

  /** The caller has heard of an iteration: a later failure must leave the model as it is now. */
  remember(): void {
    this.told = this.state()
  }

  /** Uses the library from within a callback of the caller's own. Promises are left to themselves. */
  reenter(which: number): unknown {
    const quiet = (promise: Promise<unknown>) => void promise.catch(() => undefined)
    const ways = [
      () => this.#touch(() => this.model.dispose()),
      // It may come to its first iteration, or find the model busy.
      () => this.#touch(() => quiet(train(this.model, task(), { rule: 'mdgl', signal: this.signal }).next())),
      () => this.#touch(() => this.model.weights.set('slow->cells', [0.1, 0.2, 0.3])),
      () => quiet(evaluate(this.model, batch(), { loss: crossEntropy, signal: this.signal })),
      () =>
        quiet(
          gradients(this.model, batch(), { rule: defineRule(customRule()), loss: crossEntropy, signal: this.signal })
        ),
      () => this.model.session({ rule: 'eprop-online' }).dispose(),
      () => this.#stop.abort(new Own('aborted from within')),
      () => this.model.clone().dispose()
    ]
    return ways[which % ways.length]?.()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#stop.abort(new Own('the call is over'))
    this.#session?.dispose()
    this.model.dispose()
  }

  #touch(body: () => void): void {
    this.touched = true
    body()
  }
}

/** All weights and biases, to the last bit; a word for a model that was disposed of. */
export function weightsOf(model: Model): string {
  try {
    const projections = (model.description.projections ?? []).map(({ name = '' }) => model.weights.get(name).values)
    const biases = (model.description.readouts ?? []).map(({ name }) => model.bias.get(name))
    return JSON.stringify([...projections, ...biases].map(bits))
  } catch {
    return 'disposed'
  }
}

function bits(values: unknown): unknown {
  return ArrayBuffer.isView(values)
    ? Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex')
    : values
}
