import { join } from 'node:path'
import { summariseAlignment } from '../compare/alignment.js'
import { summarise } from '../compare/comparison.js'
import type { FinalIterations } from '../compare/curve.js'
import { measureOf } from '../compare/measure.js'
import type { FinishedRun } from '../compare/runs.js'
import type { PictureStyle } from '../plots/picture-style.js'
import { type ChosenRule, loadRule } from '../runs/rule-file.js'
import { ruleLabel, sameName } from '../runs/rule-label.js'
import { ALL_TASK_NAMES } from '../runs/tasks.js'
import type { RunSettings } from '../runs/train-run.js'
import { defineCommand } from './command.js'
import { BATCH_SIZE, ITERATIONS, PRECISION, RULES, STYLE, THREADS, VALIDATE_EVERY } from './common-options.js'
import { mergeSweep } from './compare-sweep.js'
import { showAlignment, writeResults } from './comparison-files.js'
import { uninterrupted } from './interrupt.js'
import { flag, type Given, seeds, UsageError, whole, words } from './options.js'
import { readStyle } from './picture-file.js'
import { report } from './report.js'
import { SET, withSetOption } from './set-option.js'
import { shownRun } from './shown-run.js'
import { anyTaskArgument, DATA } from './task-argument.js'

const FIG_3C_RULES = ['bptt', 'eprop', 'mdgl']

const OPTIONS = {
  rules: RULES,
  data: DATA,
  seeds: seeds('LIST', 'seeds and ranges of seeds (default 1)'),
  iterations: ITERATIONS,
  'batch-size': BATCH_SIZE,
  'validate-every': VALIDATE_EVERY,
  set: SET,
  precision: PRECISION,
  threads: THREADS,
  alignment: flag('record the alignment to BPTT'),
  'alignment-every': whole('N', 'iterations between its records (default: those between validations)', 1),
  'final-iterations': whole(
    'N',
    'the last iterations, whose validations are the final loss (default: the last tenth, at least 10 validations)',
    1
  ),
  style: STYLE,
  sweep: words(
    'PLAN',
    "train nothing: the finished runs of `mdgl sweep PLAN`, one row per combination and rule, learning curves and results.json in each combination's folder, sweep.json above them; exit code 1 where runs are missing"
  ),
  out: words(
    'DIR',
    'the folder of the runs (default runs/compare-<task>-<iterations>); with --sweep that of the sweep (default runs/sweep-<plan>)'
  )
}

/** `mdgl compare TASK`: trains several rules on several seeds; or what a sweep has trained. Table, picture and results. */
export const compareCommand = defineCommand({
  summary: 'train several rules on several seeds; table and learning curves, beside the published results',
  usage: ['<task> [options]', '<file> [options]', '--sweep <plan> [--out DIR] [--style STYLE]'],
  details: `Tasks: ${ALL_TASK_NAMES.join(', ')}

A file (.ts, .mts, .js or .mjs) has a task of your own as its default export; the file of a rule (--rules) has the rule as its default export.

Every run has a folder of its own under --out. A finished one is used again, an unfinished one continues from its last checkpoint: repeat the command to continue after an interruption, or to add rules and seeds. At the end come a table, learning-curves.svg, learning-curves.png and results.json.

With --alignment each run also compares its gradient with that of BPTT at the same weights, on the batch of the validation, in alignment.jsonl of its folder: cosine, angle and ratio of norms, per projection and in total. Training stays the same to the bit; a finished run without these records is trained again. At the end come a table, alignment.svg, alignment.png and alignment.json.`,
  options: OPTIONS,
  examples: [
    'mdgl compare evidence-accumulation --rules bptt,eprop,mdgl --seeds 1-10',
    'mdgl compare evidence-accumulation --rules eprop,mdgl --seeds 1,3 --iterations 200',
    'mdgl compare evidence-accumulation --rules eprop,mdgl,nl-mdgl --seeds 1-5 --alignment --alignment-every 50',
    'mdgl compare ./my-task.ts --rules eprop,mdgl,./my-rule.ts --seeds 1-3',
    'mdgl compare --sweep rates.json'
  ],
  words: ALL_TASK_NAMES,
  async run(given) {
    const { sweep, out, seeds = [1], rules = FIG_3C_RULES } = given.options
    if (sweep !== undefined) return await mergeSweep(given, sweep)
    const common = await commonOptions(given)
    const chosen = await chosenRules(rules)
    const folder = out ?? join('runs', `compare-${common.task.name}-${common.iterations}`)
    const style = await readStyle(given.options.style)
    return await compare(common, chosen, seeds, folder, { finalIterations: given.options['final-iterations'], style })
  }
})

