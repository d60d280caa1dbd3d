import { type Collective, checkCollective } from '../engine/collective.js'
import { checkOptions, type RunOptions } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import type { NamesOf, NetworkDescription, WholeDescription } from '../network/description.js'
import { type BiasNames, type ProjectionNames, trainableNames } from '../network/names.js'
import type { CustomRule } from '../rule/custom-rule.js'
import { type PlannedRule, planRule, type RuleUse } from '../rule/planned-rule.js'
import type { Rule, RuleName } from '../rule/rule.js'
import { finite, orDefault, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Precision } from '../support/precision.js'
import type { Regulariser } from '../task/batch.js'
import { makeObjective, type Objective } from '../task/objective.js'
import {
  completeOptimiser,
  frozenNames,
  type Optimiser,
  optimiserOrDefault,
  withLearningRate
} from '../task/optimiser.js'
import type { LearningRate } from '../task/schedule.js'
import { checkTask, type Task, type TaskFor } from '../task/task.js'
import type { Evaluation } from './evaluate.js'

const DEFAULT_ITERATIONS = 1000
const DEFAULT_BATCH_SIZE = 64
const DEFAULT_VALIDATE_EVERY = 10
const MOST_ITERATIONS = 2 ** 32 - 1
const MOST_TRIALS = 2 ** 20

const OPTIONS = [
  'rule',
  'iterations',
  'firstIteration',
  'batchSize',
  'seed',
  'optimiser',
  'learningRate',
  'regulariser',
  'validateEvery',
  'validationSize',
  'stopAt',
  'freeze',
  'collective'
] as const

/** When to stop before the last iteration; with both, both must be met by the same validation. */
export interface StopAt {
  /** Stop at a validation loss of at most this. */
  readonly loss?: number
  /** Stop at a validation accuracy of at least this. */
  readonly accuracy?: number
}

/** Options of {@link train}. */
export interface TrainOptions<D extends NetworkDescription = WholeDescription> extends RunOptions {
  /** The learning rule: the name of a published rule, a {@link Rule}, or a rule of {@link defineRule}. */
  readonly rule: RuleName | Rule | CustomRule
  /** Number of iterations. Default: the task's, else 1000. */
  readonly iterations?: number | undefined
  /**
   * The iteration to begin with, from 1 (default) to `iterations`. A model that has been trained up to iteration n − 1, or was saved then
   * with its optimiser and loaded, continues from n with the same bits as without the interruption.
   */
  readonly firstIteration?: number | undefined
  /** Trials per batch. Default: the task's, else 64. */
  readonly batchSize?: number | undefined
  /** Seed of batches, input events and rewiring. Default: the network's seed. */
  readonly seed?: number | undefined
  /** The optimiser. Default: the task's, else plain Adam, {@link defaultOptimiser}. */
  readonly optimiser?: Optimiser | undefined
  /** Learning rate in place of the optimiser's: a number, a schedule, or a function of the iteration. Default: the optimiser's. */
  readonly learningRate?: LearningRate | undefined
  /** Firing-rate regulariser; null switches the task's off. Default: the task's, else none. */
  readonly regulariser?: Regulariser | null | undefined
  /** Iterations between validations on a fresh batch; 0 for none. Default: the task's, else 10. */
  readonly validateEvery?: number | undefined
  /** Trials of a validation batch. Default: `batchSize`. */
  readonly validationSize?: number | undefined
  /** Stops early at the first validation that reaches this. */
  readonly stopAt?: StopAt | undefined
  /** Projections that keep their weights, and biases of readouts (`choice.bias`) that keep their values. */
  readonly freeze?: readonly (ProjectionNames<D> | BiasNames<D>)[] | undefined
  /**
   * The processes that share the computation, of which this is one; all call with the same model, task and options. A batch is divided
   * into blocks of 16 trials, each computed by one process; weights and metrics have the same bits on every process and for
   * any number of processes. Only built-in losses and the estimators `'backward'` and `'online'` can be shared. Default: none.
   */
  readonly collective?: Collective | undefined
}

/**
 * Everything about a training run, checked and complete.
 *
 * @internal
 */
