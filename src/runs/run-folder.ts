import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metrics } from '../operations/train.js'
import { codeOf } from '../support/recognise.js'
import { shellWord } from '../support/shell-word.js'
import { writeAside } from '../support/write-aside.js'
import type { CodeFile } from './code-file.js'
import { runFolders } from './folders.js'
import type { Provenance } from './provenance.js'
import { inUse, isLockFile, type LockOptions, RunLock, runOwner } from './run-lock.js'
import { writeFailure } from './write-failure.js'

/** The format of a run folder, part of every config.json. */
export const RUN_FORMAT = 'mdgl-run/1'

/** What config.json holds: all that decides a run's result, in expanded form. */
export interface RunConfig {
  /** The folder's format and its version. */
  readonly format: typeof RUN_FORMAT
  /** Versions of what made the run. */
  readonly versions: Readonly<Record<string, string>>
  /** Whether the engine fuses multiply and add: results agree bit by bit within a class. */
  readonly instructionSetClass: string
  /** The task's name. */
  readonly task: string
  /** The file that it came from, if it is the user's: its path then, its SHA-256, and those of the files that it imports. */
  readonly taskFile?: CodeFile
  /** The options of the task, where it was given any: those that its name does not stand for. */
  readonly taskOptions?: Readonly<Record<string, unknown>>
  /** The learning rule, every part written out; of one of `defineRule` its kind and name. */
  readonly rule: unknown
  /** The file that it came from, if it is the user's, as {@link RunConfig.taskFile}. */
  readonly ruleFile?: CodeFile
  /** The network description, every default filled in. */
  readonly network: unknown
  /** Floating-point type of weights and states. */
  readonly precision: 'f32' | 'f64'
  /** Seed of network and batches. */
  readonly seed: number
  /** Everything else that `train` was given. */
  readonly training: Readonly<Record<string, unknown>>
  /** What is written how often; it changes nothing of the training. Not in folders of before it was kept. */
  readonly recording?: { readonly checkpointEvery: number; readonly alignmentEvery?: number }
  /** When, where and from which state of the user's repository the run began; it decides nothing. Not in folders of before it was kept. */
  readonly provenance?: Provenance
}

/** Anything that can write its weights to a file. */
interface Saveable {
  save(path: string): Promise<void>
}

const CONFIG = 'config.json'
const METRICS = 'metrics.jsonl'
const ALIGNMENT = 'alignment.jsonl'
const WARNINGS = 'warnings.jsonl'
const WEIGHTS = 'weights.safetensors'
const DIVERGED = 'diverged.json'
/** The checksum of the weights, and when they were written. */
const FINISHED = 'finished.json'
/** What a run writes, under its own name or the one it has until it is whole; and the folder of its checkpoints. */
const RUN_FILES =
  /^(?:checkpoints|(?:(?:config|diverged|finished)\.json|(?:metrics|alignment|interventions|warnings)\.jsonl|weights\.safetensors|report\.html)(?:\.[\da-f-]{36}(?:\.tmp)?)?)$/

/**
 * A run folder being written: config.json at once, metrics.jsonl line by line, the weights at the end. Its lock is held until it
 * is closed.
 */
export class RunFolder {
  readonly path: string
  readonly #lock: RunLock
  readonly #metrics: FileHandle
  #open = true

  private constructor(lock: RunLock, metrics: FileHandle) {
    this.path = lock.path
    this.#lock = lock
    this.#metrics = metrics
  }

  /**
   * Starts a run folder. The path may exist as an empty folder.
   *
   * @throws An error for a folder that already holds something, for one that another process writes, and for one that cannot be made
   * or written: nothing is left there then.
   */
  static async create(path: string, config: RunConfig, options: LockOptions = {}): Promise<RunFolder> {
    await makeFolder(path)
    // Nothing is written, not even a lock, where something else lies.
    if ((await content(path)).length > 0) throw await notEmpty(path)
    const lock = await RunLock.acquire(path, options).catch(async error => {
      await rmdir(path).catch(() => undefined)
      throw error
    })
    if ((await content(path)).length > 0) {
      await lock.release()
      throw await notEmpty(path)
    }
    return RunFolder.#start(lock, config)
  }