type Chosen = Given<typeof OPTIONS>

async function chosenRules(names: readonly string[]): Promise<ChosenRule[]> {
  const rules: ChosenRule[] = []
  for (const name of names) rules.push(await loadRule(name))
  const same = sameName(rules)
  if (same !== undefined)
    throw new UsageError(`--rules has two rules named '${same}'; each must have a name of its own`)
  return rules
}

/** How results are summarised and drawn. */
interface Shown {
  readonly finalIterations: FinalIterations
  readonly style: PictureStyle | undefined
}

async function compare(
  common: CommonOptions,
  rules: readonly ChosenRule[],
  seeds: readonly number[],
  out: string,
  { finalIterations, style }: Shown
): Promise<number> {
  const planned = seeds.flatMap(seed => rules.map(rule => ({ ...common, ...rule, seed })))
  const { result: runs, exitCode } = await uninterrupted(signal => allRuns(planned, out, signal))
  if (runs === undefined) {
    console.error('mdgl: interrupted; the same command continues from here')
    return exitCode
  }
  // Rules in the order asked for, whatever the order of the runs.
  const names = rules.map(ruleLabel)
  runs.sort((a, b) => names.indexOf(a.rule) - names.indexOf(b.rule))
  const comparison = summarise(common.task.name, common.iterations, runs, await measureOf(common.task), finalIterations)
  const picture = await writeResults(comparison, out, style)
  console.log(`\n${report(comparison)}\n\nLearning curves: ${picture}`)
  if (common.alignmentEvery !== undefined) {
    await showAlignment(summariseAlignment(runs, finalIterations), common, out, finalIterations, style)
  }
  return 0
}

/** What all runs of a comparison share. */
type CommonOptions = Omit<RunSettings, 'rule' | 'ruleFile' | 'seed'>

async function commonOptions({ options, rest }: Chosen): Promise<CommonOptions> {
  const { task, taskFile, taskOptions } = await anyTaskArgument(rest, { data: options.data })
  const { iterations = task.iterations, 'validate-every': validateEvery = task.validateEvery } = options
  if (validateEvery > iterations) {
    throw new UsageError(`--validate-every is ${validateEvery}; it must be at most --iterations, ${iterations}`)
  }
  return {
    ...withSetOption(task, options.set, iterations),
    taskFile,
    taskOptions,
    iterations,
    batchSize: options['batch-size'] ?? task.batchSize,
    validateEvery,
    precision: options.precision ?? 'f32',
    threads: options.threads,
    alignmentEvery: alignmentEvery(options, validateEvery, iterations)
  }
}

/** Iterations between records of the alignment; nothing where none are asked for. */
function alignmentEvery(
  { alignment, 'alignment-every': every }: Chosen['options'],
  validateEvery: number,
  iterations: number
): number | undefined {
  if (alignment === undefined) {
    if (every !== undefined) throw new UsageError('--alignment-every requires --alignment')
    return undefined
  }
  if (every !== undefined && every > iterations) {
    throw new UsageError(`--alignment-every is ${every}; it must be at most --iterations, ${iterations}`)
  }
  return every ?? validateEvery
}

async function allRuns(planned: readonly RunSettings[], out: string, signal: AbortSignal): Promise<FinishedRun[]> {
  const runs: FinishedRun[] = []
  for (const [i, options] of planned.entries()) {
    const label = `[${i + 1}/${planned.length}] ${ruleLabel(options)} seed ${options.seed}`
    runs.push(await shownRun({ ...options, signal }, out, label))
  }
  return runs
}
