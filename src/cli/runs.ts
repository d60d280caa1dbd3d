import { join, relative } from 'node:path'
import type { WholeDescription } from '../network/description.js'
import type { Metrics } from '../operations/train.js'
import { hasCheckpoint } from '../runs/checkpoints.js'
import { runFolders } from '../runs/folders.js'
import { changeText, readInterventions } from '../runs/interventions.js'
import type { Provenance } from '../runs/provenance.js'
import { ruleLabel } from '../runs/rule-label.js'
import { readRunFolder, type StoredRun } from '../runs/run-folder.js'
import { processName, type RunOwner, runOwner } from '../runs/run-lock.js'
import { shellWord } from '../support/shell-word.js'
import { defineCommand } from './command.js'
import { folderArgument } from './folder-argument.js'
import { flag, noArgument } from './options.js'
import { sparkline } from './sparkline.js'
import { table } from './table.js'

/** `mdgl runs [DIR]`: the run folders below a folder, a line each. */
export const runsCommand = defineCommand({
  summary: 'list the runs in a folder',
  usage: ['[folder] [options]'],
  details: `One line per run folder below the folder (default runs): task, rule, seed, its progress, its last validation, and its state: running, finished, diverged, or unfinished.`,
  options: { json: flag('one JSON line per run') },
  examples: [
    'mdgl runs',
    'mdgl runs runs/compare-evidence-accumulation-2000',
    `mdgl runs --json | jq 'select(.state == "finished") | .loss'`
  ],
  async run({ options: { json }, rest: [root = 'runs', ...more] }) {
    noArgument(more)
    const found = await Promise.all(
      (await runFolders(root)).map(async path => ({ path, run: await readRunFolder(path) }))
    )
    const lines = await Promise.all(found.flatMap(({ path, run }) => (run === undefined ? [] : [summaryOf(path, run)])))
    if (json) for (const line of lines) console.log(JSON.stringify(line))
    else if (lines.length === 0)
      console.log(`There is no run in ${root}; \`mdgl train evidence-accumulation${elsewhere(root)}\` makes one.`)
    else console.log(table([HEADER, ...lines.map(line => row(root, line))], 3))
    return 0
  }
})

/** Where a run is to go that is looked for in a folder. */
const elsewhere = (root: string): string => (root === 'runs' ? '' : ` --out ${shellWord(join(root, 'first'))}`)

/** `mdgl show DIR`: what a run is, how far it came, and what can be done with it. */
export const showCommand = defineCommand({
  summary: 'settings and progress of a run, and the commands for it',
  usage: ['<run> [options]'],
  options: { json: flag('everything, config.json included, as one JSON line') },
  examples: ['mdgl show runs/mine', 'mdgl show runs/mine --json | jq .config.training.optimiser'],
  async run({ options: { json }, rest }) {
    const path = folderArgument(rest)
    const run = await readRunFolder(path)
    if (run === undefined) throw new Error(`${path} holds no run`)
    const summary = await summaryOf(path, run)
    console.log(json ? JSON.stringify({ ...summary, config: run.config }) : await page(path, run, summary))
    return 0
  }
})

/** A run as `mdgl runs` lists it. */
interface Summary {
  readonly path: string
  readonly task: string
  readonly rule: string
  readonly seed: number
  readonly iteration: number
  readonly iterations: number
  readonly state: 'running' | 'finished' | 'diverged' | 'unfinished, with a checkpoint' | 'unfinished'
  /** The process that writes the folder, while the run is running. */
  readonly process: Pick<RunOwner, 'pid' | 'host' | 'since'> | null
  /** The last validation's, or the last step's where there is none. */
  readonly loss: number | null
  readonly accuracy: number | null
}

