import { isCodeFile } from '../runs/code-file.js'
import { loadTask } from '../runs/task-file.js'
import { type BuiltInTask, builtInTask, TASK_NAMES } from '../runs/tasks.js'
import type { RunSettings } from '../runs/train-run.js'
import { known, oneArgument } from './options.js'

/** The one built-in task that a command names. */
export function taskArgument(rest: readonly string[]): BuiltInTask {
  return builtInTask(known(oneName(rest), 'the task', TASK_NAMES))
}

/** The same, or the file of a task of the user's. */
export async function anyTaskArgument(rest: readonly string[]): Promise<Pick<RunSettings, 'task' | 'taskFile'>> {
  const name = oneName(rest)
  if (!isCodeFile(name)) return { task: taskArgument(rest) }
  const { task, file } = await loadTask(name)
  return { task, taskFile: file }
}

const oneName = (rest: readonly string[]) =>
  oneArgument(rest, `a task is missing; it must be one of ${TASK_NAMES.join(', ')}`)
