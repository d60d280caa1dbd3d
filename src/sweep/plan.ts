import { readFile } from 'node:fs/promises'
import { ruleNames } from '../rule/rule.js'
import { CODE_FILES, isCodeFile } from '../runs/code-file.js'
import { SEED_LIST, seedList } from '../runs/seeds.js'
import { isSettingPath } from '../runs/settings.js'
import { ALL_TASK_NAMES } from '../runs/tasks.js'
import { array, list, object, oneOf, wholeNumber } from '../support/check.js'
import { invalid, MdglError } from '../support/error.js'
import { completeLearningRate } from '../task/schedule.js'
import { partOfName } from './folder-name.js'

/** The schema of a plan, part of every plan's file. */
const PLAN_SCHEMA = 'mdgl-sweep/1'

/** What a plan says of one option: a value, or a list of values, which is an axis. */
export interface Choice {
  /** Whether it goes to the run or to the task. */
  readonly of: 'options' | 'taskOptions'
  readonly name: string
  /** At least one. */
  readonly values: readonly unknown[]
  /** Whether the plan has a list, even of one value. */
  readonly axis: boolean
}

/** A checked plan: its items are every combination of its choices, rules and seeds. */
export interface SweepPlan {
  /** A built-in task's name, or a file's path as the plan has it. */
  readonly task: string
  /** Published names, or files' paths as the plan has them. */
  readonly rules: readonly string[]
  readonly seeds: readonly number[]
  /** Those of the run, then those of the task, each in the order of the file. */
  readonly choices: readonly Choice[]
}

const KEYS = ['schema', 'task', 'taskOptions', 'rules', 'seeds', 'options']

/** The run's options that a plan may set, and what each must be. */
const OPTIONS: Readonly<Record<string, (value: unknown, path: string) => unknown>> = {
  iterations: (value, path) => wholeNumber(value, path, 1),
  batchSize: (value, path) => wholeNumber(value, path, 1),
  validateEvery: (value, path) => wholeNumber(value, path, 1),
  checkpointEvery: (value, path) => wholeNumber(value, path, 0),
  alignmentEvery: (value, path) => wholeNumber(value, path, 1),
  learningRate: (value, path) => completeLearningRate(value, path, 1),
  precision: (value, path) => oneOf(value, path, ['f32', 'f64']),
  optimiser: object
}

/**
 * Reads a plan's file.
 *
 * @throws {@link MdglError} `'file'` for one that cannot be read or is no JSON; `'invalid'` with the place in the file, such as `rules[1]`.
 */
export async function readPlan(path: string): Promise<SweepPlan> {
  return checkPlan(parse(await readFile(path, 'utf8').catch(unreadable(path))))
}

function unreadable(path: string) {
  return (cause: Error): never => {
    throw new MdglError({ code: 'file', message: `the plan ${path} cannot be read (${cause.message})`, cause })
  }
}

function parse(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch (cause) {
    throw new MdglError({ code: 'file', message: `it is no JSON (${(cause as Error).message})`, cause })
  }
}

function checkPlan(value: unknown): SweepPlan {
  const plan = object(value, 'the plan') as Readonly<Record<string, unknown>>
  const unknown = Object.keys(plan).find(key => !KEYS.includes(key))
  if (unknown !== undefined) throw invalid(unknown, plan[unknown], `only ${list(KEYS)}`)
  oneOf(plan.schema, 'schema', [PLAN_SCHEMA])
  return {
    task: checkTaskName(plan.task),
    rules: distinct(plan.rules, 'rules', checkRuleName),
    seeds: checkSeeds(plan.seeds),
    choices: [...choices(plan, 'options'), ...choices(plan, 'taskOptions')]
  }
}

function checkTaskName(task: unknown): string {
  const allowed = `${list(ALL_TASK_NAMES)}, or ${CODE_FILES}`
  if (typeof task !== 'string' || !(isCodeFile(task) || (ALL_TASK_NAMES as readonly string[]).includes(task))) {
    throw invalid('task', task, allowed)
  }
  return task
}

function checkRuleName(rule: unknown, path: string): string {
  if (typeof rule === 'string' && (isCodeFile(rule) || (ruleNames as readonly string[]).includes(rule))) return rule
  throw invalid(path, rule, `${list(ruleNames)}, or ${CODE_FILES}`)
}

function checkSeeds(seeds: unknown): readonly number[] {
  if (typeof seeds === 'string') return seedList(seeds, part => invalid('seeds', part, SEED_LIST))
  if (!Array.isArray(seeds)) throw invalid('seeds', seeds, `a list of seeds, or a text of ${SEED_LIST}`)
  return distinct(seeds, 'seeds', (seed, path) => wholeNumber(seed, path))
}

function choices(plan: Readonly<Record<string, unknown>>, of: Choice['of']): Choice[] {
  const given = plan[of] === undefined ? {} : (object(plan[of], of) as Readonly<Record<string, unknown>>)
  return Object.entries(given).map(([name, value]) => {
    const check = of === 'options' ? optionCheck(name, value) : anyValue(name)
    const axis = Array.isArray(value)
    const path = `${of}.${name}`
    return { of, name, axis, values: axis ? distinct(value, path, check) : [check(value, path)] }
  })
}

function optionCheck(name: string, value: unknown) {
  const check = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : isSettingPath(name) ? anyValue(name) : undefined
  const allowed = `only ${list(Object.keys(OPTIONS))}, or a part such as 'optimiser.clipNorm'`
  if (check === undefined) throw invalid(`options.${name}`, value, allowed)
  return check
}

/** What a task takes is its own to say; but folders are named by it. */
function anyValue(name: string) {
  if (!/^[\w.-]+$/.test(name)) throw invalid('taskOptions', name, 'names of letters, digits, ., _ and -')
  return (value: unknown) => value
}

/** A list of at least one value, each once. */
function distinct<T>(values: unknown, path: string, check: (value: unknown, path: string) => T): readonly T[] {
  const given = array(values as readonly unknown[], path)
  if (given.length === 0) throw invalid(path, given, 'a list of at least one value')
  const seen = new Set<string>()
  return given.map((value, i) => {
    const place = `${path}[${i}]`
    const checked = check(value, place)
    const name = partOfName(value)
    if (seen.has(name)) throw invalid(place, value, 'a value that the list does not have already')
    seen.add(name)
    return checked
  })
}
