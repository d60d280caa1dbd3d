import { Model } from '../model/model.js'
import type { Batch } from '../task/batch.js'
import type { Optimiser } from '../task/optimiser.js'
import { batchRandom, type Task } from '../task/task.js'
import { evidenceAccumulation } from '../tasks/evidence-accumulation.js'
import { syntheticBatch, syntheticNetwork } from './synthetic.js'
import { type Overrides, PAPER, reshape, SHAPES, type WorkloadName } from './workloads.js'

/** A network and a task to time, and one of the task's batches to count in and to export. */
export interface Work {
  readonly name: WorkloadName
  readonly seed: number
  readonly model: Model
  readonly task: Task & { readonly optimiser: Optimiser; readonly batchSize: number }
  readonly batch: Batch
}

/** Adam and nothing else: no l1, no rewiring. */
const PLAIN_ADAM: Optimiser = { kind: 'adam', learningRate: 5e-4, l1: 0, rewiring: false }

/** The work of a workload; the same seed gives the same work. */
export async function makeWork(name: WorkloadName, seed: number, overrides: Overrides = {}): Promise<Work> {
  if (name === PAPER) return paperWork(seed, overrides.batch)
  const shape = reshape(SHAPES[name], overrides)
  const batch = syntheticBatch(shape, seed)
  const { loss, batch: batchSize } = shape
  const task = { name, loss, optimiser: PLAIN_ADAM, batchSize, batch: () => batch }
  return { name, seed, model: Model.create(syntheticNetwork(shape, seed)), task, batch }
}

async function paperWork(seed: number, batchSize = 64): Promise<Work> {
  const task = evidenceAccumulation()
  const optimiser = task.optimiser
  if (optimiser === undefined) throw new Error('the task of Fig. 3C lacks its optimiser; this is a bug in mdgl')
  const context = { iteration: 1, split: 'train', size: batchSize, rng: batchRandom(seed, 'train', 1) } as const
  return {
    name: PAPER,
    seed,
    model: Model.create(task.network({ seed })),
    task: { ...task, optimiser, batchSize },
    batch: await task.batch(context)
  }
}
