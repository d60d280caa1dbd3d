import { type FinishedRun, finishedRun } from '../compare/runs.js'
import type { RunSettings } from '../runs/train-run.js'
import { bar, lines, type Progress } from './progress.js'

/** A bar on a terminal, lines in a log. */
const progressOf = (label: string, iterations: number): Progress =>
  (process.stderr.isTTY ? bar : lines)(label, iterations)

/** Uses a run again or trains it, and shows on standard error how it goes and how it ended. */
export async function shownRun(options: RunSettings, out: string, label: string): Promise<FinishedRun> {
  const progress = progressOf(label, options.iterations)
  try {
    const run = await finishedRun(options, out, metrics => progress.update(metrics))
    progress.stop()
    console.error(`${label}  ${endOf(run)}`)
    return run
  } finally {
    progress.stop()
  }
}

/** How a finished run came about and how it ended. */
export function endOf({ reused, diverged, curve }: FinishedRun): string {
  const ends = [reused ? 'used again' : 'done']
  if (diverged !== undefined) ends.push(`diverged at iteration ${diverged.iteration + 1}`)
  return [...ends, `last validation loss ${curve.loss.at(-1)?.toFixed(3)}`].join(', ')
}
