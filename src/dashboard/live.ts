import { type ChannelShares, channelShares } from '../analysis/channel-shares.js'
import {
  type CapturedTrial,
  captureTrial,
  type FirstWeights,
  type Subject,
  weightsOf
} from '../analysis/trial-snapshot.js'
import { Model } from '../model/model.js'
import type { Metrics } from '../operations/train.js'
import { networkGraph } from '../plots/network-graph.js'
import { channelsOf } from '../rule/channels-of.js'
import { isCustomRule } from '../rule/custom-rule.js'
import { expandRule } from '../rule/rule.js'
import { type AlignmentRecord, readAlignment } from '../runs/alignment-record.js'
import type { RunControl } from '../runs/control.js'
import { ruleLabel } from '../runs/rule-label.js'
import { readRunFolder } from '../runs/run-folder.js'
import { perturbedRule, type RunObserver, type RunSettings, type RunStarted } from '../runs/train-run.js'
import { readWarnings } from '../runs/warnings.js'
import { MdglError } from '../support/error.js'
import { rateAt, type Schedule } from '../task/schedule.js'
import type { EventHub } from './event-hub.js'
import { CHANNEL_FACTOR, type Control, isLearningRate, LEARNING_RATE, type RunState } from './frames.js'
import { type Measures, measuresOf } from './measures.js'
import type { Answers } from './server.js'

/** The least ms between two captured trials, and how many times their own duration lies between two, so that a page costs a run little. */
const LOOK_EVERY = 500
const PATIENCE = 10

/** A trial may be past showing while the run goes on. */
function unlessNotFinite(error: unknown): undefined {
  if (!(error instanceof MdglError && error.code === 'not-finite')) throw error
}

/** The channels that a run's rule uses, by name. */
function channelNames(given: RunSettings['rule'], { description }: Model): string[] {
  if (isCustomRule(given)) return []
  const rule = expandRule(given)
  return rule.hops === 0 ? [] : [...new Set(channelsOf(rule, description).map(({ name }) => name))]
}

/** A run of this process as the dashboard shows and steers it. */
export class LiveRun implements RunObserver, Answers {
  readonly control: RunControl
  readonly #hub: EventHub
  readonly #options: RunSettings
  #id = ''
  #model: Model | undefined
  #first: FirstWeights = new Map()
  #captured: CapturedTrial | undefined
  #nextLook = 0
  #learningRate: number | Schedule = 0
  /** What the gain of each channel is multiplied by. */
  #factors = new Map<string, number>()
  /** The last completed one. */
  #iteration = 0
  #graph: string | undefined
  #measures: Measures = { lossUnit: 'loss', chance: null, targetRate: null }
  readonly #warnings: string[] = []

  constructor(hub: EventHub, options: RunSettings, control: RunControl) {
    this.control = control
    this.#hub = hub
    this.#options = options
  }

  async started({ path, model, iteration, learningRate, channelFactors }: RunStarted): Promise<void> {
    this.#id = path
    this.#model = model
    this.#first = iteration === 0 ? weightsOf(model) : this.#initial()
    this.#measures = measuresOf(this.#options.task.loss, this.#options.task.regulariser, model.description)
    this.#graph = networkGraph(model.description)
    this.#learningRate = learningRate ?? 0
    const names = channelNames(this.#options.rule, model)
    this.#factors = new Map(names.map(name => [name, channelFactors[name] ?? 1]))
    this.#iteration = iteration
    if (iteration > 0) this.#warnings.push(...(await readWarnings(path)))
    this.describe('running')
    if (iteration > 0) await this.#recall(path)
  }

  /** The weights that the run began with. */
  #initial(): FirstWeights {
    const { task, seed, precision } = this.#options
    using model = Model.create(task.network({ seed }), { precision })
    return weightsOf(model)
  }

