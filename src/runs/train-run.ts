import { dirname, relative } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { native } from '../addon/native.js'
import { Model } from '../model/model.js'
import type { NetworkDescription } from '../network/description.js'
import { completeDescription } from '../network/draft.js'
import { trainableNames } from '../network/names.js'
import type { Metrics } from '../operations/train.js'
import { train } from '../operations/train.js'
import { perturbChannels } from '../rule/channels-of.js'
import { isCustomRule } from '../rule/custom-rule.js'
import { expandRule } from '../rule/rule.js'
import { MdglError } from '../support/error.js'
import type { Precision } from '../support/precision.js'
import { isError } from '../support/recognise.js'
import { shellWord } from '../support/shell-word.js'
import { versions } from '../support/version.js'
import {
  completeOptimiser,
  defaultOptimiser,
  type Optimiser,
  optimiserOrDefault,
  withLearningRate
} from '../task/optimiser.js'
import { completeLearningRate, type Schedule } from '../task/schedule.js'
import { type AlignmentRecord, alignmentRecord, appendAlignment } from './alignment-record.js'
import { type Checkpoint, hasCheckpoint, writeCheckpoint } from './checkpoints.js'
import { type CodeFile, changedImports } from './code-file.js'
import type { RunControl } from './control.js'
import { channelFactorsAt, type Intervention, learningRateAt, nextChange, recordIntervention } from './interventions.js'
import { provenanceOf } from './provenance.js'
import type { ChosenRule } from './rule-file.js'
import { RUN_FORMAT, type RunConfig, RunFolder } from './run-folder.js'
import type { RunLock } from './run-lock.js'
import { RunWatch } from './run-watch.js'
import { type BuiltInTask, isDataTask, type TaskOptions } from './tasks.js'
import { recordWarning } from './warnings.js'
import { writeFailure } from './write-failure.js'

/** Iterations between two checkpoints, unless it is said. */
const CHECKPOINT_EVERY = 50

/** One run: a task, a rule, a seed. */
export interface RunSettings extends ChosenRule {
  readonly task: BuiltInTask
  /** The file that the task came from, if it is the user's. */
  readonly taskFile?: CodeFile | undefined
  /** What the task was made with, if anything; it does not make the task. */
  readonly taskOptions?: TaskOptions | undefined
  readonly seed: number
  readonly iterations: number
  readonly batchSize: number
  readonly validateEvery: number
  readonly precision: Precision
  /** Default: the task's. */
  readonly optimiser?: Optimiser | undefined
  /** In place of the optimiser's. */
  readonly learningRate?: number | Schedule | undefined
  /** Iterations between records of the alignment to BPTT; they change nothing of the run. Default: none are made. */
  readonly alignmentEvery?: number | undefined
  /** Iterations between two checkpoints, 0 for none; they change nothing of the run. Default {@link CHECKPOINT_EVERY}. */
  readonly checkpointEvery?: number | undefined
  /** Decides nothing but the time it takes. */
  readonly threads?: number | undefined
  /** Ends the run after the current iteration. */
  readonly signal?: AbortSignal | undefined
}

/** Who watches a run, and may change it. */
export interface RunObserver {
  /** The folder is open; training begins, or goes on after an iteration, once this has resolved. */
  started?(run: RunStarted): Promise<void>
  metrics?(metrics: Metrics): void
  aligned?(record: AlignmentRecord): void
  /** A warning about the run, which continues. */
  warned?(message: string): void
  /** Between two iterations; training waits. */
  between?(iteration: number): Promise<void>
  /** What is asked of the run while it goes on. */
  readonly control?: RunControl
}

/** A run that begins, or goes on. */
export interface RunStarted {
  readonly path: string
  readonly model: Model
  /** The last completed iteration, 0 before the first. */
  readonly iteration: number
  /** From the next iteration on, where the optimiser names one. */
  readonly learningRate: number | Schedule | undefined
  /** What gains of channels are multiplied by from the next iteration on, by name. */
  readonly channelFactors: Readonly<Record<string, number>>
}

