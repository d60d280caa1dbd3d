import type { Task } from '../task.js'
import { delayedMatch } from '../tasks/delayed-match.js'
import { delayedXor } from '../tasks/delayed-xor.js'
import { evidenceAccumulation } from '../tasks/evidence-accumulation.js'
import { patternGeneration } from '../tasks/pattern-generation.js'
import { sequentialDigits } from '../tasks/sequential-digits.js'
import { storeRecall } from '../tasks/store-recall.js'

/** A task that brings its network and every default with it. */
export type BuiltInTask = Task & Required<Pick<Task, 'network' | 'iterations' | 'batchSize' | 'validateEvery'>>

const TASKS = {
  'evidence-accumulation': () => evidenceAccumulation(),
  'evidence-accumulation-six': () => evidenceAccumulation({ types: 'six' }),
  'pattern-generation': () => patternGeneration(),
  'pattern-generation-lif400': () => patternGeneration({ variant: 'lif400' }),
  'delayed-match': () => delayedMatch(),
  'delayed-match-hard': () => delayedMatch({ hard: true }),
  'delayed-xor': () => delayedXor(),
  'delayed-xor-rate': () => delayedXor({ units: 'rate' }),
  'sequential-digits': () => sequentialDigits(),
  'store-recall': () => storeRecall()
} as const satisfies Readonly<Record<string, () => Task>>

/** The name of a task that the command line knows. */
export type TaskName = keyof typeof TASKS

/** The names of the tasks that the command line knows. */
export const TASK_NAMES = Object.keys(TASKS) as TaskName[]

/** A built-in task with its default options. */
export function builtInTask(name: TaskName): BuiltInTask {
  const task: Task = TASKS[name]()
  const { network, iterations, batchSize, validateEvery } = task
  if (network === undefined || iterations === undefined || batchSize === undefined || validateEvery === undefined) {
    throw new Error(`the task '${name}' lacks a network or a default; this is a bug in mdgl`)
  }
  return { ...task, network, iterations, batchSize, validateEvery }
}
