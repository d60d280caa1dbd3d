import type { StepReport } from '#native'
import { askLoss } from '../engine/ask-loss.js'
import { askRule } from '../engine/ask-rule.js'
import { agree, type Collective, computeTogether, given } from '../engine/collective.js'
import { type EncodedBatch, encodeBatch } from '../engine/encode-batch.js'
import { Session } from '../engine/engine-session.js'
import type { Model } from '../model/model.js'
import type { NamesOf, NetworkDescription } from '../network/description.js'
import { projectionNames } from '../network/names.js'
import type { CustomRule } from '../rule/custom-rule.js'
import { abortWith, throwIfAborted, unlessAborted } from '../support/abort.js'
import type { Precision } from '../support/precision.js'
import { eventStream, type KnownNames, type Split, type TaskFor, taskBatch } from '../task/task.js'
import { type Evaluation, evaluationOf, type ReadoutMetrics, score } from './evaluate.js'
import { planTraining, reached, type TrainingPlan, type TrainOptions } from './training-plan.js'
import { expectToBegin, hasBegun } from './unused-training.js'

/** Metrics of an iteration or of a validation. */
export interface Metrics {
  /** The iteration, from 1. */
  readonly iteration: number
  /** `'train'`: the iteration's own batch, before its update; `'validation'`: a fresh batch, after it. */
  readonly split: 'train' | 'validation'
  /** E of the task, the weighted sum of its losses, without the regulariser. */
  readonly loss: number
  /** Fraction of answers that were right; null where no loss defines right answers. */
  readonly accuracy: number | null
  /** Metrics of each readout that has a loss. In the files of a run folder only where there are several. */
  readonly readouts: { readonly [readout: string]: ReadoutMetrics }
  /** The regulariser's part, 0 without one. */
  readonly regulariser: number
  /** Global norm of the latest step's gradient, before clipping. */
  readonly gradientNorm: number
  /** Duration of the latest step in ms: forward, backward and update. */
  readonly msPerIteration: number
  /** Mean firing rate of the recurrent neurons in Hz. */
  readonly rate: number
  /** The number of weights other than 0 of each projection after the latest step; empty in run folders of earlier versions. */
  readonly living: { readonly [projection: string]: number }
}

/** A training run: an async iterator of metrics. Leaving the loop, or `return()`, stops it. */
export interface Training extends AsyncIterator<Metrics, undefined, undefined>, AsyncDisposable {
  /** The run itself, for `for await`. */
  [Symbol.asyncIterator](): this
  /** The next metrics. */
  next(): Promise<IteratorResult<Metrics, undefined>>
  /** Stops the run, also in the middle of an iteration; the model stays as the last completed iteration left it. */
  return(): Promise<IteratorResult<Metrics, undefined>>
}

/**
 * Trains a model on a task. The engine computes on threads of its own. The iterator yields metrics of every iteration and, every
 * `validateEvery` iterations, of a validation on a fresh batch.
 *
 * An iteration runs when its metrics are requested, so that in the body of the loop the model's weights are those after the
 * iteration just reported. The next batch is created while the engine computes this one (not with a custom loss or rule).
 *
 * Batches depend on seed, split and iteration only: a second run with the same seed draws the same batches again. A model
 * keeps its optimiser's moments from one run to the next, in a clone, and in a file saved with `{ optimiser: true }`; with `firstIteration` a run
 * continues where training stopped, with the same bits.
 *
 * @example
 * ```ts
 * const task = evidenceAccumulation();
 * const model = Model.create(task.network({ seed: 1 }));
 * for await (const { iteration, split, loss } of train(model, task, { rule: 'mdgl' })) console.log(iteration, split, loss);
 * ```
 * @param model - The model; its weights and optimiser state change.
 * @param task - The task. An input or a readout that it names and the model does not have is a compile error where the compiler knows both,
 * else `'invalid'`.
 * @param options - The rule, and options that default to the task's.
 * @returns An async iterator of metrics.
 * @throws {@link MdglError} `'invalid'` at once for an option that is not allowed. The iterator rejects with `'busy'` when the
 * model is being trained already or a session is open on it, `'invalid'` for bad batches and targets, `'not-finite'`,
 * `'memory'`; with the signal's reason when aborted; with errors of the task, its loss, a custom rule or a collective unchanged. After any of these the
 * model is as the last completed iteration left it.
 */
export function train<
  D extends NetworkDescription,
  P extends Precision,
  T extends TaskFor<NamesOf<D>> = TaskFor<NamesOf<D>>
>(model: Model<D, P>, task: T & KnownNames<D, T>, options: TrainOptions<D>): Training {
  return new TrainingRun(planTraining(model, task, options))
}

const LEFT = Symbol('the loop was left')

type StepMetrics = Pick<Metrics, keyof Evaluation | 'gradientNorm' | 'living'>

/**
 * What {@link train} gives, and how long the engine itself took.
 *
 * @internal
 */
export class TrainingRun implements Training {
  readonly #plan: TrainingPlan
  /** Aborts where the loop is left, and with the caller's signal. */
  readonly #leave = new AbortController()
  readonly #steps: AsyncGenerator<Metrics, undefined, undefined>
  #engineMs = 0

  constructor(plan: TrainingPlan) {
    this.#plan = plan
    expectToBegin(this)
    this.#steps = this.#start()
  }

