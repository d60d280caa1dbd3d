import { mkdir, rmdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Metrics } from '../operations/train.js'
import { type AlignmentRecord, readAlignment } from '../runs/alignment-record.js'
import { readCheckpoint } from '../runs/checkpoints.js'
import { readInterventions } from '../runs/interventions.js'
import { folderName, ruleLabel } from '../runs/rule-label.js'
import { type Divergence, type RunConfig, RunFolder, readRunFolder, type StoredRun } from '../runs/run-folder.js'
import { RunLock } from '../runs/run-lock.js'
import {
  continueRun,
  differences,
  type RunEnd,
  type RunObserver,
  type RunSettings,
  runConfig,
  trainRun
} from '../runs/train-run.js'
import { writeFailure } from '../runs/write-failure.js'
import { mean } from '../support/averages.js'
import type { Curve } from './curve.js'

/** A finished run. */
export interface FinishedRun {
  /** Its name. */
  readonly rule: string
  readonly seed: number
  readonly path: string
  readonly curve: Curve
  readonly msPerIteration: number
  /** Where it diverged, if it did; its curve ends there. */
  readonly diverged?: Divergence
  /** The alignment to BPTT along the run; null where it was not asked for. */
  readonly alignment: readonly AlignmentRecord[] | null
  /** Whether its folder was there already. */
  readonly reused: boolean
}

const warn = (message: string) => console.error(`mdgl: ${message}`)

/** The folder of a run within a comparison's. */
export const runPath = (out: string, run: Pick<RunSettings, 'rule' | 'ruleFile' | 'seed'>): string =>
  join(out, folderName(run))

/**
 * A run that is finished already, with the alignment asked for.
 *
 * @returns `undefined` where it is missing or unfinished.
 * @throws An error for a folder that holds a run of other settings.
 */
export async function keptRun(options: RunSettings, out: string): Promise<FinishedRun | undefined> {
  const path = runPath(out, options)
  const stored = await sameRun(path, runConfig(options))
  const kept = stored?.finished === true && (await hasAlignment(path, options, endOf(stored, options)))
  return kept ? await storedRun(path, stored, options, true) : undefined
}

/**
 * Uses a finished run's folder again; trains a run that is missing or unfinished, or that lacks the alignment asked for:
 * the weights along a run are not kept, but they come out the same.
 *
 * @throws An error where another process writes the run's folder; the reason of the options' signal when it interrupts the run.
 */
export async function finishedRun(
  options: RunSettings,
  out: string,
  onMetrics: (metrics: Metrics) => void
): Promise<FinishedRun> {
  const kept = await keptRun(options, out)
  if (kept !== undefined) return kept
  const path = runPath(out, options)
  const made = await mkdir(path, { recursive: true }).catch(error => {
    throw writeFailure(error, path)
  })
  try {
    return await lockedRun(path, options, out, onMetrics)
  } finally {
    if (made !== undefined) await removeEmpty(path, made)
  }
}

/** Where the options were refused, no folder is left behind: removes those from one up to another that are empty. */
async function removeEmpty(path: string, top: string): Promise<void> {
  for (let folder = resolve(path); folder.startsWith(resolve(top)); folder = dirname(folder)) {
    if (
      !(await rmdir(folder).then(
        () => true,
        () => false
      ))
    )
      return
  }
}

async function lockedRun(
  path: string,
  options: RunSettings,
  out: string,
  onMetrics: (metrics: Metrics) => void
): Promise<FinishedRun> {
  const lock = await RunLock.acquire(path, { warn, signal: options.signal })
  try {
    // Another process may have finished the run before it gave the lock back.
    const finished = await keptRun(options, out)
    if (finished !== undefined) return finished
    const { ending } = await train(lock, options, await readRunFolder(path), {
      metrics: onMetrics,
      warned: message => warn(`${path}: ${message}`)
    })
    if (ending === 'interrupted') throw options.signal?.reason
    return await storedRun(path, await readRunFolder(path), options, false)
  } finally {
    await lock.release()
  }
}

/** What there is to compare of a finished run. */
async function storedRun(
  path: string,
  stored: StoredRun | undefined,
  options: RunSettings,
  reused: boolean
): Promise<FinishedRun> {
  const { metrics = [], diverged } = stored ?? {}
  const { seed } = options
  const rule = ruleLabel(options)
  const alignment = options.alignmentEvery === undefined ? null : wanted(await readAlignment(path), options)
  const curve = validationCurve(metrics, path, diverged !== undefined)
  const ended = diverged !== undefined && { diverged }
  return { rule, seed, path, curve, msPerIteration: speed(metrics), ...ended, alignment, reused }
}

/** Goes on from the last checkpoint of an unfinished run, or begins it anew. */
async function train(
  lock: RunLock,
  options: RunSettings,
  stored: StoredRun | undefined,
  observer: RunObserver
): Promise<RunEnd> {
  const { path } = lock
  const checkpoint = stored?.finished === false ? await readCheckpoint(path, warn) : undefined
  if (checkpoint !== undefined) {
    if (await hasAlignment(path, options, checkpoint.iteration)) {
      const interventions = await readInterventions(path)
      return await continueRun(options, { lock, checkpoint, interventions }, observer)
    }
    checkpoint.model.dispose()
  }
  return await trainRun(options, config => RunFolder.restart(lock, config), observer)
}

/** The last iteration of a finished run. */
const endOf = ({ diverged }: StoredRun, { iterations }: RunSettings) => diverged?.iteration ?? iterations

/** Whether the alignment was recorded at every iteration asked for up to one, if it is. */
async function hasAlignment(path: string, options: RunSettings, last: number): Promise<boolean> {
  const { alignmentEvery } = options
  if (alignmentEvery === undefined) return true
  const records = wanted(await readAlignment(path), options).filter(({ iteration }) => iteration <= last)
  return records.length === Math.floor(last / alignmentEvery)
}

/** The records at the iterations asked for, among perhaps more. */
function wanted(records: readonly AlignmentRecord[], { alignmentEvery = 1 }: RunSettings): AlignmentRecord[] {
  return records.filter(({ iteration }) => iteration % alignmentEvery === 0)
}

/** @throws An error for a run of other settings: it is not ours to remove. */
async function sameRun(path: string, config: RunConfig): Promise<StoredRun | undefined> {
  const stored = await readRunFolder(path)
  if (stored === undefined) return undefined
  const differing = differences(stored.config, config)
  if (differing.length === 0) return stored
  const kind = stored.finished ? 'a finished' : 'an unfinished'
  throw new Error(
    `${path} holds ${kind} run with another ${differing.join(', ')}: choose another --out, or move that folder away`
  )
}

/** A run that diverged before its first validation has its training steps to show. */
function validationCurve(metrics: readonly Metrics[], path: string, diverged: boolean): Curve {
  const found = metrics.filter(({ split }) => split === 'validation')
  const validations = found.length === 0 && diverged ? metrics : found
  if (validations.length === 0) {
    throw new Error(`${path} has no validation: choose --validate-every at most as large as --iterations`)
  }
  return {
    iterations: validations.map(({ iteration }) => iteration),
    loss: validations.map(({ loss }) => loss),
    accuracy: validations.map(({ accuracy }) => accuracy ?? Number.NaN)
  }
}

function speed(metrics: readonly Metrics[]): number {
  return mean(metrics.filter(({ split }) => split === 'train').map(({ msPerIteration }) => msPerIteration))
}
