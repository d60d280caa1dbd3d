import { object } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Task } from '../task/task.js'
import { delayedMatch } from '../tasks/delayed-match.js'
import { delayedXor } from '../tasks/delayed-xor.js'
import { evidenceAccumulation } from '../tasks/evidence-accumulation.js'
import { patternGeneration } from '../tasks/pattern-generation.js'
import { sequentialDigits } from '../tasks/sequential-digits.js'
import { storeRecall } from '../tasks/store-recall.js'
import { type MnistFolderOptions, mnistFromFolder } from './mnist-folder.js'

/** A task that brings its network and every default with it. */
export type BuiltInTask = Task & Required<Pick<Task, 'network' | 'iterations' | 'batchSize' | 'validateEvery'>>

/** Options of a task beside those that its name on the command line stands for. */
export type TaskOptions = Readonly<Record<string, unknown>>

/** A task's function, and the options that its name stands for. */
interface Named {
  readonly make: (options: TaskOptions) => Task
  readonly fixed?: TaskOptions
}

const TASKS = {
  'evidence-accumulation': { make: evidenceAccumulation, fixed: { types: 'two', connections: 'random' } },
  'evidence-accumulation-six': { make: evidenceAccumulation, fixed: { types: 'six', connections: 'random' } },
  'evidence-accumulation-local': { make: evidenceAccumulation, fixed: { types: 'two', connections: 'local' } },
  'pattern-generation': { make: patternGeneration, fixed: { variant: 'bellec2020' } },
  'pattern-generation-lif400': { make: patternGeneration, fixed: { variant: 'lif400' } },
  'delayed-match': { make: delayedMatch, fixed: { hard: false, connections: 'random' } },
  'delayed-match-hard': { make: delayedMatch, fixed: { hard: true, connections: 'random' } },
  'delayed-match-local': { make: delayedMatch, fixed: { hard: false, connections: 'local' } },
  'delayed-xor': { make: delayedXor, fixed: { units: 'spiking' } },
  'delayed-xor-rate': { make: delayedXor, fixed: { units: 'rate' } },
  'sequential-digits': { make: sequentialDigits },
  'store-recall': { make: storeRecall }
} as const satisfies Readonly<Record<string, Named>>

/** Tasks whose data is in a folder of the user's: their option `data`. */
const DATA_TASKS = {
  'sequential-mnist': { make: (options: MnistFolderOptions) => mnistFromFolder('pixels', options) },
  'sequential-mnist-rows': { make: (options: MnistFolderOptions) => mnistFromFolder('rows', options) }
} as const satisfies Readonly<Record<string, Named>>

/** The name of a task that the command line knows and that needs nothing else. */
export type TaskName = keyof typeof TASKS

/** The name of a task that the command line knows and whose data is in a folder. */
export type DataTaskName = keyof typeof DATA_TASKS

/** The names of the tasks that the command line knows and that need nothing else. */
export const TASK_NAMES = Object.keys(TASKS) as TaskName[]

/** The names of the tasks that the command line knows and whose data is in a folder. */
export const DATA_TASK_NAMES = Object.keys(DATA_TASKS) as DataTaskName[]

/** Both. */
export const ALL_TASK_NAMES: readonly (TaskName | DataTaskName)[] = [...TASK_NAMES, ...DATA_TASK_NAMES]

/** Whether a task's data is in a folder. */
export const isDataTask = (name: string): name is DataTaskName => Object.hasOwn(DATA_TASKS, name)

/**
 * A built-in task.
 *
 * @param options - Options of the task's function, but those that its name stands for. Default none.
 * @throws {@link MdglError} `'invalid'` for an option that is not allowed, by its path `options.…`.
 */
export function builtInTask(name: TaskName | DataTaskName, options: TaskOptions = {}): BuiltInTask {
  const { make, fixed = {} }: Named = { ...TASKS, ...DATA_TASKS }[name]
  const decided = Object.keys(object(options, 'options')).find(key => Object.hasOwn(fixed, key))
  if (decided !== undefined) {
    throw invalid(`options.${decided}`, options[decided], `nothing: the name '${name}' stands for it`)
  }
  const task = make({ ...options, ...fixed })
  const { network, iterations, batchSize, validateEvery } = task
  if (network === undefined || iterations === undefined || batchSize === undefined || validateEvery === undefined) {
    throw new Error(`the task '${name}' lacks a network or a default; this is a bug in mdgl`)
  }
  return { ...task, network, iterations, batchSize, validateEvery }
}
