import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LEARNING_RATE_FORMS, parseLearningRate } from '../runs/learning-rate-text.js'
import { loadRule } from '../runs/rule-file.js'
import { folderName } from '../runs/rule-label.js'
import { ALL_TASK_NAMES } from '../runs/tasks.js'
import { type RunSettings, trainRun } from '../runs/train-run.js'
import { writeFailure } from '../runs/write-failure.js'
import { codeOf } from '../support/recognise.js'
import type { Schedule } from '../task/schedule.js'
import { defineCommand } from './command.js'
import {
  BATCH_SIZE,
  ITERATIONS,
  LIVE,
  METRICS_AS_JSON,
  PRECISION,
  RULE,
  THREADS,
  VALIDATE_EVERY
} from './common-options.js'
import { liveOptions } from './live.js'
import { type Given, type Option, UsageError, whole, words } from './options.js'
import { newRun, runWithProgress } from './run-with-progress.js'
import { SET, withSetOption } from './set-option.js'
import { anyTaskArgument, DATA } from './task-argument.js'

/** An option's learning rate: a number, or a schedule as text. */
function learningRate(text: string): Option<number | Schedule> {
  const parse = (given: string, name: string) => {
    const rate = parseLearningRate(given)
    if (rate === undefined) throw new UsageError(`--${name} is '${given}'; it must be ${LEARNING_RATE_FORMS}`)
    return rate
  }
  return { value: 'X', text, parse }
}

const OPTIONS = {
  rule: RULE,
  data: DATA,
  seed: whole('N', 'seed of network and batches (default 1)', 0),
  iterations: ITERATIONS,
  'batch-size': BATCH_SIZE,
  'validate-every': VALIDATE_EVERY,
  'learning-rate': learningRate(
    "the optimiser's learning rate: a number, cosine:FROM[:TO[:ITERATIONS]], step:FROM:FACTOR:EVERY or warm-up:ITERATIONS:INTO"
  ),
  set: SET,
  precision: PRECISION,
  threads: THREADS,
  'checkpoint-every': whole(
    'N',
    'iterations between checkpoints, from which `mdgl resume` continues; 0 for none (default 50)',
    0
  ),
  'alignment-every': whole('N', "record the angle to BPTT's gradient every N iterations", 1),
  ...LIVE,
  out: words('DIR', 'the run folder (default runs/<time>-<task>-<rule>-<seed>)'),
  json: METRICS_AS_JSON
}

/** `mdgl train TASK`: trains a network and writes a run folder. */
export const trainCommand = defineCommand({
  summary: 'train a network on a task and write a run folder',
  usage: ['<task> [options]', '<file> [options]'],
  details: `Tasks: ${ALL_TASK_NAMES.join(', ')}
A file (.ts, .mts, .js or .mjs) has a task of your own as its default export: docs/guide/write-a-task.md. The file of a rule (--rule) has the rule as its default export: docs/guide/write-a-rule.md.`,
  options: OPTIONS,
  notes: 'Ctrl-C ends the run after the current iteration and keeps a checkpoint; a second one ends it at once.',
  examples: [
    'mdgl train evidence-accumulation --rule mdgl --seed 1',
    'mdgl train evidence-accumulation --rule mdgl --live --alignment-every 20',
    'mdgl train ./my-task.ts --rule mdgl',
    'mdgl train sequential-mnist --data ./mnist --rule bptt --checkpoint-every 100',
    'mdgl train evidence-accumulation --rule ./my-rule.ts',
    'mdgl train evidence-accumulation --rule eprop --iterations 200 --out runs/short',
    'mdgl train evidence-accumulation --set optimiser.clipNorm=1 --set optimiser.l1=0',
    `mdgl train evidence-accumulation --json | jq 'select(.split == "validation") | .loss'`
  ],
  words: ALL_TASK_NAMES,
  async run(given) {
    const run = await runOptions(given)
    const { out, json = false } = given.options
    return await runWithProgress(run, { json, live: liveOptions(given) }, (options, observer) =>
      trainRun(options, async config => newRun(out ?? (await newFolder(run)), config, options), observer)
    )
  }
})

async function runOptions({ options, rest }: Given<typeof OPTIONS>): Promise<RunSettings> {
  const { task, taskFile, taskOptions } = await anyTaskArgument(rest, { data: options.data })
  const iterations = options.iterations ?? task.iterations
  const twice = options.set?.some(({ path }) => path === 'optimiser.learningRate' || path === 'optimiser')
  if (twice && options['learning-rate'] !== undefined)
    throw new UsageError('--learning-rate and --set optimiser.learningRate exclude each other')
  const alignmentEvery = options['alignment-every']
  if (alignmentEvery !== undefined && alignmentEvery > iterations) {
    throw new UsageError(`--alignment-every is ${alignmentEvery}; it must be at most --iterations, ${iterations}`)
  }
  return {
    ...withSetOption(task, options.set, iterations),
    taskFile,
    taskOptions,
    ...(await loadRule(options.rule ?? 'mdgl')),
    seed: options.seed ?? 1,
    iterations,
    batchSize: options['batch-size'] ?? task.batchSize,
    validateEvery: options['validate-every'] ?? task.validateEvery,
    checkpointEvery: options['checkpoint-every'],
    alignmentEvery,
    precision: options.precision ?? 'f32',
    learningRate: options['learning-rate'],
    threads: options.threads
  }
}

/** Makes the default folder; a run of the same second has a number in its name. */
async function newFolder(run: RunSettings): Promise<string> {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  const base = join('runs', `${time}-${run.task.name}-${folderName(run)}`)
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
