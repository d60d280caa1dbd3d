import { expandRule, MdglError, Model, train } from '../index.js'
import { native } from '../native.js'
import { completeOptimiser, defaultOptimiser, type Optimiser } from '../optimiser.js'
import type { Precision } from '../precision.js'
import type { RuleName } from '../rule.js'
import { RUN_FORMAT, type RunConfig, type RunFolder } from '../run-folder.js'
import type { Metrics } from '../train.js'
import { versions } from '../version.js'
import { alignmentRecord, appendAlignment } from './alignment-record.js'
import type { BuiltInTask } from './tasks.js'

/** One run: a task, a rule, a seed. */
export interface RunOptions {
  readonly task: BuiltInTask
  readonly rule: RuleName
  readonly seed: number
  readonly iterations: number
  readonly batchSize: number
  readonly validateEvery: number
  readonly precision: Precision
  readonly learningRate?: number | undefined
  /** Iterations between records of the alignment to BPTT; they change nothing of the run. Default: none are made. */
  readonly alignmentEvery?: number | undefined
  /** Decides nothing but the time it takes. */
  readonly threads?: number | undefined
  /** Interrupts the run. */
  readonly signal?: AbortSignal | undefined
}

/** Where a run ended. */
export interface RunEnd {
  readonly path: string
  /** The file with the weights of the last completed iteration, where the signal interrupted the run. */
  readonly interrupted: string | undefined
  /** What was not finite, where that ended the run. */
  readonly diverged: string | undefined
}

/** All that decides the run's result, as its config.json has it. */
export function runConfig(options: RunOptions): RunConfig {
  const { task, seed } = options
  const network = task.network({ seed })
  const projections = (network.projections ?? []).map(({ name, from, to }) => name ?? `${from}->${to}`)
  return {
    format: RUN_FORMAT,
    versions: versions(),
    instructionSetClass: native.instructionSetClass(),
    task: task.name,
    rule: expandRule(options.rule),
    network,
    precision: options.precision,
    seed,
    training: {
      iterations: options.iterations,
      batchSize: options.batchSize,
      validateEvery: options.validateEvery,
      loss: task.loss,
      regulariser: task.regulariser ?? null,
      optimiser: completeOptimiser(optimiserOf(options), projections)
    }
  }
}

/**
 * Trains and writes the run folder, handing every metrics line over as it comes. The folder is opened once the options
 * have been checked. A run that diverges ends there, with the weights of its last completed iteration; one whose very first step
 * does fails.
 */
export async function trainRun(
  options: RunOptions,
  open: (config: RunConfig) => Promise<RunFolder>,
  onMetrics: (metrics: Metrics) => void
): Promise<RunEnd> {
  const model = Model.create(options.task.network({ seed: options.seed }), { precision: options.precision })
  try {
    return await trainModel(model, options, open, onMetrics)
  } finally {
    model.dispose()
  }
}

async function trainModel(
  model: Model,
  options: RunOptions,
  open: (config: RunConfig) => Promise<RunFolder>,
  onMetrics: (metrics: Metrics) => void
): Promise<RunEnd> {
  const { task, rule, seed, iterations, batchSize, validateEvery, threads, signal } = options
  const optimiser = optimiserOf(options)
  const settings = { rule, seed, iterations, batchSize, validateEvery, optimiser, threads, signal }
  const training = train(model, task, settings)
  const folder = await open(runConfig(options))
  let iteration = 0
  try {
    for await (const metrics of training) {
      iteration = metrics.iteration
      await folder.append(metrics)
      onMetrics(metrics)
      if (isDue(metrics, options.alignmentEvery)) {
        await appendAlignment(folder.path, await alignmentRecord(model, options, metrics.iteration))
      }
    }
    await folder.finish(model)
    return { path: folder.path, interrupted: undefined, diverged: undefined }
  } catch (error) {
    if (iteration > 0 && error instanceof MdglError && error.code === 'not-finite') {
      await folder.diverge(model, { iteration, message: error.message })
      return { path: folder.path, interrupted: undefined, diverged: error.message }
    }
    if (signal?.aborted !== true || error !== signal.reason) throw error
    return { path: folder.path, interrupted: await folder.interrupt(model), diverged: undefined }
  } finally {
    await folder.close()
  }
}

/** Whether the alignment is to be recorded at this turn: at the weights of an iteration that counts. */
function isDue({ split, iteration }: Metrics, every: number | undefined): boolean {
  return every !== undefined && split === 'train' && iteration % every === 0
}

function optimiserOf({ task, learningRate }: RunOptions): Optimiser {
  const optimiser = task.optimiser ?? defaultOptimiser
  return learningRate === undefined ? optimiser : { ...optimiser, learningRate }
}