export interface TrainingPlan {
  readonly model: Model
  readonly task: Task
  readonly objective: Objective
  readonly rule: PlannedRule
  /** As the engine reads it: JSON. */
  readonly optimiser: string
  readonly iterations: number
  readonly firstIteration: number
  readonly batchSize: number
  readonly seed: number
  readonly validateEvery: number
  readonly validationSize: number
  readonly stopAt: StopAt | undefined
  readonly collective: Collective | undefined
  readonly run: RunOptions
}

/**
 * Checks the options of a training run and fills in the task's and the library's defaults.
 *
 * @internal
 */
export function planTraining<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  task: TaskFor<NamesOf<D>>,
  options: TrainOptions<D>
): TrainingPlan {
  nativeModel(model)
  checkTask(task)
  const checked = checkOptions(options, OPTIONS)
  const { description } = model
  const number = (key: NumberOption, fallback: number, least: number, most: number) =>
    wholeNumber(orDefault(checked[key], fallback), `options.${key}`, least, most)
  const batchSize = number('batchSize', orDefault(task.batchSize, DEFAULT_BATCH_SIZE), 1, MOST_TRIALS)
  const validateEvery = number('validateEvery', task.validateEvery ?? DEFAULT_VALIDATE_EVERY, 0, MOST_ITERATIONS)
  const regulariser = checked.regulariser === undefined ? task.regulariser : checked.regulariser
  const iterations = number('iterations', orDefault(task.iterations, DEFAULT_ITERATIONS), 1, MOST_ITERATIONS)
  const objective = makeObjective(task.loss, regulariser, description, nativeModel(model))
  const rule = planRule(nativeModel(model), checked.rule, ruleUse(checked, objective))
  return {
    model,
    task,
    objective,
    rule,
    optimiser: planOptimiser(model, task, checked, iterations),
    iterations,
    firstIteration: number('firstIteration', 1, 1, iterations),
    batchSize,
    seed: wholeNumber(orDefault(checked.seed, description.seed), 'options.seed'),
    validateEvery,
    validationSize: number('validationSize', batchSize, 1, MOST_TRIALS),
    stopAt: checkStopAt(checked.stopAt, validateEvery),
    collective: checkCollective(checked.collective, objective, rule),
    run: checked
  }
}

/** What a training run asks of its rule beyond a gradient. */
function ruleUse({ collective }: TrainOptions, { custom }: Objective): RuleUse | undefined {
  if (collective !== undefined) return 'collective'
  return custom ? 'custom-loss' : undefined
}

type NumberOption = 'iterations' | 'firstIteration' | 'batchSize' | 'validateEvery' | 'validationSize'

function planOptimiser(model: Model, task: Task, options: TrainOptions, iterations: number): string {
  const names = trainableNames(model.description)
  const chosen = optimiserOrDefault(orDefault(options.optimiser, task.optimiser ?? undefined))
  const optimiser = completeOptimiser(withLearningRate(chosen, options.learningRate), names, iterations)
  const frozen = frozenNames(orDefault(options.freeze, []), names, 'options.freeze')
  return JSON.stringify({ ...optimiser, frozen: [...new Set([...(optimiser.frozen ?? []), ...frozen])] })
}

/** Whether a validation is as good as asked for. */
export function reached(stopAt: StopAt | undefined, { loss, accuracy }: Evaluation): boolean {
  if (stopAt === undefined) return false
  const lossReached = stopAt.loss === undefined || loss <= stopAt.loss
  const accuracyReached = stopAt.accuracy === undefined || (accuracy !== null && accuracy >= stopAt.accuracy)
  return lossReached && accuracyReached
}

function fraction(value: number, path: string): void {
  if (finite(value, path) < 0 || value > 1) throw invalid(path, value, '0 to 1, a fraction of trials')
}

function checkStopAt(stopAt: StopAt | undefined, validateEvery: number): StopAt | undefined {
  if (stopAt === undefined) return undefined
  record(stopAt, 'options.stopAt', ['loss', 'accuracy'])
  if (validateEvery === 0) throw invalid('options.stopAt', stopAt, 'nothing without validations (validateEvery is 0)')
  if (stopAt.loss === undefined && stopAt.accuracy === undefined) {
    throw invalid('options.stopAt', stopAt, 'a loss, an accuracy or both')
  }
  if (stopAt.loss !== undefined) finite(stopAt.loss, 'options.stopAt.loss')
  if (stopAt.accuracy !== undefined) fraction(stopAt.accuracy, 'options.stopAt.accuracy')
  return stopAt
}