  /** Starts a run folder anew: a run's files in it go, and nothing else. */
  static async restart(lock: RunLock, config: RunConfig): Promise<RunFolder> {
    const { path } = lock
    const stale = (await readdir(path)).filter(name => RUN_FILES.test(name))
    await Promise.all(stale.map(name => rm(join(path, name), { recursive: true })))
    return RunFolder.#start(lock, config)
  }

  /** Goes on with a run after an iteration: what metrics and alignment say of later ones goes, and where it says that it ended. */
  static async reopen(lock: RunLock, iteration: number): Promise<RunFolder> {
    const { path } = lock
    for (const name of [WEIGHTS, DIVERGED, FINISHED]) await rm(join(path, name), { force: true })
    for (const name of [METRICS, ALIGNMENT, WARNINGS]) await cutBack(join(path, name), iteration)
    return new RunFolder(lock, await open(join(path, METRICS), 'a'))
  }

  static async #start(lock: RunLock, config: RunConfig): Promise<RunFolder> {
    const { path } = lock
    try {
      await writeWhole(join(path, CONFIG), `${JSON.stringify(config, null, 2)}\n`)
      return new RunFolder(lock, await open(join(path, METRICS), 'wx'))
    } catch (error) {
      await rm(join(path, CONFIG), { force: true })
      await lock.release()
      await rmdir(path).catch(() => undefined)
      throw writeFailure(error, join(path, CONFIG))
    }
  }

  /**
   * Makes sure that the folder is still this process's to write.
   *
   * @throws An error where its lock was removed or taken over.
   */
  async check(): Promise<void> {
    await this.#lock.check()
  }

  /**
   * Adds a line to metrics.jsonl.
   *
   * @throws An error where the disk takes no more, where the file was removed, to which the system would still write, and where the
   * folder's lock is not this process's any more.
   */
  async append(metrics: Metrics): Promise<void> {
    const path = join(this.path, METRICS)
    if ((await this.#metrics.stat()).nlink === 0) throw new Error(`${path} was removed while the run went on`)
    await this.check()
    await this.#metrics.appendFile(`${metricsLine(metrics)}\n`).catch(error => {
      throw Object.assign(error, { path })
    })
  }

  /** Writes the weights, whose presence marks the run as finished, and closes the folder. */
  async finish(model: Saveable): Promise<void> {
    await this.check()
    await model.save(join(this.path, WEIGHTS))
    const finished = { weights: await weightsChecksum(this.path), date: new Date().toISOString() }
    await writeWhole(join(this.path, FINISHED), `${JSON.stringify(finished)}\n`)
    await this.close()
  }

  /**
   * Ends a run whose gradient or weights would no longer have been finite: its weights are those of the last completed
   * iteration, and diverged.json says what happened.
   */
  async diverge(model: Saveable, divergence: Divergence): Promise<void> {
    await this.check()
    await writeWhole(join(this.path, DIVERGED), `${JSON.stringify(divergence)}\n`)
    await this.finish(model)
  }

  /** Closes the folder, and leaves the run unfinished unless it was finished. */
  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#metrics.close()
    await this.#lock.release()
  }
}

/** Why a run ended before its last iteration. */
export interface Divergence {
  /** The last completed iteration. */
  readonly iteration: number
  /** What was not finite in the next. */
  readonly message: string
}

/** What {@link readRunFolder} finds. */
export interface StoredRun {
  readonly config: RunConfig
  readonly metrics: readonly Metrics[]
  /** Whether the run reached its end, or diverged. */
  readonly finished: boolean
  /** Where and why it diverged, if it did. */
  readonly diverged?: Divergence
}

/** The SHA-256 of the file of a run's weights. */
async function weightsChecksum(folder: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(join(folder, WEIGHTS)))
    .digest('hex')
}

/** The checksum of a finished run's weights as it was recorded when they were written, or of what is there now. */
export async function recordedWeights(folder: string): Promise<string | undefined> {
  const recorded = parse(await readFile(join(folder, FINISHED), 'utf8').catch(ifMissing('')))
  if (typeof recorded === 'object' && recorded !== null && 'weights' in recorded) return String(recorded.weights)
  return await weightsChecksum(folder).catch(ifMissing(undefined))
}