  /** What a run that goes on has behind it. */
  async #recall(path: string): Promise<void> {
    const [run, alignment] = await Promise.all([readRunFolder(path), readAlignment(path)])
    this.#hub.add(this.#id, { metrics: [...(run?.metrics ?? [])], alignment })
  }

  metrics(metrics: Metrics): void {
    this.#hub.add(this.#id, { metrics: [metrics] })
  }

  aligned(record: AlignmentRecord): void {
    this.#hub.add(this.#id, { alignment: [record] })
  }

  warned(message: string): void {
    if (!this.#warnings.includes(message)) this.#warnings.push(message)
    this.describe(this.#hub.info(this.#id)?.state ?? 'running')
  }

  async between(iteration: number): Promise<void> {
    this.#iteration = iteration
    await this.#capture(iteration)
    if (typeof this.#learningRate !== 'number') this.describe('running')
    // It may have been wished while the trial ran.
    if (this.control.paused) this.describe('paused')
  }

  async #capture(iteration: number): Promise<void> {
    if (!this.#hub.watched || this.#model === undefined || performance.now() < this.#nextLook) return
    const started = performance.now()
    this.#captured = await captureTrial(this.#subject(this.#model, iteration), this.#first).catch(unlessNotFinite)
    if (this.#captured !== undefined) this.#hub.add(this.#id, { snapshot: this.#captured.snapshot })
    const took = performance.now() - started
    this.#nextLook = performance.now() + Math.max(LOOK_EVERY, PATIENCE * took)
  }

  #subject(model: Model, iteration: number): Subject {
    const { task, seed } = this.#options
    const perturbed = [...this.#factors].filter(([, factor]) => factor !== 1)
    const rule = perturbedRule(this.#options, Object.fromEntries(perturbed))
    return { model, task, rule, seed, iteration }
  }

  /** Says what has become of the run. */
  describe(state: RunState): void {
    const { task, seed, iterations } = this.#options
    const learningRate = rateAt(this.#learningRate, this.#iteration + 1)
    const channels = [...this.#factors].map(([name, factor]) => ({ name, factor }))
    const live = { state, controllable: true, learningRate, channels, kept: null, warnings: [...this.#warnings] }
    const run = { id: this.#id, task: task.name, rule: ruleLabel(this.#options), seed, iterations }
    this.#hub.describe({ ...run, ...this.#measures, ...live })
  }

  /** The page is sent the trials of a run that is trained here. */
  async snapshot(): Promise<undefined> {}

  async neuron(run: string, neuron: number) {
    return run === this.#id ? this.#captured?.neuron(neuron) : undefined
  }

  async channels(run: string): Promise<ChannelShares | undefined> {
    if (run !== this.#id || this.#model === undefined) return undefined
    return await channelShares(this.#subject(this.#model, this.#iteration)).catch(unlessNotFinite)
  }

  graph(run: string): string | undefined {
    return run === this.#id ? this.#graph : undefined
  }

  carryOut(wish: Control): string | undefined {
    if (wish.run !== this.#id) return 'there is no such run here'
    const state = this.#hub.info(this.#id)?.state
    if (state !== 'running' && state !== 'paused') return `the run is ${state}`
    switch (wish.action) {
      case 'pause':
        this.control.pause()
        return undefined
      case 'resume':
        this.control.resume()
        this.describe('running')
        return undefined
      case 'stop':
        this.control.stop()
        return undefined
      case 'learning-rate':
        if (!isLearningRate(wish.value)) return `the learning rate must be ${LEARNING_RATE}`
        this.control.setLearningRate(wish.value)
        this.#learningRate = wish.value
        this.describe(state)
        return undefined
      case 'channel':
        if (!this.#factors.has(wish.channel)) return 'the run has no such channel'
        if (!Number.isFinite(wish.value)) return `the factor of a channel must be ${CHANNEL_FACTOR}`
        this.control.perturbChannel(wish.channel, wish.value)
        this.#factors.set(wish.channel, wish.value)
        this.describe(state)
        return undefined
    }
  }
}
