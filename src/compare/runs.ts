import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { RuleName } from '../rule.js'
import { type Divergence, type RunConfig, RunFolder, readRunFolder } from '../run-folder.js'
import { type AlignmentRecord, readAlignment } from '../runs/alignment-record.js'
import { type RunOptions, runConfig, trainRun } from '../runs/train-run.js'
import type { Metrics } from '../train.js'
import type { Curve } from './curve.js'
import { mean } from './statistics.js'

/** A finished run. */
export interface FinishedRun {
  readonly rule: RuleName
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

/** The folder of a run within a comparison's. */
export const runPath = (out: string, { rule, seed }: Pick<RunOptions, 'rule' | 'seed'>): string =>
  join(out, `${rule}-${seed}`)

/**
 * Uses a finished run's folder again; trains a run that is missing or unfinished, or that lacks the alignment asked for:
 * the weights along a run are not kept, but they come out the same.
 *
 * @throws The reason of the options' signal when it interrupts the run.
 */
export async function finishedRun(
  options: RunOptions,
  out: string,
  onMetrics: (metrics: Metrics) => void
): Promise<FinishedRun> {
  const path = runPath(out, options)
  const reused = (await hasFinished(path, runConfig(options))) && (await hasAlignment(path, options))
  if (!reused) {
    const { interrupted } = await trainRun(options, config => RunFolder.restart(path, config), onMetrics)
    if (interrupted !== undefined) throw options.signal?.reason
  }
  const stored = await readRunFolder(path)
  const metrics = stored?.metrics ?? []
  const diverged = stored?.diverged
  const { rule, seed } = options
  const alignment = options.alignmentEvery === undefined ? null : wanted(await readAlignment(path), options)
  const curve = validationCurve(metrics, path, diverged !== undefined)
  const ended = diverged !== undefined && { diverged }
  return { rule, seed, path, curve, msPerIteration: speed(metrics), ...ended, alignment, reused }
}

/** Whether the alignment was recorded at every iteration asked for, if it is. */
async function hasAlignment(path: string, options: RunOptions): Promise<boolean> {
  const { alignmentEvery, iterations } = options
  if (alignmentEvery === undefined) return true
  const last = (await readRunFolder(path))?.diverged?.iteration ?? iterations
  return wanted(await readAlignment(path), options).length === Math.floor(last / alignmentEvery)
}

/** The records at the iterations asked for, among perhaps more. */
function wanted(records: readonly AlignmentRecord[], { alignmentEvery = 1 }: RunOptions): AlignmentRecord[] {
  return records.filter(({ iteration }) => iteration % alignmentEvery === 0)
}

/** @throws An error for a run of other settings: it is not ours to remove. */
async function hasFinished(path: string, config: RunConfig): Promise<boolean> {
  const stored = await readRunFolder(path)
  if (stored === undefined) return false
  const differing = differences(comparable(stored.config), comparable(config))
  if (differing.length === 0) return stored.finished
  const kind = stored.finished ? 'a finished' : 'an unfinished'
  throw new Error(
    `${path} holds ${kind} run with another ${differing.join(', ')}: choose another --out, or remove that folder`
  )
}

/** A configuration as its file would have it, without what has no effect on the result. */
function comparable(config: RunConfig): Record<string, unknown> {
  const { versions, training, ...rest } = JSON.parse(JSON.stringify(config)) as RunConfig
  return { ...rest, version: versions.mdgl, ...training }
}

function differences(a: Record<string, unknown>, b: Record<string, unknown>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(key => !isDeepStrictEqual(a[key], b[key]))
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