/** Where and how a run ended. */
export interface RunEnd {
  readonly path: string
  readonly ending: 'finished' | 'interrupted' | 'stopped' | 'diverged'
  /** The last completed iteration. */
  readonly iteration: number
  /** What was not finite, where the run diverged. */
  readonly reason?: string
}

/** Where a run goes on: its locked folder, a checkpoint of it, and the changes made to it so far. */
export interface Continuation {
  readonly lock: RunLock
  readonly checkpoint: Checkpoint
  readonly interventions: readonly Intervention[]
}

/** All that decides the run's result, as its config.json has it. */
export function runConfig(options: RunSettings): RunConfig {
  const { task, seed } = options
  const network = completeDescription(task.network({ seed }))
  return {
    format: RUN_FORMAT,
    versions: versions(),
    instructionSetClass: native.instructionSetClass(),
    task: task.name,
    ...(options.taskFile !== undefined && { taskFile: options.taskFile }),
    ...(options.taskOptions !== undefined && { taskOptions: options.taskOptions }),
    rule: recordedRule(options.rule),
    ...(options.ruleFile !== undefined && { ruleFile: options.ruleFile }),
    network,
    precision: options.precision,
    seed,
    training: {
      iterations: options.iterations,
      batchSize: options.batchSize,
      validateEvery: options.validateEvery,
      loss: task.loss,
      regulariser: task.regulariser ?? null,
      optimiser: completeOptimiser(optimiserOf(options), trainableNames(network))
    },
    recording: {
      checkpointEvery: options.checkpointEvery ?? CHECKPOINT_EVERY,
      ...(options.alignmentEvery !== undefined && { alignmentEvery: options.alignmentEvery })
    }
  }
}

/** A rule as config.json has it. */
function recordedRule(rule: ChosenRule['rule']): unknown {
  return isCustomRule(rule) ? { kind: rule.kind, name: rule.name } : expandRule(rule)
}

/** In what two configurations differ, what has no effect on the result left out. */
export function differences(one: RunConfig, other: RunConfig): string[] {
  const [a, b] = [comparable(one), comparable(other)]
  const differing = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
    key => !isDeepStrictEqual(a[key], b[key])
  )
  const imported = (['task', 'rule'] as const).flatMap(what => {
    const changed = changedImports(one[`${what}File`], other[`${what}File`])
    return changed.length === 0 ? [] : [`${what} file's import ${changed.join(', ')}`]
  })
  return [...differing, ...imported]
}

/** A configuration as its file would have it. */
function comparable(config: RunConfig): Record<string, unknown> {
  const { versions, training, taskFile, taskOptions, ruleFile, recording, provenance, network, ...rest } = JSON.parse(
    JSON.stringify(config)
  ) as RunConfig
  const files = { 'task file': taskFile?.sha256, 'rule file': ruleFile?.sha256 }
  // Where the data of a built-in task lies decides nothing: its checksums are compared when it is read.
  const { data, ...others } = taskOptions ?? {}
  const options = taskFile === undefined && isDataTask(rest.task) ? others : taskOptions
  return { ...rest, taskOptions: options, network: complete(network), ...files, version: versions.mdgl, ...training }
}

/** A network with every default filled in, which earlier versions did not write of a task's plain JSON. */
function complete(network: unknown): unknown {
  try {
    return completeDescription(network as NetworkDescription)
  } catch {
    return network
  }
}

/**
 * Trains and writes the run folder. The folder is opened once the options have been checked. A run that diverges ends there, with the
 * weights of its last completed iteration; one whose very first step does fails.
 *
 * @param replay - Changes of an earlier run that this one is to repeat.
 */
export async function trainRun(
  options: RunSettings,
  open: (config: RunConfig) => Promise<RunFolder>,
  observer: RunObserver = {},
  replay: readonly Intervention[] = []
): Promise<RunEnd> {
  optimiserOrDefault(options.optimiser ?? options.task.optimiser)
  const model = Model.create(options.task.network({ seed: options.seed }), { precision: options.precision })
  try {
    // Whatever is wrong with the options is said before there is a folder.
    await train(model, options.task, trainingOptions(options, replay, 1, options.iterations)).return()
    const folder = options.taskFile === undefined ? process.cwd() : dirname(options.taskFile.path)
    const config = { ...runConfig(options), provenance: await provenanceOf(folder) }
    return await new RunHistory(model, options, await open(config), observer, replay).run(0)
  } finally {
    model.dispose()
  }
}