async function summaryOf(path: string, run: StoredRun): Promise<Summary> {
  const { config, metrics } = run
  const last = lastOf(metrics)
  const owner = await runOwner(path)
  return {
    path,
    task: config.task,
    rule: ruleLabel(config),
    seed: config.seed,
    iteration: metrics.at(-1)?.iteration ?? 0,
    iterations: Number(config.training.iterations),
    state: owner === undefined ? await stateOf(path, run) : 'running',
    process: owner === undefined ? null : { pid: owner.pid, host: owner.host, since: owner.since },
    loss: last?.loss ?? null,
    accuracy: last?.accuracy ?? null
  }
}

/** That of a run that no process writes. */
async function stateOf(path: string, { finished, diverged }: StoredRun): Promise<Summary['state']> {
  if (diverged !== undefined) return 'diverged'
  if (finished) return 'finished'
  return (await hasCheckpoint(path)) ? 'unfinished, with a checkpoint' : 'unfinished'
}

const lastOf = (metrics: readonly Metrics[]) =>
  metrics.findLast(({ split }) => split === 'validation') ?? metrics.at(-1)

const HEADER = ['run', 'task', 'rule', 'seed', 'iteration', 'loss', 'accuracy', 'state']

function row(
  root: string,
  { path, task, rule, seed, iteration, iterations, loss, accuracy, state }: Summary
): string[] {
  const figures = [loss?.toFixed(4) ?? '–', accuracy?.toFixed(3) ?? '–']
  return [relative(root, path) || path, task, rule, String(seed), `${iteration}/${iterations}`, ...figures, state]
}

async function page(path: string, { config, metrics, diverged }: StoredRun, summary: Summary): Promise<string> {
  const { training, precision, versions, network, provenance } = config
  const { populations, projections } = network as WholeDescription
  const cells = populations.map(({ name, size, model }) => `${size} ${model} (${name})`).join(', ')
  const curve = metrics.filter(({ split }) => split === 'validation').map(({ loss }) => loss)
  const changes = await readInterventions(path)
  const facts = [
    ['task', summary.task],
    ['rule', summary.rule],
    ['seed', String(summary.seed)],
    ['network', `${cells}; ${projections.length} projections`],
    ['training', `${training.iterations} iterations of ${training.batchSize} trials, ${precision}`],
    [
      'made by',
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ')
    ],
    ...(provenance === undefined ? [] : [['begun', begun(provenance)]]),
    ['state', `${summary.state}, iteration ${summary.iteration} of ${summary.iterations}`],
    ...(summary.process === null
      ? []
      : [['written by', `${processName(summary.process)} since ${summary.process.since}`]]),
    ...(diverged === undefined ? [] : [['diverged', diverged.message]]),
    ...changes.map(change => ['changed', `from iteration ${change.iteration} on: ${changeText(change)}`])
  ]
  return [
    path,
    table(facts, 2),
    ...(curve.length < 2 ? [] : ['', `  validation loss  ${sparkline(curve, 60)}  ${curve.at(-1)?.toFixed(4)}`]),
    '',
    ...nextSteps(path, summary).map(step => `  ${step}`)
  ].join('\n')
}

/** When, on what and from which commit a run began. */
function begun({ date, processor, instructionSet, commit, changed }: Provenance): string {
  const state = commit === null ? '' : `, commit ${commit.slice(0, 12)}${changed === true ? ' with changes' : ''}`
  return `${date} on ${processor} (${instructionSet})${state}`
}

function nextSteps(path: string, { state }: Summary): string[] {
  const run = shellWord(path)
  const whatever = [
    `mdgl plot run ${run}`,
    `mdgl report ${run}`,
    `mdgl dashboard ${run}`,
    `mdgl export ${run} --metrics metrics.csv`
  ]
  switch (state) {
    case 'finished':
    case 'diverged':
      return [`mdgl repeat ${run}`, `mdgl export ${run} --weights weights.npz`, ...whatever]
    case 'unfinished, with a checkpoint':
      return [`mdgl resume ${run}`, ...whatever]
    case 'running':
    case 'unfinished':
      return whatever
  }
}
