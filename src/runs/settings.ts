import { isObject } from '../support/check.js'
import { invalid } from '../support/error.js'
import { defaultOptimiser, type Optimiser, withLearningRate } from '../task/optimiser.js'
import type { Schedule } from '../task/schedule.js'
import { LEARNING_RATE_FORMS, parseLearningRate } from './learning-rate-text.js'
import type { BuiltInTask } from './tasks.js'

/** A value for one option of the optimiser or the regulariser, or for a whole one. */
export interface Setting {
  /** `optimiser` or `regulariser`, and the names of its parts with dots between, such as `optimiser.decay.factor`. */
  readonly path: string
  readonly value: unknown
}

/** What settings may be of. */
const ROOTS = ['optimiser', 'regulariser']

/** What {@link parseSetting} takes, for messages. */
export const SETTING_FORMS =
  'PATH=VALUE, with a path that begins with optimiser or regulariser, such as optimiser.clipNorm=1'

/** Whether a path names the optimiser, the regulariser or a part of them. */
export const isSettingPath = (path: string): boolean =>
  ROOTS.includes(path.split('.')[0] ?? '') && !/\.(\.|$)/.test(path)

/** Parses PATH=VALUE, the value as JSON or else as a word; `undefined` for any other text. */
export function parseSetting(given: string): Setting | undefined {
  const [, path = '', text = ''] = /^([^=]+)=(.+)$/s.exec(given) ?? []
  return isSettingPath(path) ? { path, value: parsed(text) } : undefined
}

/** A setting as {@link parseSetting} takes it. */
export const settingText = ({ path, value }: Setting): string =>
  `${path}=${typeof value === 'string' ? value : JSON.stringify(value)}`

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/**
 * A task with settings in place of what it has: its regulariser changed, and an optimiser, which is the given one or the task's, changed.
 *
 * @throws {@link MdglError} `'invalid'` for a learning rate that is not one. The training refuses other values that are not allowed, by their paths.
 */
export function withSettings(
  task: BuiltInTask,
  optimiser: Optimiser | undefined,
  settings: readonly Setting[]
): { readonly task: BuiltInTask; readonly optimiser: Optimiser | undefined } {
  const of = (root: string) => settings.filter(({ path }) => path.split('.')[0] === root)
  const [forOptimiser, forRegulariser] = [of('optimiser'), of('regulariser')]
  const regulariser = forRegulariser.reduce<unknown>(changed, task.regulariser ?? {})
  const given: unknown = optimiser ?? task.optimiser ?? defaultOptimiser
  return {
    task: forRegulariser.length === 0 ? task : { ...task, regulariser: regulariser as BuiltInTask['regulariser'] & {} },
    optimiser: forOptimiser.length === 0 ? optimiser : (forOptimiser.reduce(changedOptimiser, given) as Optimiser)
  }
}

/** A value with one of its parts changed; the parts on the way are made where there are none. */
function changed(value: unknown, { path, value: to }: Setting): unknown {
  const [, ...names] = path.split('.')
  return replaced(value, names, to)
}

function replaced(value: unknown, [name, ...rest]: readonly string[], to: unknown): unknown {
  if (name === undefined) return to
  const parts = isObject(value) ? (value as Readonly<Record<string, unknown>>) : {}
  // A projection's name may have dots.
  const inside = name === 'learningRateFactors' && rest.length > 0 ? [rest.join('.')] : rest
  return { ...parts, [name]: replaced(parts[name], inside, to) }
}

/** As {@link changed}: a learning rate may be a text; another kind of optimiser leaves the constants of the former behind. */
function changedOptimiser(optimiser: unknown, setting: Setting): unknown {
  const { path, value } = setting
  if (path === 'optimiser.learningRate') return withLearningRate(optimiser as Optimiser, learningRate(value))
  if (path !== 'optimiser.kind' || (optimiser as Optimiser).kind === value) return changed(optimiser, setting)
  const { beta1, beta2, epsilon, ...others } = optimiser as Readonly<Record<string, unknown>>
  return changed(others, setting)
}

function learningRate(value: unknown): number | Schedule {
  if (typeof value !== 'string') return value as number | Schedule
  const rate = parseLearningRate(value)
  if (rate === undefined) throw invalid('optimiser.learningRate', value, LEARNING_RATE_FORMS)
  return rate
}

/** In what a value differs from another, as settings: their parts' where both have parts. */
export function settingsBetween(path: string, before: unknown, after: unknown): Setting[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  const parts = [before, after].every(
    value => isObject(value) && !Array.isArray(value) && !('kind' in value && path.includes('.'))
  )
  if (!parts) return [{ path, value: after }]
  const [a, b] = [before, after] as [Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>]
  return Object.keys(b).flatMap(name => settingsBetween(`${path}.${name}`, a[name], b[name]))
}
