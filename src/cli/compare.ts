import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alignmentJson, type PartAlignment, summariseAlignment } from '../compare/alignment.js'
import { type Comparison, resultsJson, summarise } from '../compare/comparison.js'
import { measureOf } from '../compare/measure.js'
import { type ComparedRun, type FinishedRun, finishedRun } from '../compare/runs.js'
import { type RuleName, ruleNames } from '../rule.js'
import type { RunOptions } from '../runs/train-run.js'
import { alignmentReport } from './alignment-report.js'
import { type Arguments, seeds, split, text, UsageError, whole, word, words } from './arguments.js'
import { COMPARE_HELP } from './help.js'
import { interruptible } from './interrupt.js'
import { bar, lines } from './progress.js'
import { report } from './report.js'
import { taskArgument } from './task-argument.js'

const OPTIONS = {
  rules: { type: 'string' },
  seeds: { type: 'string' },
  iterations: { type: 'string' },
  batch: { type: 'string' },
  'validate-every': { type: 'string' },
  precision: { type: 'string' },
  threads: { type: 'string' },
  alignment: { type: 'boolean' },
  'alignment-every': { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

const FIG_3C_RULES: readonly RuleName[] = ['bptt', 'eprop', 'mdgl']

/** `mdgl compare TASK`: trains several rules on several seeds; table, picture and results. */
export async function compareCommand(args: readonly string[]): Promise<number> {
  const given = split(args, OPTIONS)
  if (given.options.help) {
    console.log(COMPARE_HELP)
    return 0
  }
  const common = commonOptions(given)
  const out = text(given, 'out') ?? join('runs', `compare-${common.task.name}-${common.iterations}`)
  const chosenSeeds = seeds(given, 'seeds') ?? [1]
  const chosenRules = words(given, 'rules', ruleNames) ?? FIG_3C_RULES
  const planned = chosenSeeds.flatMap(seed => chosenRules.map(rule => ({ ...common, rule, seed })))

  const { result: runs, exitCode } = await interruptible(signal => allRuns(planned, out, signal))
  if (runs === undefined) {
    console.error('mdgl: interrupted; the same command goes on from here')
    return exitCode
  }
  // Rules in the order asked for, whatever the order of the runs.
  runs.sort((a, b) => chosenRules.indexOf(a.rule) - chosenRules.indexOf(b.rule))
  const comparison = summarise(common.task.name, common.iterations, runs, await measureOf(common.task))
  const picture = await writeResults(comparison, out)
  console.log(`\n${report(comparison)}\n\nLearning curves: ${picture}`)
  if (common.alignmentEvery !== undefined) await showAlignment(summariseAlignment(runs), common, out)
  return 0
}

/** What all runs of a comparison share. */
type CommonOptions = Omit<RunOptions, 'rule' | 'seed'>

function commonOptions(given: Arguments): CommonOptions {
  const task = taskArgument(given.rest)
  const iterations = whole(given, 'iterations', 1) ?? task.iterations
  const validateEvery = whole(given, 'validate-every', 1) ?? task.validateEvery
  if (validateEvery > iterations) {
    throw new UsageError(`--validate-every is ${validateEvery}; it must be at most --iterations, ${iterations}`)
  }
  return {
    task,
    iterations,
    batchSize: whole(given, 'batch', 1) ?? task.batchSize,
    validateEvery,
    precision: word(given, 'precision', ['f32', 'f64'] as const) ?? 'f32',
    threads: whole(given, 'threads', 1),
    alignmentEvery: alignmentEvery(given, validateEvery, iterations)
  }
}

/** Iterations between records of the alignment; nothing where none are asked for. */
function alignmentEvery(given: Arguments, validateEvery: number, iterations: number): number | undefined {
  const every = whole(given, 'alignment-every', 1)
  if (given.options.alignment !== true) {
    if (every !== undefined) throw new UsageError('--alignment-every is of use with --alignment only')
    return undefined
  }
  if (every !== undefined && every > iterations) {
    throw new UsageError(`--alignment-every is ${every}; it must be at most --iterations, ${iterations}`)
  }
  return every ?? validateEvery
}

/** @returns Nothing when the signal interrupted them. */
async function allRuns(
  planned: readonly ComparedRun[],
  out: string,
  signal: AbortSignal
): Promise<FinishedRun[] | undefined> {
  const runs: FinishedRun[] = []
  try {
    for (const [i, options] of planned.entries()) {
      runs.push(await oneRun({ ...options, signal }, out, `${i + 1}/${planned.length}`))
    }
    return runs
  } catch (error) {
    if (signal.aborted && error === signal.reason) return undefined
    throw error
  }
}

async function oneRun(options: ComparedRun, out: string, position: string): Promise<FinishedRun> {
  const label = `[${position}] ${options.rule} seed ${options.seed}`
  const progress = (process.stderr.isTTY ? bar : lines)(label, options.iterations)
  try {
    const run = await finishedRun(options, out, metrics => progress.update(metrics))
    progress.stop()
    const ends = [run.reused ? 'used again' : 'done']
    if (run.diverged !== undefined) ends.push(`diverged at iteration ${run.diverged.iteration + 1}`)
    const loss = run.curve.loss.at(-1)?.toFixed(3)
    console.error(`${label}  ${ends.join(', ')}, last validation loss ${loss}`)
    return run
  } finally {
    progress.stop()
  }
}

/** Prints the table of the alignment, and writes its figures and its picture. */
async function showAlignment(parts: readonly PartAlignment[], common: CommonOptions, out: string): Promise<void> {
  const [{ alignmentCurves }, { toPng }] = await Promise.all([
    import('../plots/alignment-curves.js'),
    import('../plots/png.js')
  ])
  const { task, iterations, validateEvery, alignmentEvery: every = validateEvery } = common
  const svg = alignmentCurves(parts, iterations)
  const picture = join(out, 'alignment.png')
  await writeFile(join(out, 'alignment.json'), alignmentJson(task.name, every, parts))
  await writeFile(join(out, 'alignment.svg'), svg)
  await writeFile(picture, toPng(svg))
  console.log(`\n${alignmentReport(parts, every)}\n\nAlignment: ${picture}`)
}

/** @returns The path of the PNG picture. */
async function writeResults(comparison: Comparison, out: string): Promise<string> {
  // The plotting libraries are slow to load, and only this needs them.
  const [{ learningCurves }, { toPng }] = await Promise.all([
    import('../plots/learning-curves.js'),
    import('../plots/png.js')
  ])
  await mkdir(out, { recursive: true })
  const svg = learningCurves(comparison)
  const picture = join(out, 'learning-curves.png')
  await writeFile(join(out, 'results.json'), resultsJson(comparison))
  await writeFile(join(out, 'learning-curves.svg'), svg)
  await writeFile(picture, toPng(svg))
  return picture
}
