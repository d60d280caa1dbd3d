import { join } from 'node:path'
import { summariseAlignment } from '../compare/alignment.js'
import { summarise } from '../compare/comparison.js'
import { measureOf } from '../compare/measure.js'
import type { ComparedRun, FinishedRun } from '../compare/runs.js'
import { type RuleName, ruleNames } from '../rule/rule.js'
import type { RunSettings } from '../runs/train-run.js'
import { type Arguments, seeds, split, text, threadsOf, UsageError, whole, word, words } from './arguments.js'
import { mergeSweep } from './compare-sweep.js'
import { showAlignment, writeResults } from './comparison-files.js'
import { COMPARE_HELP } from './help.js'
import { uninterrupted } from './interrupt.js'
import { report } from './report.js'
import { shownRun } from './shown-run.js'
import { taskArgument } from './task-argument.js'

export const COMPARE_OPTIONS = {
  rules: { type: 'string' },
  seeds: { type: 'string' },
  iterations: { type: 'string' },
  'batch-size': { type: 'string' },
  'validate-every': { type: 'string' },
  precision: { type: 'string' },
  threads: { type: 'string' },
  alignment: { type: 'boolean' },
  'alignment-every': { type: 'string' },
  sweep: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

const FIG_3C_RULES: readonly RuleName[] = ['bptt', 'eprop', 'mdgl']

/** `mdgl compare TASK`: trains several rules on several seeds; or what a sweep has trained. Table, picture and results. */
export async function compareCommand(args: readonly string[]): Promise<number> {
  const given = split(args, COMPARE_OPTIONS)
  if (given.options.help) {
    console.log(COMPARE_HELP)
    return 0
  }
  if (given.options.sweep !== undefined) return await mergeSweep(given)
  const common = commonOptions(given)
  const out = text(given, 'out') ?? join('runs', `compare-${common.task.name}-${common.iterations}`)
  const chosenSeeds = seeds(given, 'seeds') ?? [1]
  const chosenRules = words(given, 'rules', ruleNames) ?? FIG_3C_RULES
  const planned = chosenSeeds.flatMap(seed => chosenRules.map(rule => ({ ...common, rule, seed })))

  const { result: runs, exitCode } = await uninterrupted(signal => allRuns(planned, out, signal))
  if (runs === undefined) {
    console.error('mdgl: interrupted; the same command continues from here')
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
type CommonOptions = Omit<RunSettings, 'rule' | 'seed'>

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
    batchSize: whole(given, 'batch-size', 1) ?? task.batchSize,
    validateEvery,
    precision: word(given, 'precision', ['f32', 'f64'] as const) ?? 'f32',
    threads: threadsOf(given),
    alignmentEvery: alignmentEvery(given, validateEvery, iterations)
  }
}

/** Iterations between records of the alignment; nothing where none are asked for. */
function alignmentEvery(given: Arguments, validateEvery: number, iterations: number): number | undefined {
  const every = whole(given, 'alignment-every', 1)
  if (given.options.alignment !== true) {
    if (every !== undefined) throw new UsageError('--alignment-every requires --alignment')
    return undefined
  }
  if (every !== undefined && every > iterations) {
    throw new UsageError(`--alignment-every is ${every}; it must be at most --iterations, ${iterations}`)
  }
  return every ?? validateEvery
}

async function allRuns(planned: readonly ComparedRun[], out: string, signal: AbortSignal): Promise<FinishedRun[]> {
  const runs: FinishedRun[] = []
  for (const [i, options] of planned.entries()) {
    const label = `[${i + 1}/${planned.length}] ${options.rule} seed ${options.seed}`
    runs.push(await shownRun({ ...options, signal }, out, label))
  }
  return runs
}
