import type { Rule } from '../rule/rule.js'
import type { Precision } from '../support/precision.js'
import { messageOf } from '../support/recognise.js'
import type { Regulariser } from '../task/batch.js'
import type { CompleteOptimiser, Optimiser } from '../task/optimiser.js'
import { rateAt } from '../task/schedule.js'
import { hasCheckpoint, readCheckpoint, removeLaterCheckpoints, wholeCheckpoints } from './checkpoints.js'
import { type Intervention, learningRateAt, readInterventions, replaceInterventions } from './interventions.js'
import { type ChosenRule, loadRule } from './rule-file.js'
import { type Divergence, type RunConfig, readRunFolder, type StoredRun } from './run-folder.js'
import { RunLock } from './run-lock.js'
import { loadTask } from './task-file.js'
import { ALL_TASK_NAMES, builtInTask, type TaskName } from './tasks.js'
import { continueRun, differences, type RunEnd, type RunObserver, type RunSettings, runConfig } from './train-run.js'

/** What may be chosen anew when a run goes on: nothing that decides its result. */
export type ResumeOptions = Pick<RunSettings, 'threads' | 'signal' | 'checkpointEvery' | 'alignmentEvery'>

/** Where a run is to go on otherwise than it did. */
export interface Change {
  /** The learning rate from the next iteration on. */
  readonly learningRate?: number | undefined
  /** Goes on from the last whole checkpoint up to this iteration. Default: from the last. */
  readonly from?: number | undefined
}

/**
 * Goes on with a run from its last whole checkpoint. `warn` is called for checkpoints that are not. With a change the run goes another way from
 * there: what it had after that goes, and interventions.jsonl says so.
 *
 * @throws An error for a folder that is no run's, a run that is finished, one that diverged (without another learning rate), one that
 * another process writes, one without a whole checkpoint (nothing is touched then), and
 * one that this version of the library would not have made.
 */
export async function resumeRun(
  path: string,
  given: ResumeOptions,
  observer: RunObserver,
  warn: (message: string) => void,
  change: Change = {}
): Promise<RunEnd> {
  await unfinishedRun(path, change.learningRate)
  const lock = await RunLock.acquire(path, { warn, signal: given.signal })
  try {
    return await resumeLocked(lock, given, observer, warn, change)
  } finally {
    await lock.release()
  }
}

/** What there is to go on with; another process may have finished it since it was last read. */
async function unfinishedRun(path: string, learningRate: number | undefined): Promise<StoredRun> {
  const stored = await readRunFolder(path)
  if (stored === undefined) throw new Error(`${path} holds no run`)
  const { diverged } = stored
  if (stored.finished && diverged === undefined)
    throw new Error(`the run in ${path} is finished; there is nothing to continue`)
  if (diverged !== undefined && learningRate === undefined) throw new Error(await wayOut(path, stored.config, diverged))
  return stored
}

async function resumeLocked(
  lock: RunLock,
  given: ResumeOptions,
  observer: RunObserver,
  warn: (message: string) => void,
  { learningRate, from }: Change
): Promise<RunEnd> {
  const { path } = lock
  const stored = await unfinishedRun(path, learningRate)
  const options = { ...(await optionsOf(stored.config, path)), ...given }
  checkSame(stored.config, options, path)
  const checkpoint = await readCheckpoint(path, warn, from)
  if (checkpoint === undefined && from !== undefined) {
    throw new Error(
      `the run in ${path} has no whole checkpoint up to iteration ${from}${listed(await wholeCheckpoints(path))}`
    )
  }
  if (checkpoint === undefined) {
    const why = (await hasCheckpoint(path)) ? 'no whole checkpoint is left' : 'it has no checkpoint'
    throw new Error(`the run in ${path} cannot go on: ${why}; \`mdgl train\` begins it anew in another folder`)
  }
  const before = await readInterventions(path)
  const interventions = learningRate === undefined ? before : changed(before, checkpoint.iteration + 1, learningRate)
  if (learningRate !== undefined) await replaceInterventions(path, interventions)
  if (from !== undefined) await removeLaterCheckpoints(path, checkpoint.iteration)
  return await continueRun(options, { lock, checkpoint, interventions }, observer)
}

