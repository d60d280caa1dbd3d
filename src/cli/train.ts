import { join } from 'node:path'
import { type RuleName, ruleNames } from '../rule.js'
import { metricsLine } from '../run-folder.js'
import { type RunOptions, trainRun } from '../runs/train-run.js'
import type { Metrics } from '../train.js'
import { type Arguments, positive, split, text, whole, word } from './arguments.js'
import { TRAIN_HELP } from './help.js'
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
  const path = text(given, 'out') ?? defaultFolder(run)
  const json = given.options.json === true
  const progress = json ? silent : progressFor(run)
  let final: Metrics | undefined
  try {
    await trainRun(run, path, metrics => {
      if (json) console.log(metricsLine(metrics))
      progress.update(metrics)
      if (metrics.split === 'validation' || final?.split !== 'validation') final = metrics
    })
  } finally {
    progress.stop()
  }
  if (!json) console.log(summary(run, path, final))
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

function defaultFolder({ task, rule, seed }: RunOptions): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  return join('runs', `${time}-${task.name}-${rule}-${seed}`)
}

function progressFor({ rule, seed, iterations }: RunOptions): Progress {
  return process.stderr.isTTY ? bar(`${rule} seed ${seed}`, iterations) : silent
}

function summary({ rule, seed, iterations }: RunOptions, path: string, final: Metrics | undefined): string {
  const run = `${rule}, seed ${seed}: ${iterations} iterations`
  const split = final?.split === 'validation' ? 'validation' : 'training'
  return `${run}${final === undefined ? '' : `, last ${split} loss ${final.loss.toFixed(4)}`}. Run folder: ${path}`
}
