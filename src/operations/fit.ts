import { guard } from '../addon/native.js'
import { type Model, nativeModel } from '../model/model.js'
import type { NamesOf, NetworkDescription } from '../network/description.js'
import { callable, flag, nonNegative, object, oneOf, orDefault, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import { filePath } from '../support/file-path.js'
import type { Precision } from '../support/precision.js'
import type { KnownNames, TaskFor } from '../task/task.js'
import { type Metrics, TrainingRun } from './train.js'
import { planTraining, reached, type TrainingPlan, type TrainOptions } from './training-plan.js'

/** Where and when a model is saved while it is trained. */
export interface FitCheckpoint {
  /** A file, or a function that returns one for each iteration. It is written completely or not at all, with the optimiser's state. */
  readonly path: string | URL | ((iteration: number) => string | URL)
  /** Iterations between two checkpoints; the last iteration is saved too. */
  readonly every: number
}

/** Options of {@link fit}. */
export interface FitOptions<D extends NetworkDescription = NetworkDescription> extends TrainOptions<D> {
  /** Number of validations in a row without improvement after which training stops. Default: it never stops for this reason. */
  readonly patience?: number | undefined
  /** What must improve: the loss (fall) or the accuracy (rise). Default `'loss'`. */
  readonly monitor?: 'loss' | 'accuracy' | undefined
  /** The difference above which a validation counts as improved. Default 0. */
  readonly leastImprovement?: number | undefined
  /**
   * Whether the model ends with the weights and the optimiser's state of its best validation. Default: true with `patience`, else false. It needs the
   * memory of a second model.
   */
  readonly keepBest?: boolean | undefined
  /** Called with the metrics of every iteration and validation, and awaited; training ends if it returns false. */
  readonly onMetrics?: ((metrics: Metrics) => unknown) | undefined
  /** Saves the model during training. Default: not saved. {@link Model.load} and `firstIteration` continue from the file with the same bits. */
  readonly checkpoint?: FitCheckpoint | undefined
}

/** Result of a training. */
export interface Fit {
  /** The metrics in their order. */
  readonly history: {
    /** One entry per iteration. */
    readonly train: readonly Metrics[]
    /** One entry per validation. */
    readonly validation: readonly Metrics[]
  }
  /** The best validation; missing where there was none. */
  readonly best?: Metrics
  /** Why it ended: all `iterations` were done, a validation reached `stopAt`, `patience` ran out, or `onMetrics` returned false. */
  readonly stopped: 'iterations' | 'stop-at' | 'patience' | 'callback'
}

/**
 * Trains a model on a task to the end, as {@link train} does iteration by iteration, and returns the history.
 *
 * @example
 * ```ts
 * const { history, best } = await fit(model, task, { rule: 'mdgl', iterations: 20, validateEvery: 5, patience: 2 });
 * console.log(history.train.length, 'iterations; best validation loss', best?.loss);
 * ```
 * @param model - The model; its weights and optimiser state change.
 * @param task - The task.
 * @param options - The rule, when to stop, and more.
 * @throws {@link MdglError} as a rejection: as {@link train}, and `'invalid'` for `patience`, `monitor`, `leastImprovement` or `keepBest` without
 * validations, and for `monitor: 'accuracy'` where no loss has an accuracy; the system's own error where a checkpoint cannot be written; errors of
 * `onMetrics` unchanged. The model is then as the last completed iteration left it.
 */
export async function fit<
  D extends NetworkDescription,
  P extends Precision,
  T extends TaskFor<NamesOf<D>> = TaskFor<NamesOf<D>>
>(model: Model<D, P>, task: T & KnownNames<D, T>, options: FitOptions<D>): Promise<Fit> {
  const { patience, monitor, leastImprovement, keepBest, onMetrics, checkpoint, ...training } = object(
    options,
    'options'
  )
  const plan = planTraining(model, task, training)
  const watch = new Watch(
    model,
    checkWatch({ patience, monitor, leastImprovement, keepBest }, plan),
    orDefault(onMetrics, () => true),
    checkCheckpoint(checkpoint, plan.iterations)
  )
  callable(watch.onMetrics, 'options.onMetrics')
  await using run = new TrainingRun(plan)
  for await (const metrics of run) {
    watch.stopped ??= await watch.take(metrics, plan.iterations)
    if (metrics.split === 'validation' && reached(plan.stopAt, metrics)) watch.stopped = 'stop-at'
    if (watch.stopped !== undefined) break
  }
  await run.return()
  return watch.end()
}

interface WatchPlan {
  readonly patience: number
  readonly monitor: 'loss' | 'accuracy'
  readonly leastImprovement: number
  readonly keepBest: boolean
}

/** An accuracy, which a custom loss may lack. */
function accuracyOf({ accuracy }: Metrics): number {
  if (accuracy === null) throw noAccuracy()
  return accuracy
}

interface CheckpointPlan {
  readonly pathOf: (iteration: number) => string
  readonly every: number
}

/** Collects the metrics of a training, keeps its best model, and decides when it ends. */
class Watch {
  readonly #model: Model
  readonly #plan: WatchPlan
  readonly onMetrics: (metrics: Metrics) => unknown
  readonly #checkpoint: CheckpointPlan | undefined
  readonly #history = { train: [] as Metrics[], validation: [] as Metrics[] }
  #best: { readonly metrics: Metrics; readonly model: Model | undefined } | undefined
  #sinceBest = 0
  stopped: Exclude<Fit['stopped'], 'iterations'> | undefined

  constructor(
    model: Model,
    plan: WatchPlan,
    onMetrics: (metrics: Metrics) => unknown,
    checkpoint: CheckpointPlan | undefined
  ) {
    this.#model = model
    this.#plan = plan
    this.onMetrics = onMetrics
    this.#checkpoint = checkpoint
  }

  /** Whether the training ends after this, and why. */
  async take(metrics: Metrics, iterations: number): Promise<Watch['stopped']> {
    this.#history[metrics.split].push(metrics)
    if (metrics.split === 'validation') this.#compare(metrics)
    const goesOn = await this.onMetrics(metrics)
    if (metrics.split === 'train') await this.#save(metrics.iteration, iterations)
    if (goesOn === false) return 'callback'
    return this.#sinceBest >= this.#plan.patience ? 'patience' : undefined
  }

  end(): Fit {
    const best = this.#best
    if (best?.model !== undefined) {
      const kept = best.model
      guard(() => nativeModel(this.#model).restore(nativeModel(kept)))
      kept.dispose()
    }
    return {
      history: this.#history,
      ...(best !== undefined && { best: best.metrics }),
      stopped: this.stopped ?? 'iterations'
    }
  }

  #compare(metrics: Metrics): void {
    if (this.#plan.monitor === 'accuracy') accuracyOf(metrics)
    if (this.#best !== undefined && !this.#isBetter(metrics, this.#best.metrics)) {
      this.#sinceBest += 1
      return
    }
    this.#best?.model?.dispose()
    this.#best = { metrics, model: this.#plan.keepBest ? this.#model.clone() : undefined }
    this.#sinceBest = 0
  }

  #isBetter(metrics: Metrics, best: Metrics): boolean {
    const { monitor, leastImprovement } = this.#plan
    const gain = monitor === 'loss' ? best.loss - metrics.loss : accuracyOf(metrics) - accuracyOf(best)
    return gain > 0 && gain >= leastImprovement
  }

  async #save(iteration: number, iterations: number): Promise<void> {
    const checkpoint = this.#checkpoint
    if (checkpoint === undefined || (iteration % checkpoint.every !== 0 && iteration !== iterations)) return
    await this.#model.save(checkpoint.pathOf(iteration), { optimiser: true })
  }
}

function checkWatch(
  { patience, monitor, leastImprovement, keepBest }: Partial<Record<keyof WatchPlan, unknown>>,
  { validateEvery, objective }: TrainingPlan
): WatchPlan {
  const given = Object.entries({ patience, monitor, leastImprovement, keepBest }).find(
    ([, value]) => value !== undefined
  )
  if (validateEvery === 0 && given !== undefined) {
    throw invalid(`options.${given[0]}`, given[1], 'nothing without validations (validateEvery is 0)')
  }
  const knowsAccuracy = objective.terms.some(({ kind }) => kind !== 'squared-error')
  if (monitor === 'accuracy' && !knowsAccuracy) throw noAccuracy()
  return {
    patience: patience === undefined ? Number.POSITIVE_INFINITY : wholeNumber(patience, 'options.patience', 1),
    monitor: oneOf(orDefault(monitor, 'loss'), 'options.monitor', ['loss', 'accuracy'] as const),
    leastImprovement: nonNegative(orDefault(leastImprovement, 0), 'options.leastImprovement'),
    keepBest: flag(orDefault(keepBest, patience !== undefined), 'options.keepBest')
  }
}

const noAccuracy = () => invalid('options.monitor', 'accuracy', "'loss', for losses that know no right or wrong")

function checkCheckpoint(checkpoint: FitCheckpoint | undefined, iterations: number): CheckpointPlan | undefined {
  if (checkpoint === undefined) return undefined
  const { path, every } = record(checkpoint, 'options.checkpoint', ['path', 'every'])
  const checked = wholeNumber(every, 'options.checkpoint.every', 1, Math.max(1, iterations))
  if (typeof path === 'function') {
    return { every: checked, pathOf: iteration => filePath(path(iteration), 'options.checkpoint.path()') }
  }
  const file = filePath(path, 'options.checkpoint.path')
  return { every: checked, pathOf: () => file }
}
