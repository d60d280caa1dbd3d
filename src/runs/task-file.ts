import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { invalid } from '../support/error.js'
import { messageOf } from '../support/recognise.js'
import { checkTask, type Task } from '../task/task.js'
import { checksum, type ImportedFile, importedFiles } from './imported-files.js'
import type { BuiltInTask, TaskOptions } from './tasks.js'

/** Which file a task came from, and what it was then. */
export interface TaskFile {
  readonly path: string
  readonly sha256: string
  /** The files that it imports, directly or through others, by their paths from its folder. Not in folders of before they were kept. */
  readonly imports?: readonly ImportedFile[]
}

/** A task of the user's, and its file. */
export interface LoadedTask {
  readonly task: BuiltInTask
  readonly file: TaskFile
}

/** It comes without declarations; importing it is all that it is for. */
const LOADER: string = '@oxc-node/core/register'
const DEFAULTS = { iterations: 1000, batchSize: 64, validateEvery: 10 }

/** Whether a name is that of a file with a task. */
export const isTaskFile = (name: string): boolean => /\.(?:ts|mts|js|mjs)$/.test(name)

/**
 * A task from a file: its default export, or what a function exported so gives, is a task with a `network`. TypeScript's types are stripped by
 * Node, or by a loader where Node does not.
 *
 * @param options - What a function is called with. Default: nothing.
 * @throws {@link MdglError} `'invalid'` for options to a file that exports no function. An error that names the file and what it lacks; the file's own errors as they are.
 */
export async function loadTask(path: string, options?: TaskOptions): Promise<LoadedTask> {
  const file = { path: resolve(path), sha256: await checksum(path), imports: await importedFiles(path) }
  if (/ts$/.test(path) && !stripsTypes()) await import(LOADER)
  const { default: exported } = await importFile(path)
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

/** @throws An error for a file that has changed since a run was made with it: it is another task. */
export async function checkTaskFile(file: TaskFile): Promise<void> {
  const { path, sha256 } = file
  if ((await checksum(path)) !== sha256) throw new Error(`the task file ${path} has changed since this run`)
  const [changed] = changedImports(file, { ...file, imports: await importedFiles(path) })
  if (changed !== undefined)
    throw new Error(`${changed}, which the task file ${path} imports, has changed since this run`)
}

/** Which files that a task's file imports differ between two of its versions; none where one version does not know them. */
export function changedImports(one: TaskFile | undefined, other: TaskFile | undefined): string[] {
  if (one?.imports === undefined || other?.imports === undefined) return []
  const [before, now] = [one.imports, other.imports].map(
    imports => new Map(imports.map(({ path, sha256 }) => [path, sha256]))
  )
  const paths = new Set([...(before?.keys() ?? []), ...(now?.keys() ?? [])])
  return [...paths].filter(path => before?.get(path) !== now?.get(path))
}

/** A file without a word of its package is taken for CommonJS by the loader, which cannot tell why that does not work. */
async function importFile(path: string): Promise<{ readonly default?: unknown }> {
  try {
    return await import(pathToFileURL(resolve(path)).href)
  } catch (error) {
    if (!messageOf(error).includes('require() ES Module')) throw error
    const advice = 'give it the ending .mts, or put {"type": "module"} into the package.json beside it'
    throw new Error(`${path} is taken for CommonJS: ${advice}`, { cause: error })
  }
}

/** Node 22.18 and later. */
function stripsTypes(): boolean {
  return 'typescript' in process.features && process.features.typescript !== false
}
