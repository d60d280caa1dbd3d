import { resolve } from 'node:path'
import { isCodeFile } from '../runs/code-file.js'
import { loadTask } from '../runs/task-file.js'
import { ALL_TASK_NAMES, builtInTask, DATA_TASK_NAMES, isDataTask } from '../runs/tasks.js'
import type { RunSettings } from '../runs/train-run.js'
import { MdglError } from '../support/error.js'
import { known, oneArgument, UsageError, words } from './options.js'

/** --data: the folder of a task's data. */
export const DATA = words(
  'DIR',
  `the folder with the data of the task, for ${DATA_TASK_NAMES.join(' and ')} the four files of MNIST`
)

interface TaskArgument {
  /** The folder that a command was given. */
  readonly data?: string | undefined
  /** Whether the command needs the task's network alone. */
  readonly network?: true
}

/** The task that a command names: a built-in one, with its data where it has any, or that of the user's file. */
export async function anyTaskArgument(
  rest: readonly string[],
  { data, network }: TaskArgument
): Promise<Pick<RunSettings, 'task' | 'taskFile' | 'taskOptions'>> {
  const name = oneArgument(rest, `a task is missing; it must be one of ${ALL_TASK_NAMES.join(', ')}`)
  if (data !== undefined && !isDataTask(name)) {
    throw new UsageError(`--data requires a task whose data is in a folder: ${DATA_TASK_NAMES.join(', ')}`)
  }
  if (isCodeFile(name)) {
    const { task, file } = await loadTask(name)
    return { task, taskFile: file }
  }
  const task = known(name, 'the task', ALL_TASK_NAMES)
  if (!isDataTask(task)) return { task: builtInTask(task) }
  if (network) return { task: builtInTask(task) }
  if (data === undefined) throw new UsageError(`${task} requires --data: the folder with the four files of MNIST`)
  return dataTask(task, { data: resolve(data) })
}

/** A folder without the files is a mistake in the call. */
function dataTask(name: Parameters<typeof builtInTask>[0], taskOptions: { readonly data: string }) {
  try {
    return { task: builtInTask(name, taskOptions), taskOptions }
  } catch (error) {
    throw error instanceof MdglError && error.code === 'invalid'
      ? new UsageError(error.message.replace('options.data', '--data'))
      : error
  }
}