/** Goes on with a run from a checkpoint, with the same bits as if it had never stopped. */
export async function continueRun(
  options: RunSettings,
  { lock, checkpoint, interventions }: Continuation,
  observer: RunObserver = {}
): Promise<RunEnd> {
  const { model, iteration } = checkpoint
  try {
    return await new RunHistory(model, options, await RunFolder.reopen(lock, iteration), observer, interventions).run(
      iteration
    )
  } finally {
    model.dispose()
  }
}

function trainingOptions(options: RunSettings, changes: readonly Intervention[], first: number, last: number) {
  const { seed, batchSize, validateEvery, threads } = options
  const learningRate = learningRateAt(changes, first) ?? options.learningRate
  return {
    rule: perturbedRule(options, channelFactorsAt(changes, first)),
    seed,
    batchSize,
    validateEvery,
    threads,
    firstIteration: first,
    iterations: last,
    optimiser: optimiserOf({ ...options, learningRate })
  }
}

/** The run's rule with what its channels' gains are multiplied by. */
export function perturbedRule({ rule, task, seed }: RunSettings, factors: Readonly<Record<string, number>>) {
  if (isCustomRule(rule) || Object.keys(factors).length === 0) return rule
  return perturbChannels(rule, task.network({ seed }), factors)
}

/** A run from its first iteration, or the one after a checkpoint, to its end. */
class RunHistory {
  readonly #model: Model
  readonly #options: RunSettings
  readonly #folder: RunFolder
  readonly #observer: RunObserver
  readonly #changes: Intervention[]
  /** The last iteration whose step, validation and all that was due are done. */
  #iteration = 0
  /** The last iteration whose step the model has behind it. */
  #stepped = 0
  #kept = 0
  readonly #watch: RunWatch

  constructor(
    model: Model,
    options: RunSettings,
    folder: RunFolder,
    observer: RunObserver,
    changes: readonly Intervention[]
  ) {
    this.#model = model
    this.#options = options
    this.#folder = folder
    this.#observer = observer
    this.#changes = [...changes]
    const { rule, task } = options
    const { rewiring = true } = options.optimiser ?? task.optimiser ?? defaultOptimiser
    const { loss, regulariser } = task
    this.#watch = new RunWatch({ model, rule, loss, regulariser, rewires: rewiring !== false })
  }

