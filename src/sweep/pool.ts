import { type FinishedRun, keptRun } from '../compare/runs.js'
import { inUse, runOwner } from '../runs/run-lock.js'
import { onAbort } from '../support/abort.js'
import { messageOf } from '../support/recognise.js'
import { combinationFolder, itemPath, runOf, type SweepItem } from './sweep.js'
import type { Worker, WorkerEnd } from './worker.js'

/** How a sweep is run. */
export interface PoolOptions {
  readonly out: string
  /** Worker processes at a time. */
  readonly jobs: number
  /** How often an item is tried again whose worker was killed. */
  readonly retries: number
  /** Ends every worker after its current iteration. */
  readonly signal: AbortSignal
  /** Starts an item's worker. */
  start(item: SweepItem): Worker
}

/** Who watches a sweep. */
export interface PoolObserver {
  /** A worker was killed; its item is tried again, from its last checkpoint. */
  again(item: SweepItem, ended: WorkerEnd): void
  ended(outcome: ItemOutcome): void
}

/** What came of an item: its run, or why there is none. */
export type ItemOutcome =
  | { readonly item: SweepItem; readonly run: FinishedRun }
  | { readonly item: SweepItem; readonly missing: string }

/** Brings a sweep's items to their end, each in a process of its own; finished ones are used again. In the items' order. */
export async function runPool(
  items: readonly SweepItem[],
  options: PoolOptions,
  observer: PoolObserver
): Promise<ItemOutcome[]> {
  const outcomes: ItemOutcome[] = []
  const waiting = items.values()
  const work = async () => {
    // The places share one iterator: each takes the next item that is free.
    for (const item of waiting) {
      const outcome = await settle(item, options, observer)
      outcomes.push(outcome)
      observer.ended(outcome)
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, work))
  return outcomes.sort((a, b) => a.item.index - b.item.index)
}

/** An item that fails leaves the others alone. */
async function settle(item: SweepItem, options: PoolOptions, observer: PoolObserver): Promise<ItemOutcome> {
  try {
    return await bring(item, options, observer)
  } catch (error) {
    return { item, missing: messageOf(error) }
  }
}

async function bring(item: SweepItem, options: PoolOptions, observer: PoolObserver): Promise<ItemOutcome> {
  const { out, retries, signal } = options
  let ended: WorkerEnd | undefined
  for (let started = 0; ; started++) {
    // What is in the folder decides, whatever the worker's end was.
    const run = await keptRun(runOf(item, 1), combinationFolder(out, item.combination))
    if (run !== undefined) return { item, run: { ...run, reused: started === 0 } }
    if (signal.aborted) return { item, missing: 'interrupted' }
    if (ended !== undefined) {
      if (!wasKilled(ended) || started > retries) return { item, missing: await whyMissing(item, out, ended) }
      observer.again(item, ended)
    }
    ended = await finish(options.start(item), signal)
  }
}

/** Another sweep, or a run of its own, may have the item's folder; it is not for this one to end it. */
async function whyMissing(item: SweepItem, out: string, ended: WorkerEnd): Promise<string> {
  const path = itemPath(out, item)
  const owner = await runOwner(path)
  return owner === undefined ? howEnded(ended) : inUse(path, owner).message
}

async function finish(worker: Worker, signal: AbortSignal): Promise<WorkerEnd> {
  const stop = onAbort(signal, () => worker.stop())
  try {
    return await worker.ended
  } finally {
    stop()
  }
}

/** From outside, or by its own engine; an error of the run would come again. */
const wasKilled = ({ code, signal }: WorkerEnd): boolean => signal !== null || INTERRUPTED.includes(code)

/** The exit codes of a worker that was asked to end, by Ctrl-C or SIGTERM. */
const INTERRUPTED: readonly (number | null)[] = [130, 143]

/** How a worker ended, in words. */
export function howEnded({ code, signal, unstarted }: WorkerEnd): string {
  if (unstarted !== undefined) return `its worker could not be started (${unstarted})`
  if (signal !== null) return `its worker was killed by ${signal}`
  return INTERRUPTED.includes(code) ? 'its worker was stopped from outside' : `its worker failed with exit code ${code}`
}
