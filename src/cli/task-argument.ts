import { isTaskFile, loadTask } from '../runs/task-file.js'
import { type BuiltInTask, builtInTask, TASK_NAMES } from '../runs/tasks.js'
import type { RunSettings } from '../runs/train-run.js'
import { known, UsageError } from './arguments.js'

/** The one built-in task that a command names. */
export function taskArgument(rest: readonly string[]): BuiltInTask {
  return builtInTask(known(oneName(rest), 'the task', TASK_NAMES))
}

/** The same, or the file of a task of the user's. */
export async function anyTaskArgument(rest: readonly string[]): Promise<Pick<RunSettings, 'task' | 'taskFile'>> {
  const name = oneName(rest)
  if (!isTaskFile(name)) return { task: taskArgument(rest) }
  const { task, file } = await loadTask(name)
  return { task, taskFile: file }
}

function oneName([name, ...more]: readonly string[]): string {
  if (name === undefined) throw new UsageError(`a task is missing; it must be one of ${TASK_NAMES.join(', ')}`)
  if (more.length > 0) throw new UsageError(`'${more[0]}' is one argument too many`)
  return name
}