  async run(done: number): Promise<RunEnd> {
    const { path } = this.#folder
    this.#iteration = done
    this.#stepped = done
    this.#kept = done
    const { learningRate } = trainingOptions(this.#options, this.#changes, done + 1, done + 1).optimiser
    const channelFactors = channelFactorsAt(this.#changes, done + 1)
    await this.#observer.started?.({ path, model: this.#model, iteration: done, learningRate, channelFactors })
    try {
      await this.#warn(this.#watch.beginning())
      while (this.#iteration < this.#options.iterations) {
        const ending = await this.#segment()
        if (ending !== undefined) return { path, ending, iteration: this.#iteration }
      }
      await this.#folder.finish(this.#model)
      return { path, ending: 'finished', iteration: this.#iteration }
    } catch (error) {
      const diverges = error instanceof MdglError && error.code === 'not-finite'
      if (!diverges) throw await this.#explain(error)
      if (this.#stepped === 0)
        throw new Error(`the run diverged in its first iteration: ${error.message}`, { cause: error })
      await this.#folder.diverge(this.#model, { iteration: this.#stepped, message: error.message })
      return { path, ending: 'diverged', iteration: this.#stepped, reason: error.message }
    } finally {
      await this.#folder.close()
    }
  }

  /** Says what was noticed, and keeps it in the folder. */
  async #warn(messages: readonly string[]): Promise<void> {
    for (const message of messages) {
      await recordWarning(this.#folder.path, this.#stepped, message)
      this.#observer.warned?.(message)
    }
  }

  /** What could not be written, and whether the run can go on once it can. */
  async #explain(error: unknown): Promise<unknown> {
    const { path } = this.#folder
    const file = isError(error) && 'path' in error ? String(error.path) : undefined
    // A task's own files are its own affair.
    if (file === undefined || relative(path, file).startsWith('..')) return error
    const resumable = await hasCheckpoint(path)
    const on = resumable ? `; \`mdgl resume ${shellWord(path)}\` then continues from the last checkpoint` : ''
    return writeFailure(error, file, on)
  }

  /** Trains with one learning rate; gives how the run ended, if it did. */
  async #segment(): Promise<RunEnd['ending'] | undefined> {
    const first = this.#iteration + 1
    // Changes of an earlier run, or of this one before it was killed, come again at their time.
    const change = nextChange(this.#changes, first)
    const last = Math.min(this.#options.iterations, (change?.iteration ?? Number.POSITIVE_INFINITY) - 1)
    const { task, validateEvery } = this.#options
    const settings = trainingOptions(this.#options, this.#changes, first, last)
    for await (const metrics of train(this.#model, task, settings)) {
      await this.#folder.append(metrics)
      this.#stepped = metrics.iteration
      this.#observer.metrics?.(metrics)
      await this.#warn(this.#watch.metrics(metrics))
      const validates = validateEvery > 0 && metrics.iteration % validateEvery === 0
      if (validates && metrics.split === 'train') continue
      this.#iteration = metrics.iteration
      const next = await this.#between()
      if (next !== 'on') return next === 'changed' ? undefined : next
    }
    return change !== undefined && 'stop' in change && last === change.iteration - 1 ? this.#end('stopped') : undefined
  }

  /** After an iteration and its validation: what is due, and what has been asked for. */
  async #between(): Promise<'on' | 'changed' | RunEnd['ending']> {
    const { alignmentEvery, checkpointEvery = CHECKPOINT_EVERY, iterations, signal } = this.#options
    const iteration = this.#iteration
    if (alignmentEvery !== undefined && iteration % alignmentEvery === 0) {
      const { rule } = trainingOptions(this.#options, this.#changes, iteration, iteration)
      const record = await alignmentRecord(this.#model, { ...this.#options, rule }, iteration)
      await appendAlignment(this.#folder.path, record)
      this.#observer.aligned?.(record)
    }
    if (iteration === iterations) return 'on'
    if (checkpointEvery > 0 && iteration % checkpointEvery === 0) await this.#keep()
    await this.#observer.between?.(iteration)
    const { control } = this.#observer
    await control?.gate(signal)
    if (signal?.aborted === true) return await this.#end('interrupted')
    const { stop, learningRate, factors } = control?.take() ?? { stop: false, learningRate: undefined, factors: [] }
    if (learningRate !== undefined) await this.#change({ iteration: iteration + 1, learningRate })
    for (const [channel, factor] of factors) await this.#change({ iteration: iteration + 1, channel, factor })
    if (stop) {
      await this.#change({ iteration: iteration + 1, stop: true })
      return await this.#end('stopped')
    }
    return learningRate === undefined && factors.length === 0 ? 'on' : 'changed'
  }

  async #change(change: Intervention): Promise<void> {
    await this.#folder.check()
    this.#changes.push(change)
    await recordIntervention(this.#folder.path, change)
  }

  async #end(ending: 'interrupted' | 'stopped'): Promise<RunEnd['ending']> {
    await this.#keep()
    return ending
  }

  async #keep(): Promise<void> {
    if (this.#kept === this.#iteration) return
    await this.#folder.check()
    await writeCheckpoint(this.#folder.path, this.#model, this.#iteration)
    this.#kept = this.#iteration
  }
}

/** With what a schedule leaves to the run: it may be trained in several pieces. */
function optimiserOf({ task, optimiser, learningRate, iterations }: RunSettings): Optimiser & ScheduledRate {
  const chosen = withLearningRate(optimiser ?? task.optimiser ?? defaultOptimiser, learningRate)
  const { learningRate: rate, ...others } = chosen
  if (rate === undefined) return others as Optimiser & ScheduledRate
  return { ...chosen, learningRate: completeLearningRate(rate, 'optimiser.learningRate', iterations) }
}

interface ScheduledRate {
  readonly learningRate?: number | Schedule
}
