import { invalid } from '../support/error.js'
import { checkTask, type Task } from '../task/task.js'
import { type CodeFile, importCode } from './code-file.js'
import type { BuiltInTask, TaskOptions } from './tasks.js'

/** A task of the user's, and its file. */
export interface LoadedTask {
  readonly task: BuiltInTask
  readonly file: CodeFile
}

const DEFAULTS = { iterations: 1000, batchSize: 64, validateEvery: 10 }

/**
 * A task from a file: its default export, or what a function exported so gives, is a task with a `network`.
 *
 * @param options - What a function is called with. Default: nothing.
 * @throws {@link MdglError} `'invalid'` for options to a file that exports no function. An error that names the file and what it lacks; the file's own errors as they are.
 */
export async function loadTask(path: string, options?: TaskOptions): Promise<LoadedTask> {
  const { file, exported } = await importCode(path)
  if (options !== undefined && typeof exported !== 'function') {
    throw invalid('options', options, `nothing, since the default export of ${path} is no function that takes them`)
  }
  const given = typeof exported === 'function' ? await exported(options) : exported
  if (typeof given !== 'object' || given === null) {
    throw new Error(`${path} has no task: its default export must be an object {name, network, batch, loss}`)
  }
  const task = given as Task
  checkTask(task)
  if (typeof task.name !== 'string' || task.name === '') throw new Error(`${path}: its task needs a name`)
  const { network } = task
  if (typeof network !== 'function') {
    throw new Error(`${path} has no network: its task must have a function network({ seed }) that gives a description`)
  }
  return { task: { ...DEFAULTS, ...task, network }, file }
}
