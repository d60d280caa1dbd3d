import { availableParallelism } from 'node:os'
import { finishedRun, runPath } from '../compare/runs.js'
import type { Metrics } from '../operations/train.js'
import { lastCheckpoint } from '../runs/checkpoints.js'
import { metricsLine } from '../runs/run-folder.js'
import { shellWord } from '../support/shell-word.js'
import { howEnded, type ItemOutcome, type PoolObserver, runPool } from '../sweep/pool.js'
import { cellFolder, loadSweep, runOf, type Sweep, type SweepItem } from '../sweep/sweep.js'
import { startWorker, type Worker } from '../sweep/worker.js'
import { type Arguments, split, text, threadsOf, UsageError, whole } from './arguments.js'
import { SWEEP_HELP } from './help.js'
import { interruptible, uninterrupted } from './interrupt.js'
import { lines, silent } from './progress.js'
import { endOf, shownRun } from './shown-run.js'
import { sweepFolder } from './sweep-folder.js'

export const SWEEP_OPTIONS = {
  index: { type: 'string' },
  list: { type: 'boolean' },
  count: { type: 'boolean' },
  jobs: { type: 'string' },
  retries: { type: 'string' },
  threads: { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
} as const

/** What is asked for in place of running all items: each alone. */
const ALONE = ['index', 'list', 'count'] as const

/** Where and how the items of a sweep are run. */
interface Given {
  readonly plan: string
  readonly sweep: Sweep
  readonly out: string
  readonly threads: number
  readonly json: boolean
}

/** `mdgl sweep PLAN`: every run of a plan, in worker processes; or one of them. */
export async function sweepCommand(args: readonly string[]): Promise<number> {
  const given = split(args, SWEEP_OPTIONS)
  if (given.options.help) {
    console.log(SWEEP_HELP)
    return 0
  }
  checkAlone(given)
  const plan = planArgument(given.rest)
  const threads = threadsOf(given) ?? 1
  const jobs = whole(given, 'jobs', 1) ?? Math.max(1, Math.floor((availableParallelism() - 1) / threads))
  const retries = whole(given, 'retries', 0) ?? 1
  const index = whole(given, 'index', 0)
  const sweep = await loadSweep(plan)
  const common = {
    plan,
    sweep,
    out: text(given, 'out') ?? sweepFolder(sweep),
    threads,
    json: given.options.json === true
  }
  if (given.options.count === true) console.log(String(sweep.items.length))
  else if (given.options.list === true) list(common)
  else return index === undefined ? await runAll(common, jobs, retries) : await runOne(common, index)
  return 0
}

function checkAlone({ options }: Arguments): void {
  const [first, second] = ALONE.filter(name => options[name] !== undefined)
  if (second !== undefined) throw new UsageError(`--${first} and --${second} exclude each other`)
  const pool = ['jobs', 'retries'].find(name => options[name] !== undefined)
  if (first !== undefined && pool !== undefined) throw new UsageError(`--${pool} cannot be combined with --${first}`)
}

function planArgument([plan, ...more]: readonly string[]): string {
  if (plan === undefined) throw new UsageError('a plan is missing: a JSON file')
  if (more.length > 0) throw new UsageError(`'${more[0]}' is one argument too many`)
  return plan
}

/** An item's own folder. */
const folderOf = (out: string, item: SweepItem): string => runPath(cellFolder(out, item.cell), item)

const nameOf = ({ index, label }: SweepItem): string => `item ${index} (${label})`

function list({ sweep: { items }, out, json }: Given): void {
  for (const item of items) {
    const { index, rule, seed, label } = item
    const path = folderOf(out, item)
    console.log(json ? JSON.stringify({ index, rule, seed, label, path }) : `${index}  ${label}  ${path}`)
  }
  if (!json) console.log(`${items.length} items, --index 0 to ${items.length - 1}`)
}

/** One item in this process; the exit codes are those of `mdgl train`. */
async function runOne({ sweep: { items }, out, threads, json }: Given, index: number): Promise<number> {
  const item = items[index]
  if (item === undefined) throw new UsageError(`--index is ${index}; the plan has the items 0 to ${items.length - 1}`)
  const folder = cellFolder(out, item.cell)
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
async function runAll(given: Given, jobs: number, retries: number): Promise<number> {
  const { sweep, out } = given
  const { result: outcomes, exitCode } = await interruptible(signal => {
    const start = (item: SweepItem) => startItem(given, item)
    return runPool(sweep.items, { out, jobs, retries, signal, start }, observer(given, retries))
  })
  return await conclude(given, outcomes, exitCode)
}

/** A worker runs the item like `mdgl sweep --index`, and reports it line by line. */
function startItem({ plan, out, threads, json }: Given, item: SweepItem): Worker {
  const progress = json ? silent : lines(nameOf(item), item.cell.options.iterations)
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

function observer({ out, json }: Given, retries: number): PoolObserver {
  return {
    again(item, ended) {
      console.error(
        `mdgl: ${nameOf(item)}: ${howEnded(ended)}; it is tried again from its last checkpoint (--retries ${retries})`
      )
      if (json) event(item, { event: 'again', signal: ended.signal })
    },
    ended(outcome) {
      const { item } = outcome
      if (json) event(item, endEvent(outcome, folderOf(out, item)))
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
  { plan, out, json }: Given,
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
    const kept = await lastCheckpoint(folderOf(out, outcome.item))
    const state = kept === undefined ? 'it has no checkpoint' : `its checkpoint after iteration ${kept} is kept`
    console.error(`mdgl: ${nameOf(outcome.item)} is missing: ${outcome.missing}; ${state}`)
  }
  if (finished.length === outcomes.length) return 0
  console.error(`mdgl: ${interruption ? 'interrupted' : 'not finished'}; the same command continues from here`)
  return interruption || 1
}
