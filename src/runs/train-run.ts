import { expandRule, Model, train } from '../index.js'
import { native } from '../native.js'
import { completeOptimiser, defaultOptimiser, type Optimiser } from '../optimiser.js'
import type { Precision } from '../precision.js'
import type { RuleName } from '../rule.js'
import { RUN_FORMAT, type RunConfig, RunFolder } from '../run-folder.js'
import type { Metrics } from '../train.js'
import { versions } from '../version.js'
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
  /** Decides nothing but the time it takes. */
  readonly threads?: number | undefined
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

/** Trains and writes the run folder, handing every metrics line over as it comes. */
export async function trainRun(
  options: RunOptions,
  path: string,
  onMetrics: (metrics: Metrics) => void
): Promise<void> {
  const { task, rule, seed, iterations, batchSize, validateEvery, precision, threads } = options
  const folder = await RunFolder.create(path, runConfig(options))
  const model = Model.create(task.network({ seed }), { precision })
  try {
    const optimiser = optimiserOf(options)
    const settings = { rule, seed, iterations, batchSize, validateEvery, optimiser }
    for await (const metrics of train(model, task, threads === undefined ? settings : { ...settings, threads })) {
      await folder.append(metrics)
      onMetrics(metrics)
    }
    await folder.finish(model)
  } finally {
    await folder.close()
    model.dispose()
  }
}

function optimiserOf({ task, learningRate }: RunOptions): Optimiser {
  const optimiser = task.optimiser ?? defaultOptimiser
  return learningRate === undefined ? optimiser : { ...optimiser, learningRate }
}
