import { availableParallelism } from 'node:os'
import { finishedRun } from '../compare/runs.js'
import { MOST_THREADS } from '../engine/engine-session.js'
import type { Metrics } from '../operations/train.js'
import { lastCheckpoint } from '../runs/checkpoints.js'
import { metricsLine } from '../runs/run-folder.js'
import { shellWord } from '../support/shell-word.js'
import { howEnded, type ItemOutcome, type PoolObserver, runPool } from '../sweep/pool.js'
import { combinationFolder, itemPath, loadSweep, runOf, type Sweep, type SweepItem } from '../sweep/sweep.js'
import { startWorker, type Worker } from '../sweep/worker.js'
import { optimiserOrDefault } from '../task/optimiser.js'
import { defineCommand } from './command.js'
import { interruptible, uninterrupted } from './interrupt.js'
import { flag, type Given, oneArgument, UsageError, whole, words } from './options.js'
import { lines, silent } from './progress.js'
import { endOf, shownRun } from './shown-run.js'
import { sweepFolder } from './sweep-folder.js'

const OPTIONS = {
  index: whole('N', 'run item N alone, in this process; exit codes as of `mdgl train`', 0),
  list: flag('print the items, their indices and folders'),
  count: flag('print the number of items'),
  jobs: whole('N', 'worker processes at a time (default: the cores but one, divided by --threads)', 1),
  threads: whole('N', 'threads of each run (default 1); results do not depend on it', 1, MOST_THREADS),
  retries: whole('N', 'how often an item is tried again whose worker was killed (default 1)', 0),
  out: words('DIR', 'the folder of the runs (default runs/sweep-<plan>)'),
  json: flag('one JSON line per start and end of an item; with --index the metrics')
}

/** What is asked for in place of running all items: each alone. */
const ALONE = ['index', 'list', 'count'] as const

/** Where and how the items of a sweep are run. */
interface Chosen {
  readonly plan: string
  readonly sweep: Sweep
  readonly out: string
  readonly threads: number
  readonly json: boolean
}

/** `mdgl sweep PLAN`: every run of a plan, in worker processes; or one of them. */
export const sweepCommand = defineCommand({
  summary: 'train every combination of rules, seeds and options that a file names',
  usage: ['<plan> [options]', '<plan> --index N [options]'],
  details: `A plan is a JSON file; docs/scale.md describes it in full:

  {
    "schema": "mdgl-sweep/1",
    "task": "evidence-accumulation",
    "rules": ["eprop", "mdgl"],
    "seeds": "1-3",
    "options": { "iterations": 200, "learningRate": [0.001, 0.0025] },
    "taskOptions": { "delay": [400, 800] }
  }

A list among options and taskOptions is an axis; the items are all combinations, 24 here. They are counted from 0; axes change in the order of the file, options before taskOptions, then rules, then seeds: the seed changes fastest. Options are iterations, batchSize, validateEvery, checkpointEvery, alignmentEvery, learningRate, precision, optimiser and regulariser, and parts of these two such as "optimiser.clipNorm".

Items run in worker processes. Each has a run folder below --out; a finished one is used again, an unfinished one continues from its last checkpoint, with the same bits. A worker that is killed is reported, and its item tried again; the others continue. At the end, missing items are listed, with exit code 1; so is an item that another process is running. Ctrl-C ends every worker after its current iteration, with a checkpoint.`,
  options: OPTIONS,
  examples: [
    'mdgl sweep rates.json --jobs 4',
    'mdgl sweep rates.json --list',
    "sbatch --array=0-23 --wrap 'mdgl sweep rates.json --index $SLURM_ARRAY_TASK_ID'",
    'mdgl compare --sweep rates.json'
  ],
  async run(given) {
    checkAlone(given)
    const plan = oneArgument(given.rest, 'a plan is missing: a JSON file')
    const { threads = 1, retries = 1, index, out, json = false, ...options } = given.options
    const jobs = options.jobs ?? Math.max(1, Math.floor((availableParallelism() - 1) / threads))
    const sweep = await loadSweep(plan)
    const common = { plan, sweep, out: out ?? sweepFolder(sweep), threads, json }
    if (options.count) console.log(String(sweep.items.length))
    else if (options.list) list(common)
    else return index === undefined ? await runAll(common, jobs, retries) : await runOne(common, index)
    return 0
  }
})

function checkAlone({ options }: Given<typeof OPTIONS>): void {
  const [first, second] = ALONE.filter(name => options[name] !== undefined)
  if (second !== undefined) throw new UsageError(`--${first} and --${second} exclude each other`)
  const pool = (['jobs', 'retries'] as const).find(name => options[name] !== undefined)
  if (first !== undefined && pool !== undefined) throw new UsageError(`--${pool} cannot be combined with --${first}`)
}

const nameOf = ({ index, label }: SweepItem): string => `item ${index} (${label})`