  get #signal(): AbortSignal {
    return this.#leave.signal
  }

  /** The engine's own time for the latest step in ms, without the way there and back. */
  get engineMs(): number {
    return this.#engineMs
  }

  next(): Promise<IteratorResult<Metrics, undefined>> {
    hasBegun(this)
    return this.#steps.next()
  }

  return(): Promise<IteratorResult<Metrics, undefined>> {
    hasBegun(this)
    this.#leave.abort(LEFT)
    return this.#steps.return(undefined)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async *#start(): AsyncGenerator<Metrics, undefined, undefined> {
    const { model, objective, rule, optimiser, run } = this.#plan
    throwIfAborted(run.signal)
    const plan = { objective: objective.json, ...rule.plan, optimiser, training: true }
    const stopFollowing = run.signal === undefined ? () => undefined : abortWith(this.#leave, run.signal)
    let session: Session | undefined
    try {
      session = new Session(model, plan, { ...run, signal: this.#signal })
      yield* this.#iterate(session)
    } catch (error) {
      if (error !== LEFT) throw error
    } finally {
      stopFollowing()
      await session?.close()
    }
  }

  async *#iterate(session: Session): AsyncGenerator<Metrics, undefined, undefined> {
    const { firstIteration, iterations, batchSize, validationSize, validateEvery, stopAt } = this.#plan
    await this.#agree()
    let ahead: Promise<EncodedBatch> | undefined
    for (let iteration = firstIteration; iteration <= iterations; iteration++) {
      const encoded = await unlessAborted(ahead ?? this.#prepare('train', iteration, batchSize), this.#signal)
      const begun = performance.now()
      const running = this.#step(session, encoded)
      ahead = this.#prepareAhead(iteration + 1)
      const { gradientNorm, living, ...step } = await running
      const latest = { iteration, gradientNorm, msPerIteration: performance.now() - begun }
      yield { ...latest, split: 'train', ...step, living }
      if (validateEvery === 0 || iteration % validateEvery !== 0) continue
      const fresh = await unlessAborted(this.#prepare('validation', iteration, validationSize), this.#signal)
      const validation = await this.#validate(session, fresh)
      yield { ...latest, split: 'validation', ...validation, living }
      if (reached(stopAt, validation)) return
    }
  }

  /** Before the first iteration of a shared training. */
  async #agree(): Promise<void> {
    const { collective, iterations, firstIteration, batchSize, seed, validateEvery, validationSize, stopAt } =
      this.#plan
    if (collective === undefined) return
    const settings = {
      iterations,
      firstIteration,
      batchSize,
      seed,
      validateEvery,
      validationSize,
      stopAt: stopAt ?? null
    }
    await agree(collective, settings, this.#signal)
  }

  /**
   * Starts on a later iteration's batch, if there is one. It may fail before it is awaited; the error belongs to
   * its own iteration. A custom loss or rule reads the batch itself, which a task may overwrite with the next: nothing is ahead.
   */
  #prepareAhead(iteration: number): Promise<EncodedBatch> | undefined {
    const { iterations, objective, rule, batchSize } = this.#plan
    if (iteration > iterations || objective.custom || rule.custom) return undefined
    const encoded = this.#prepare('train', iteration, batchSize)
    encoded.catch(() => undefined)
    return encoded
  }

  async #prepare(split: Split, iteration: number, size: number): Promise<EncodedBatch> {
    const { task, seed, model, objective, collective } = this.#plan
    const batch = await taskBatch(task, { seed, split, iteration, size, share: collective })
    return encodeBatch(batch, model.description, objective, { seed, stream: eventStream(split), iteration }, collective)
  }

  async #step(session: Session, encoded: EncodedBatch): Promise<StepMetrics> {
    const { objective, rule, collective } = this.#plan
    if (collective !== undefined) {
      const { report } = await computeTogether(session, encoded, this.#shared(collective, true))
      return this.#stepped(given(report, 'report'))
    }
    if (rule.custom !== undefined) return await this.#stepByRule(session, encoded, rule.custom)
    if (!objective.custom) {
      return this.#stepped(await session.run(engine => engine.step(encoded.handle)))
    }
    const { pending, score } = await askLoss(session, objective, encoded)
    return this.#stepped(await session.run(() => pending.step(score)))
  }

  async #validate(session: Session, encoded: EncodedBatch): Promise<Evaluation> {
    const { objective, collective } = this.#plan
    if (collective === undefined) return await score(session, objective, encoded)
    const { evaluation } = await computeTogether(session, encoded, this.#shared(collective, false))
    return evaluationOf(given(evaluation, 'evaluation'))
  }

  #shared(collective: Collective, step: boolean) {
    return { objective: this.#plan.objective, collective, signal: this.#signal, step }
  }

  async #stepByRule(session: Session, encoded: EncodedBatch, rule: CustomRule): Promise<StepMetrics> {
    const { objective, model } = this.#plan
    const question = { rule, objective, description: model.description, encoded, signal: this.#signal }
    const { pending, signal } = await askRule(session, question)
    return this.#stepped(await session.run(() => pending.step(signal)))
  }

  #stepped({ evaluation, gradientNorm, living, engineMs }: StepReport): StepMetrics {
    this.#engineMs = engineMs
    const names = projectionNames(this.#plan.model.description)
    const counts = Object.fromEntries(names.map((name, i) => [name, living[i] ?? 0]))
    return { ...evaluationOf(evaluation), gradientNorm, living: counts }
  }
}
