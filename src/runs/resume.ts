import type { Optimiser } from '../optimiser.js'
import type { Precision } from '../precision.js'
import { messageOf } from '../recognise.js'
import type { Rule } from '../rule.js'
import { hasCheckpoint, readCheckpoint } from './checkpoints.js'
import { readInterventions } from './interventions.js'
import { type RunConfig, readRunFolder, type StoredRun } from './run-folder.js'
import { RunLock } from './run-lock.js'
import { loadTask } from './task-file.js'
import { builtInTask, TASK_NAMES, type TaskName } from './tasks.js'
import { continueRun, differences, type RunEnd, type RunObserver, type RunSettings, runConfig } from './train-run.js'

/** What may be chosen anew when a run goes on: nothing that decides its result. */
export type ResumeOptions = Pick<RunSettings, 'threads' | 'signal' | 'checkpointEvery' | 'alignmentEvery'>

/**
 * Goes on with a run from its last whole checkpoint. `warn` hears of checkpoints that are not.
 *
 * @throws An error for a folder that is no run's, a run that is finished, one that another process writes, one without a whole checkpoint (nothing is touched then), and
 * one that this version of the library would not have made.
 */
export async function resumeRun(
  path: string,
  given: ResumeOptions,
  observer: RunObserver,
  warn: (message: string) => void
): Promise<RunEnd> {
  await unfinishedRun(path)
  const lock = await RunLock.acquire(path, { warn, signal: given.signal })
  try {
    return await resumeLocked(lock, given, observer, warn)
  } finally {
    await lock.release()
  }
}

/** What there is to go on with; another process may have finished it since it was last read. */
async function unfinishedRun(path: string): Promise<StoredRun> {
  const stored = await readRunFolder(path)
  if (stored === undefined) throw new Error(`${path} holds no run`)
  if (stored.finished) throw new Error(`the run in ${path} is finished; there is nothing to go on with`)
  return stored
}

async function resumeLocked(
  lock: RunLock,
  given: ResumeOptions,
  observer: RunObserver,
  warn: (message: string) => void
): Promise<RunEnd> {
  const { path } = lock
  const stored = await unfinishedRun(path)
  const options = { ...(await optionsOf(stored.config, path)), ...given }
  checkSame(stored.config, options, path)
  const checkpoint = await readCheckpoint(path, warn)
  if (checkpoint === undefined) {
    const why = (await hasCheckpoint(path)) ? 'no whole checkpoint is left' : 'it has no checkpoint'
    throw new Error(`the run in ${path} cannot go on: ${why}; \`mdgl train\` begins it anew in another folder`)
  }
  return await continueRun(options, { lock, checkpoint, interventions: await readInterventions(path) }, observer)
}

/** @throws An error where this version of the library would make another run of a stored configuration's options. */
export function checkSame(config: RunConfig, options: RunSettings, path: string): void {
  const differing = differences(config, runConfig(options))
  if (differing.length === 0) return
  const what = `another ${differing.join(', ')} than this version of mdgl has for its task`
  throw new Error(`the run in ${path} was made with ${what}`)
}

/** The options that a stored configuration came from; a task of the user's is read from its file again. */
export async function optionsOf(config: RunConfig, path: string): Promise<RunSettings> {
  const { rule, seed, precision, training, recording } = config
  return {
    ...(await taskOf(config, path)),
    ...recording,
    rule: rule as Rule,
    seed,
    precision: precision as Precision,
    iterations: training.iterations as number,
    batchSize: training.batchSize as number,
    validateEvery: training.validateEvery as number,
    optimiser: training.optimiser as Optimiser
  }
}

async function taskOf(
  { task, taskFile, taskOptions }: RunConfig,
  path: string
): Promise<Pick<RunSettings, 'task' | 'taskFile' | 'taskOptions'>> {
  if (taskFile !== undefined) {
    const { task, file } = await loadTask(taskFile.path, taskOptions).catch(error => {
      const why = messageOf(error)
      throw new Error(`the task file of the run in ${path} cannot be taken: ${why}`, { cause: error })
    })
    return { task, taskFile: file, taskOptions }
  }
  if ((TASK_NAMES as readonly string[]).includes(task)) {
    return { task: builtInTask(task as TaskName, taskOptions), taskOptions }
  }
  throw new Error(`the run in ${path} is of the task '${task}', which mdgl does not know`)
}