/**
 * Reads a run folder.
 *
 * @returns `undefined` where there is no folder or an empty one.
 * @throws An error for a folder that is not a run's, or a broken line of metrics.
 */
export async function readRunFolder(path: string): Promise<StoredRun | undefined> {
  const names = await content(path).catch(ifMissing<string[]>([]))
  if (names.length === 0) return undefined
  const config = names.includes(CONFIG) ? parse(await readFile(join(path, CONFIG), 'utf8')) : undefined
  if (!isRunConfig(config)) throw await noRunFolder(path)
  const file = join(path, METRICS)
  const text = await readFile(file, 'utf8').catch(ifMissing(''))
  // A run that was ended from outside may leave half a line behind.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const metrics = whole.split('\n').flatMap((line, i) => (line === '' ? [] : [parseMetrics(line, `${file}:${i + 1}`)]))
  const finished = names.includes(WEIGHTS)
  const divergence = names.includes(DIVERGED) ? parse(await readFile(join(path, DIVERGED), 'utf8')) : undefined
  return {
    config,
    metrics,
    finished,
    ...(finished && divergence !== undefined && { diverged: divergence as Divergence })
  }
}

/** What a folder holds beside its lock. */
async function content(path: string): Promise<string[]> {
  return (await readdir(path)).filter(name => !isLockFile(name))
}

/** That a run cannot begin in a folder; names the process that writes it, if one does. */
async function notEmpty(path: string): Promise<Error> {
  const owner = await runOwner(path)
  return owner === undefined ? new Error(`${path} is not empty: choose another folder for the run`) : inUse(path, owner)
}

/** The folder of a sweep or a comparison holds runs, of which one is to be named. */
async function noRunFolder(path: string): Promise<Error> {
  const what = `${path} is not a run folder of format ${RUN_FORMAT}`
  const [first, ...more] = await runFolders(path)
  if (first === undefined || first === path) return new Error(`${what}: choose another folder`)
  const runs = more.length === 0 ? 'a run' : `${more.length + 1} runs`
  return new Error(
    `${what}, but holds ${runs}: name one, such as ${first} (\`mdgl runs ${shellWord(path)}\` lists them)`
  )
}

/** A line of metrics.jsonl and of `--json`, without its end of line. */
export function metricsLine(metrics: Metrics): string {
  const { iteration, split, loss, accuracy, gradientNorm, msPerIteration, readouts, ...rest } = metrics
  const several = Object.keys(readouts).length > 1 && { readouts }
  return JSON.stringify({ iteration, split, loss, accuracy, gradientNorm, msPerIteration, ...rest, ...several })
}

/** Keeps the lines up to an iteration, whole ones only. */
async function cutBack(path: string, iteration: number): Promise<void> {
  const text = await readFile(path, 'utf8').catch(ifMissing(undefined))
  if (text === undefined) return
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
  const kept = lines.filter(
    line => line !== '' && (parse(line) as { iteration?: number } | undefined)?.iteration !== undefined
  )
  const early = kept.filter(line => (JSON.parse(line) as { iteration: number }).iteration <= iteration)
  await writeWhole(path, early.map(line => `${line}\n`).join(''))
}

async function writeWhole(path: string, text: string): Promise<void> {
  await writeAside(path, new TextEncoder().encode(text))
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch(error => {
    throw writeFailure(error, path)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function parseMetrics(line: string, place: string): Metrics {
  const metrics = parse(line)
  if (typeof metrics !== 'object' || metrics === null) throw new Error(`${place} is no line of metrics`)
  return { readouts: {}, living: {}, ...metrics } as Metrics
}

function isRunConfig(value: unknown): value is RunConfig {
  return typeof value === 'object' && value !== null && 'format' in value && value.format === RUN_FORMAT
}

function ifMissing<T>(fallback: T): (error: unknown) => T {
  return error => {
    if (codeOf(error) === 'ENOENT') return fallback
    throw error
  }
}
