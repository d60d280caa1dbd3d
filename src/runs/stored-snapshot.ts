import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { type CapturedTrial, captureTrial, weightsOf } from '../analysis/trial-snapshot.js'
import { Model } from '../model/model.js'
import { readCheckpoint } from './checkpoints.js'
import type { RunSettings } from './train-run.js'

/** A run's last weights, and the iteration that they are of. */
export interface LastModel {
  readonly model: Model
  readonly iteration: number
}

/** The final weights of a run, or those of its last checkpoint; `warn` is called for checkpoints that are not whole. */
export async function lastModel(
  path: string,
  iterations: number,
  warn: (message: string) => void
): Promise<LastModel | undefined> {
  const final = join(path, 'weights.safetensors')
  const finished = await access(final).then(
    () => true,
    () => false
  )
  return finished ? { model: await Model.load(final), iteration: iterations } : await readCheckpoint(path, warn)
}

/** A snapshot of a trial with a run's last weights; weights are compared with the initial ones. */
export async function storedSnapshot({ model, iteration }: LastModel, options: RunSettings): Promise<CapturedTrial> {
  const { task, rule, seed, precision } = options
  using initial = Model.create(task.network({ seed }), { precision })
  return await captureTrial({ model, task, rule, seed, iteration }, weightsOf(initial))
}
