import { isAbsolute, join } from 'node:path'
import { isCodeFile } from '../runs/code-file.js'
import { type ChosenRule, loadRule } from '../runs/rule-file.js'
import { isSettingPath, type Setting, withSettings } from '../runs/settings.js'
import { loadTask } from '../runs/task-file.js'
import { builtInTask, type TaskName, type TaskOptions } from '../runs/tasks.js'
import { type RunSettings, runConfig } from '../runs/train-run.js'
import { invalid, MdglError } from '../support/error.js'
import type { Optimiser } from '../task/optimiser.js'
import { partOfName, shown } from './folder-name.js'
import type { Choice, SweepPlan } from './plan.js'

/** One value of each of a plan's choices: all that its runs share but rule and seed. */
export interface Combination {
  /** Its values on the plan's axes, as they are shown, in the axes' order. */
  readonly values: readonly string[]
  /** Its folder below the sweep's; nothing where the plan has no axis. */
  readonly folder: string
  /** The task and the options that set it apart. */
  readonly title: string
  readonly options: Omit<RunSettings, 'rule' | 'ruleFile' | 'seed'>
}

/** A value that was chosen, and the place in the plan that it came from. */
interface Chosen {
  readonly choice: Choice
  readonly value: unknown
  readonly path: string
}

/** The name of an axis in tables and folders. */
export const axisName = ({ of, name }: Choice): string => (of === 'options' ? name : `task.${name}`)

/** The plan's axes, the one that changes slowest first. */
export const axesOf = (plan: SweepPlan): readonly Choice[] => plan.choices.filter(({ axis }) => axis)

/**
 * Every combination of a plan's choices; the last axis changes fastest.
 *
 * @param folder - The plan's, from which a task's file is named.
 * @throws {@link MdglError} `'invalid'` for a value that the task or the optimiser does not take, by its place in the plan.
 */
export async function combinationsOf(
  plan: SweepPlan,
  rules: readonly ChosenRule[],
  folder: string
): Promise<Combination[]> {
  const made: Combination[] = []
  for (const chosen of combinations(plan.choices)) made.push(await combinationOf(plan, rules, folder, chosen))
  return made
}

function combinations(choices: readonly Choice[]): readonly Chosen[][] {
  return choices.reduce<Chosen[][]>(
    (all, choice) => all.flatMap(chosen => choice.values.map((value, i) => [...chosen, at(choice, value, i)])),
    [[]]
  )
}

function at(choice: Choice, value: unknown, i: number): Chosen {
  return { choice, value, path: `${choice.of}.${choice.name}${choice.axis ? `[${i}]` : ''}` }
}

async function combinationOf(
  plan: SweepPlan,
  rules: readonly ChosenRule[],
  folder: string,
  chosen: readonly Chosen[]
): Promise<Combination> {
  const { task: given, ...files } = await taskOf(plan, folder, chosen)
  const { optimiser: whole, ...values } = valuesOf(chosen, 'options')
  const [settings, plain] = parted(values)
  const { task, optimiser } = await placed(chosen, 'optimiser', () => withSettings(given, whole as Optimiser, settings))
  const defaults = { iterations: task.iterations, batchSize: task.batchSize, validateEvery: task.validateEvery }
  const options = {
    task,
    ...files,
    ...defaults,
    precision: 'f32',
    ...plain,
    optimiser
  } as Combination['options']
  checkTogether(options)
  await placed(chosen, 'optimiser', () => checkRun(plan, rules, options))
  const axes = chosen.filter(({ choice }) => choice.axis)
  const telling = chosen.filter(({ choice }) => choice.axis || choice.of === 'taskOptions')
  return {
    values: axes.map(({ value }) => shown(value)),
    folder: axes.map(({ choice, value }) => `${axisName(choice)}=${partOfName(value)}`).join(','),
    title: [task.name, ...telling.map(({ choice, value }) => `${axisName(choice)} ${shown(value)}`)].join(', '),
    options
  }
}

/** Builds the network and fills in the optimiser, which names what it does not take. */
function checkRun(
  { seeds: [seed = 1] }: SweepPlan,
  [rule = { rule: 'mdgl' }]: readonly ChosenRule[],
  options: Combination['options']
): void {
  runConfig({ ...options, ...rule, seed })
}

/** The parts of optimiser and regulariser among a combination's options, and the others. */
function parted(values: TaskOptions): readonly [readonly Setting[], TaskOptions] {
  const entries = Object.entries(values)
  const parts = entries.filter(([path]) => isSettingPath(path))
  return [
    parts.map(([path, value]) => ({ path, value })),
    Object.fromEntries(entries.filter(entry => !parts.includes(entry)))
  ]
}

const valuesOf = (chosen: readonly Chosen[], of: Choice['of']): TaskOptions =>
  Object.fromEntries(chosen.flatMap(({ choice, value }) => (choice.of === of ? [[choice.name, value]] : [])))

/** A rule's name as the engine knows it, or the path of its file, which is named from the plan's folder. */
export const ruleOf = async (rule: string, folder: string): Promise<ChosenRule> =>
  await loadRule(isCodeFile(rule) && !isAbsolute(rule) ? join(folder, rule) : rule)

async function taskOf({ task }: SweepPlan, folder: string, chosen: readonly Chosen[]) {
  const values = valuesOf(chosen, 'taskOptions')
  const taskOptions = Object.keys(values).length === 0 ? undefined : values
  return await placed(chosen, 'taskOptions', async () => {
    if (!isCodeFile(task)) return { task: builtInTask(task as TaskName, taskOptions), taskOptions }
    const loaded = await loadTask(isAbsolute(task) ? task : join(folder, task), taskOptions)
    return { task: loaded.task, taskFile: loaded.file, taskOptions }
  })
}

/** Validations and records of the alignment that would never come. */
function checkTogether({ iterations, validateEvery, alignmentEvery = 1 }: Combination['options']): void {
  const most = `at most options.iterations, ${iterations}`
  if (validateEvery > iterations) throw invalid('options.validateEvery', validateEvery, most)
  if (alignmentEvery > iterations) throw invalid('options.alignmentEvery', alignmentEvery, most)
}

/** Errors of a task's options or of the optimiser's parts, by their place in the plan. */
async function placed<T>(
  chosen: readonly Chosen[],
  part: 'taskOptions' | 'optimiser',
  body: () => T
): Promise<Awaited<T>> {
  try {
    return await body()
  } catch (error) {
    if (!(error instanceof MdglError) || error.code !== 'invalid' || error.path === undefined) throw error
    throw invalid(placeOf(error.path, chosen, part), error.value, error.allowed ?? 'another value')
  }
}

/** A task says `options.delay`, the optimiser `optimiser.l1`. */
function placeOf(path: string, chosen: readonly Chosen[], part: 'taskOptions' | 'optimiser'): string {
  const exact = chosen.find(
    ({ choice }) => choice.of === 'options' && choice.name.includes('.') && `${path}.`.startsWith(`${choice.name}.`)
  )
  if (exact !== undefined) return exact.path + path.slice(exact.choice.name.length)
  const [first, ...rest] = path.split('.')
  if (first !== (part === 'taskOptions' ? 'options' : part)) return path
  const [of, [name = '', ...inside]] = part === 'taskOptions' ? [part, rest] : (['options', [part, ...rest]] as const)
  const found = chosen.find(({ choice }) => choice.of === of && choice.name === name)
  return [found?.path ?? [of, name].filter(Boolean).join('.'), ...inside].join('.')
}
