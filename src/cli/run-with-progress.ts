import type { Metrics } from '../operations/train.js'
import { RunControl } from '../runs/control.js'
import { ruleLabel } from '../runs/rule-label.js'
import { metricsLine, type RunConfig, RunFolder } from '../runs/run-folder.js'
import type { RunEnd, RunObserver, RunSettings } from '../runs/train-run.js'
import { shellWord } from '../support/shell-word.js'
import { uninterrupted } from './interrupt.js'
import { type LiveOptions, startLive } from './live.js'
import { bar, lines, type Progress, silent } from './progress.js'

/** How a run is shown. */
export interface DisplayOptions {
  /** Metrics as JSON lines on standard output. */
  readonly json: boolean
  /** A page in the browser; nothing where none is wanted. */
  readonly live: LiveOptions | undefined
}

/** Runs `train` with a progress display, reports how it ended, and returns the exit code. */
export async function runWithProgress(
  options: RunSettings,
  { json, live }: DisplayOptions,
  train: (options: RunSettings, observer: RunObserver) => Promise<RunEnd>
): Promise<number> {
  const control = new RunControl()
  const page = live === undefined ? undefined : await startLive(options, control, live)
  const progress = json ? silent : progressFor(options)
  let final: Metrics | undefined
  const metrics = (line: Metrics) => {
    if (json) console.log(metricsLine(line))
    progress.update(line)
    page?.run.metrics(line)
    if (line.split === 'validation' || final?.split !== 'validation') final = line
  }
  const observer: RunObserver = {
    control,
    metrics,
    started: async run => page?.run.started(run),
    aligned: record => page?.run.aligned(record),
    warned: message => {
      warn(message)
      page?.run.warned(message)
    },
    between: async iteration => page?.run.between(iteration)
  }
  try {
    const { result: end, exitCode } = await uninterrupted(signal => train({ ...options, signal }, observer))
    progress.stop()
    if (end === undefined) {
      console.error('mdgl: interrupted before the run began')
      return exitCode
    }
    page?.run.describe(end.ending === 'finished' ? 'finished' : end.ending === 'diverged' ? 'failed' : 'stopped')
    if (end.ending !== 'interrupted') await writeRunReport(end.path)
    return report(end, options, final, { json, exitCode })
  } finally {
    progress.stop()
    await page?.close()
  }
}

const warn = (message: string) => console.error(`mdgl: ${message}`)

/** Starts a run's folder. */
export const newRun = (path: string, config: RunConfig, { signal }: RunSettings): Promise<RunFolder> =>
  RunFolder.create(path, config, { warn, signal })

/** Writes the run's page; the run is what counts, and it has ended well even if that fails. */
async function writeRunReport(path: string): Promise<void> {
  // The plotting libraries are slow to load.
  const { writeReport } = await import('../plots/run-report.js')
  await writeReport(path, warn).catch((error: Error) => warn(`the report could not be written: ${error.message}`))
}

function report(
  end: RunEnd,
  options: RunSettings,
  final: Metrics | undefined,
  { json, exitCode }: { readonly json: boolean; readonly exitCode: number }
): number {
  switch (end.ending) {
    case 'finished':
      if (!json) console.log(summary(options, end.path, final))
      return 0
    case 'diverged':
      console.error(
        `mdgl: the run diverged: in iteration ${end.iteration + 1} ${end.reason} The weights of the last completed iteration are in ${end.path}; \`mdgl resume ${end.path}\` prints how to continue`
      )
      return 1
    case 'stopped':
      console.error(
        `mdgl: stopped after iteration ${end.iteration}; \`mdgl resume ${shellWord(end.path)}\` continues from there`
      )
      return 0
    case 'interrupted':
      console.error(
        `mdgl: interrupted after iteration ${end.iteration}; \`mdgl resume ${shellWord(end.path)}\` continues from there`
      )
      return exitCode
  }
}

function progressFor(settings: RunSettings): Progress {
  const { seed, iterations } = settings
  return (process.stderr.isTTY ? bar : lines)(`${ruleLabel(settings)} seed ${seed}`, iterations)
}

function summary(settings: RunSettings, path: string, final: Metrics | undefined): string {
  const { seed, iterations } = settings
  const run = `${ruleLabel(settings)}, seed ${seed}: ${iterations} iterations`
  const split = final?.split === 'validation' ? 'validation' : 'training'
  return `${run}${final === undefined ? '' : `, last ${split} loss ${final.loss.toFixed(4)}`}. Run folder: ${path}`
}