/** Another learning rate from an iteration on, in place of what was changed since. */
function changed(before: readonly Intervention[], iteration: number, learningRate: number): Intervention[] {
  return [...before.filter(earlier => earlier.iteration < iteration), { iteration, learningRate }]
}

/** What can be done with a run that diverged. */
async function wayOut(path: string, config: RunConfig, { iteration, message }: Divergence): Promise<string> {
  const { learningRate: first = 1 } = config.training.optimiser as CompleteOptimiser
  const rate = learningRateAt(await readInterventions(path), iteration + 1) ?? first
  const lower = Number((rateAt(rate, iteration + 1) / 10).toPrecision(2))
  const said = `the run in ${path} diverged in iteration ${iteration + 1} (${message.replace(/\.$/, '')})`
  const [last, ...earlier] = await wholeCheckpoints(path)
  if (last === undefined) {
    const task = config.taskFile?.path ?? config.task
    return `${said}, and it has no whole checkpoint to continue from; \`mdgl train ${task} --learning-rate ${lower}\` begins anew in another folder`
  }
  const others = earlier.map(other => `, with \`--from ${other}\` from that of iteration ${other}`).join('')
  return `${said}; \`mdgl resume ${path} --learning-rate ${lower}\` continues with a lower learning rate from the checkpoint of iteration ${last}${others}`
}

const listed = (iterations: readonly number[]) =>
  iterations.length === 0 ? '' : `; there are those of iterations ${iterations.join(' and ')}`

/** @throws An error where another run would come of a stored configuration's options: its files or the version of the library changed. */
export function checkSame(config: RunConfig, options: RunSettings, path: string): void {
  const differing = differences(config, runConfig(options))
  if (differing.length === 0) return
  throw new Error(`since the run in ${path} was made, its ${differing.join(' and its ')} changed`)
}

/** The options that a stored configuration came from; a task or a rule of the user's is read from its file again. */
export async function optionsOf(config: RunConfig, path: string): Promise<RunSettings> {
  const { seed, precision, training, recording } = config
  return {
    ...(await recordedTask(config, path)),
    ...(await ruleOf(config, path)),
    ...recording,
    seed,
    precision: precision as Precision,
    iterations: training.iterations as number,
    batchSize: training.batchSize as number,
    validateEvery: training.validateEvery as number,
    optimiser: training.optimiser as Optimiser
  }
}

async function ruleOf({ rule, ruleFile }: RunConfig, path: string): Promise<ChosenRule> {
  if (ruleFile === undefined) return { rule: rule as Rule }
  return await loadRule(ruleFile.path).catch(notTaken('rule', path))
}

/** That a file of the user's serves a run no more. */
function notTaken(what: 'task' | 'rule', path: string) {
  return (error: unknown): never => {
    const why = messageOf(error)
    throw new Error(`the ${what} file of the run in ${path} cannot be taken: ${why}`, { cause: error })
  }
}

/** The task of a run, with the regulariser that it was given. */
async function recordedTask(config: RunConfig, path: string): Promise<TaskOfRun> {
  const { task, ...more } = await taskOf(config, path)
  const { regulariser } = config.training
  return {
    task: regulariser === undefined ? task : { ...task, regulariser: regulariser as Regulariser | null },
    ...more
  }
}

type TaskOfRun = Pick<RunSettings, 'task' | 'taskFile' | 'taskOptions'>

/** The task of a run as it is without the options that the run was given; that of a file is read from it again. */
export async function taskOf({ task, taskFile, taskOptions }: RunConfig, path: string): Promise<TaskOfRun> {
  if (taskFile !== undefined) {
    const { task, file } = await loadTask(taskFile.path, taskOptions).catch(notTaken('task', path))
    return { task, taskFile: file, taskOptions }
  }
  if ((ALL_TASK_NAMES as readonly string[]).includes(task)) {
    return { task: builtInTask(task as TaskName, taskOptions), taskOptions }
  }
  throw new Error(`the run in ${path} is of the task '${task}', which mdgl does not know`)
}
