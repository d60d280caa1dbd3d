import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type RuleName, ruleNames } from '../rule/rule.js'
import { LEARNING_RATE_FORMS, parseLearningRate } from '../runs/learning-rate-text.js'
import { type RunSettings, trainRun } from '../runs/train-run.js'
import { writeFailure } from '../runs/write-failure.js'
import { codeOf } from '../support/recognise.js'
import type { Schedule } from '../task/schedule.js'
import { type Arguments, split, text, threadsOf, UsageError, whole, word } from './arguments.js'
import { TRAIN_HELP } from './help.js'
import { LIVE_OPTIONS, liveOptions } from './live.js'
import { newRun, runWithProgress } from './run-with-progress.js'
import { anyTaskArgument } from './task-argument.js'

export const TRAIN_OPTIONS = {
  rule: { type: 'string' },
  seed: { type: 'string' },
  iterations: { type: 'string' },
  'batch-size': { type: 'string' },
  'validate-every': { type: 'string' },
  'checkpoint-every': { type: 'string' },
  'alignment-every': { type: 'string' },
  'learning-rate': { type: 'string' },
  precision: { type: 'string' },
  threads: { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean' },
  ...LIVE_OPTIONS,
  help: { type: 'boolean', short: 'h' }
} as const

/** `mdgl train TASK`: trains a network and writes a run folder. */
export async function trainCommand(args: readonly string[]): Promise<number> {
  const given = split(args, TRAIN_OPTIONS)
  if (given.options.help) {
    console.log(TRAIN_HELP)
    return 0
  }
  const run = await runOptions(given)
  const out = text(given, 'out')
  return await runWithProgress(
    run,
    { json: given.options.json === true, live: liveOptions(given) },
    (options, observer) =>
      trainRun(options, async config => newRun(out ?? (await newFolder(run)), config, options), observer)
  )
}

async function runOptions(given: Arguments): Promise<RunSettings & { readonly rule: RuleName }> {
  const { task, taskFile } = await anyTaskArgument(given.rest)
  const iterations = whole(given, 'iterations', 1) ?? task.iterations
  const alignmentEvery = whole(given, 'alignment-every', 1)
  if (alignmentEvery !== undefined && alignmentEvery > iterations) {
    throw new UsageError(`--alignment-every is ${alignmentEvery}; it must be at most --iterations, ${iterations}`)
  }
  const rule: RuleName = word(given, 'rule', ruleNames) ?? 'mdgl'
  return {
    task,
    taskFile,
    rule,
    seed: whole(given, 'seed', 0) ?? 1,
    iterations,
    batchSize: whole(given, 'batch-size', 1) ?? task.batchSize,
    validateEvery: whole(given, 'validate-every', 1) ?? task.validateEvery,
    checkpointEvery: whole(given, 'checkpoint-every', 0),
    alignmentEvery,
    precision: word(given, 'precision', ['f32', 'f64'] as const) ?? 'f32',
    learningRate: learningRateOption(given),
    threads: threadsOf(given)
  }
}

/** A number, or a schedule as text. */
function learningRateOption(from: Arguments): number | Schedule | undefined {
  const given = text(from, 'learning-rate')
  if (given === undefined) return undefined
  const rate = parseLearningRate(given)
  if (rate === undefined) throw new UsageError(`--learning-rate is '${given}'; it must be ${LEARNING_RATE_FORMS}`)
  return rate
}

/** Makes the default folder; a run of the same second has a number in its name. */
async function newFolder({ task, rule, seed }: RunSettings): Promise<string> {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  const base = join('runs', `${time}-${task.name}-${rule}-${seed}`)
  await mkdir(dirname(base), { recursive: true }).catch(error => {
    throw writeFailure(error, dirname(base))
  })
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
    if (codeOf(error) === 'EEXIST') return false
    throw writeFailure(error, path)
  }
}
