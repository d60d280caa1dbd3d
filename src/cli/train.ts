import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type RuleName, ruleNames } from '../rule.js'
import { metricsLine, RunFolder } from '../run-folder.js'
import { type RunEnd, type RunOptions, trainRun } from '../runs/train-run.js'
import type { Metrics } from '../train.js'
import { type Arguments, positive, split, text, whole, word } from './arguments.js'
import { TRAIN_HELP } from './help.js'
import { INTERRUPTED, interruptible } from './interrupt.js'
import { bar, type Progress, silent } from './progress.js'
import { taskArgument } from './task-argument.js'

const OPTIONS = {
  rule: { type: 'string' },
  seed: { type: 'string' },
  iterations: { type: 'string' },
  batch: { type: 'string' },
  'validate-every': { type: 'string' },
  'learning-rate': { type: 'string' },
  precision: { type: 'string' },
  threads: { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
} as const

/** `mdgl train TASK`: trains a network and writes a run folder. */
export async function trainCommand(args: readonly string[]): Promise<number> {
  const given = split(args, OPTIONS)
  if (given.options.help) {
    console.log(TRAIN_HELP)
    return 0
  }
  const run = runOptions(given)
  const out = text(given, 'out')
  const json = given.options.json === true
  const progress = json ? silent : progressFor(run)
  let final: Metrics | undefined
  const onMetrics = (metrics: Metrics) => {
    if (json) console.log(metricsLine(metrics))
    progress.update(metrics)
    if (metrics.split === 'validation' || final?.split !== 'validation') final = metrics
  }
  let end: RunEnd
  try {
    end = await interruptible(signal =>
      trainRun({ ...run, signal }, async config => RunFolder.create(out ?? (await newFolder(run)), config), onMetrics)
    )
  } finally {
    progress.stop()
  }
  if (end.interrupted !== undefined) {
    console.error(`mdgl: interrupted; the weights of the last completed iteration are in ${end.interrupted}`)
    return INTERRUPTED
  }
  if (end.diverged !== undefined) {
    console.error(
      `mdgl: the run diverged: ${end.diverged} The weights of the last completed iteration are in ${end.path}`
    )
    return 1
  }
  if (!json) console.log(summary(run, end.path, final))
  return 0
}

function runOptions(given: Arguments): RunOptions {
  const task = taskArgument(given.rest)
  const rule: RuleName = word(given, 'rule', ruleNames) ?? 'mdgl'
  return {
    task,
    rule,
    seed: whole(given, 'seed', 0) ?? 1,
    iterations: whole(given, 'iterations', 1) ?? task.iterations,
    batchSize: whole(given, 'batch', 1) ?? task.batchSize,
    validateEvery: whole(given, 'validate-every', 1) ?? task.validateEvery,
    precision: word(given, 'precision', ['f32', 'f64'] as const) ?? 'f32',
    learningRate: positive(given, 'learning-rate'),
    threads: whole(given, 'threads', 1)
  }
}

/** Makes the default folder; a run of the same second has a number in its name. */
async function newFolder({ task, rule, seed }: RunOptions): Promise<string> {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  const base = join('runs', `${time}-${task.name}-${rule}-${seed}`)
  await mkdir(dirname(base), { recursive: true })
  for (let number = 1; ; number++) {
    const path = number === 1 ? base : `${base}-${number}`
    if (await makesFolder(path)) return path
  }
}

/** Whether the folder is new. */
async function makesFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

function progressFor({ rule, seed, iterations }: RunOptions): Progress {
  return process.stderr.isTTY ? bar(`${rule} seed ${seed}`, iterations) : silent
}

function summary({ rule, seed, iterations }: RunOptions, path: string, final: Metrics | undefined): string {
  const run = `${rule}, seed ${seed}: ${iterations} iterations`
  const split = final?.split === 'validation' ? 'validation' : 'training'
  return `${run}${final === undefined ? '' : `, last ${split} loss ${final.loss.toFixed(4)}`}. Run folder: ${path}`
}