function list({ sweep: { items }, out, json }: Chosen): void {
  for (const item of items) {
    const { index, rule, seed, label } = item
    const path = itemPath(out, item)
    console.log(json ? JSON.stringify({ index, rule, seed, label, path }) : `${index}  ${label}  ${path}`)
  }
  if (!json) console.log(`${items.length} items, --index 0 to ${items.length - 1}`)
}

/** One item in this process; the exit codes are those of `mdgl train`. */
async function runOne({ sweep: { items }, out, threads, json }: Chosen, index: number): Promise<number> {
  const item = items[index]
  if (item === undefined) throw new UsageError(`--index is ${index}; the plan has the items 0 to ${items.length - 1}`)
  const folder = combinationFolder(out, item.combination)
  const { result: run, exitCode } = await uninterrupted(signal => {
    const options = runOf(item, threads, signal)
    return json
      ? finishedRun(options, folder, metrics => console.log(metricsLine(metrics)))
      : shownRun(options, folder, nameOf(item))
  })
  if (run === undefined) {
    console.error('mdgl: interrupted; the same command continues from here')
    return exitCode
  }
  if (!json) console.log(`Run folder: ${run.path}`)
  if (run.diverged === undefined) return 0
  console.error(`mdgl: the run diverged: ${run.diverged.message}`)
  return 1
}

/** Every item, in worker processes. */
async function runAll(given: Chosen, jobs: number, retries: number): Promise<number> {
  const { sweep, out, threads } = given
  // Its workers leave the warning to the sweep.
  for (const { task, optimiser } of sweep.items.map(item => runOf(item, threads)))
    optimiserOrDefault(optimiser ?? task.optimiser)
  const { result: outcomes, exitCode } = await interruptible(signal => {
    const start = (item: SweepItem) => startItem(given, item)
    return runPool(sweep.items, { out, jobs, retries, signal, start }, observer(given, retries))
  })
  return await conclude(given, outcomes, exitCode)
}

/** A worker runs the item like `mdgl sweep --index`, and reports it line by line. */
function startItem({ plan, out, threads, json }: Chosen, item: SweepItem): Worker {
  const progress = json ? silent : lines(nameOf(item), item.combination.options.iterations)
  const args = ['sweep', plan, '--index', `${item.index}`, '--out', out, '--threads', `${threads}`, '--json']
  const worker = startWorker(args, {
    out: line => progress.update(JSON.parse(line) as Metrics),
    err: line => console.error(`mdgl: ${nameOf(item)}: ${line.replace(/^mdgl: /, '')}`)
  })
  if (json) event(item, { event: 'begun', pid: worker.pid ?? null })
  return worker
}

const event = ({ index, rule, seed, label }: SweepItem, what: object) =>
  console.log(JSON.stringify({ item: index, rule, seed, label, ...what }))

function observer({ out, json }: Chosen, retries: number): PoolObserver {
  return {
    again(item, ended) {
      console.error(
        `mdgl: ${nameOf(item)}: ${howEnded(ended)}; it is tried again from its last checkpoint (--retries ${retries})`
      )
      if (json) event(item, { event: 'again', signal: ended.signal })
    },
    ended(outcome) {
      const { item } = outcome
      if (json) event(item, endEvent(outcome, itemPath(out, item)))
      else console.error(`${nameOf(item)}  ${'run' in outcome ? endOf(outcome.run) : `missing: ${outcome.missing}`}`)
    }
  }
}

function endEvent(outcome: ItemOutcome, path: string): object {
  if (!('run' in outcome)) return { event: 'missing', reason: outcome.missing, path }
  const { reused, curve, diverged = null } = outcome.run
  return { event: reused ? 'used again' : 'done', loss: curve.loss.at(-1) ?? null, diverged, path }
}

/** Says what is there and what is missing; gives the exit code, that of an interruption if there was one. */
async function conclude(
  { plan, out, json }: Chosen,
  outcomes: readonly ItemOutcome[],
  interruption: number
): Promise<number> {
  const finished = outcomes.flatMap(outcome => ('run' in outcome ? [outcome.run] : []))
  const reused = finished.filter(run => run.reused).length
  const diverged = finished.filter(run => run.diverged !== undefined).length
  const merge = `mdgl compare --sweep ${shellWord(plan)} --out ${shellWord(out)}`
  if (!json) {
    const parts = [`${reused} used again`, ...(diverged > 0 ? [`${diverged} diverged`] : [])]
    console.log(`${finished.length} of ${outcomes.length} items are finished (${parts.join(', ')}). Together: ${merge}`)
  }
  for (const outcome of outcomes) {
    if ('run' in outcome || outcome.missing === 'interrupted') continue
    const kept = await lastCheckpoint(itemPath(out, outcome.item))
    const state = kept === undefined ? 'it has no checkpoint' : `its checkpoint after iteration ${kept} is kept`
    console.error(`mdgl: ${nameOf(outcome.item)} is missing: ${outcome.missing}; ${state}`)
  }
  if (finished.length === outcomes.length) return 0
  console.error(`mdgl: ${interruption ? 'interrupted' : 'not finished'}; the same command continues from here`)
  return interruption || 1
}
