import { Model, nativeModel } from '../model/model.js'
import { trainableNames } from '../network/names.js'
import { isSettingPath, parseSetting, SETTING_FORMS, type Setting, withSettings } from '../runs/settings.js'
import type { BuiltInTask } from '../runs/tasks.js'
import type { RunSettings } from '../runs/train-run.js'
import { MdglError } from '../support/error.js'
import { makeObjective } from '../task/objective.js'
import { completeOptimiser } from '../task/optimiser.js'
import { type Option, UsageError } from './options.js'

/** --set: options of the optimiser or the regulariser in place of the task's; it may be given several times. */
export const SET: Option<Setting[]> = {
  value: 'PATH=VALUE',
  text: 'an option of the optimiser or the regulariser in place of the task\'s, such as optimiser.clipNorm=1, optimiser.decay={"factor":0.5,"every":100}, optimiser.learningRate=cosine:0.01 or regulariser=null; may be repeated',
  parse: (given, name) => {
    const setting = parseSetting(given)
    if (setting === undefined) throw new UsageError(`--${name} is '${given}'; it must be ${SETTING_FORMS}`)
    return [setting]
  },
  join: all => {
    const settings = all.flat()
    const paths = settings.map(({ path }) => path)
    const twice = paths.find((path, i) => paths.indexOf(path) !== i)
    if (twice !== undefined) throw new UsageError(`--set has ${twice} twice`)
    return settings
  }
}

/**
 * The task and the optimiser with the settings that a command was given.
 *
 * @throws A {@link UsageError} for an option that does not exist or a value that it may not have, by its path.
 */
export function withSetOption(
  task: BuiltInTask,
  settings: readonly Setting[] | undefined,
  iterations: number
): Pick<RunSettings, 'task' | 'optimiser'> {
  if (settings === undefined) return { task }
  try {
    const changed = withSettings(task, undefined, settings)
    check(changed, iterations)
    return changed
  } catch (error) {
    const isSetting = error instanceof MdglError && error.path !== undefined && isSettingPath(error.path)
    throw isSetting ? new UsageError(`--set: ${error.message.replace(/\.$/, '')}`) : error
  }
}

/** Optimiser and objective beside the task's network, as a training checks them. */
function check({ task, optimiser }: Pick<RunSettings, 'task' | 'optimiser'>, iterations: number): void {
  const model = Model.create(task.network({ seed: 1 }))
  try {
    const { description } = model
    if (optimiser !== undefined) completeOptimiser(optimiser, trainableNames(description), iterations)
    makeObjective(task.loss, task.regulariser, description, nativeModel(model))
  } finally {
    model.dispose()
  }
}
