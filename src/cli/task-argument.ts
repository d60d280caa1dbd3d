import { type BuiltInTask, builtInTask, TASK_NAMES } from '../runs/tasks.js'
import { known, UsageError } from './arguments.js'

/** The one task that a command names. */
export function taskArgument(rest: readonly string[]): BuiltInTask {
  const [name, ...more] = rest
  if (name === undefined) throw new UsageError(`a task is missing; it must be one of ${TASK_NAMES.join(', ')}`)
  if (more.length > 0) throw new UsageError(`'${more[0]}' is one argument too many`)
  return builtInTask(known(name, 'the task', TASK_NAMES))
}
