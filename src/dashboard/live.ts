import { type FirstWeights, type Seen, takeLook, weightsOf } from '../analysis/look.js'
import { MdglError } from '../error.js'
import type { Model } from '../model.js'
import { networkGraph } from '../plots/network-graph.js'
import { type AlignmentRecord, readAlignment } from '../runs/alignment-record.js'
import type { RunControl } from '../runs/control.js'
import { ruleLabel } from '../runs/rule-label.js'
import { readRunFolder } from '../runs/run-folder.js'
import type { Begun, RunObserver, RunSettings } from '../runs/train-run.js'
import { rateAt, type Schedule } from '../schedule.js'
import type { Metrics } from '../train.js'
import { type Control, isLearningRate, LEARNING_RATE, type RunState } from './frames.js'
import type { Hub } from './hub.js'
import type { Answers } from './server.js'

/** Looks a second at most, and how many times their own duration lies between two: watching costs a run little. */
const LOOK_EVERY = 500
const PATIENCE = 10

/** A trial may be past showing while the run goes on. */
function unlessNotFinite(error: unknown): undefined {
  if (!(error instanceof MdglError && error.code === 'not-finite')) throw error
}

/** A run of this process as the dashboard shows and steers it. */
export class LiveRun implements RunObserver, Answers {
  readonly control: RunControl
  readonly #hub: Hub
  readonly #options: RunSettings
  #id = ''
  #model: Model | undefined
  #first: FirstWeights = new Map()
  #seen: Seen | undefined
  #nextLook = 0
  #learningRate: number | Schedule = 0
  /** The last completed one. */
  #iteration = 0
  #graph: string | undefined

  constructor(hub: Hub, options: RunSettings, control: RunControl) {
    this.control = control
    this.#hub = hub
    this.#options = options
  }

  async begun({ path, model, iteration, learningRate }: Begun): Promise<void> {
    this.#id = path
    this.#model = model
    this.#first = weightsOf(model)
    this.#graph = networkGraph(model.description)
    this.#learningRate = learningRate ?? 0
    this.#iteration = iteration
    this.describe('running')
    if (iteration > 0) await this.#recall(path)
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

  async between(iteration: number): Promise<void> {
    this.#iteration = iteration
    await this.#look(iteration)
    if (typeof this.#learningRate !== 'number') this.describe('running')
    // It may have been wished while the trial ran.
    if (this.control.paused) this.describe('paused')
  }

  async #look(iteration: number): Promise<void> {
    if (!this.#hub.watched || this.#model === undefined || performance.now() < this.#nextLook) return
    const begun = performance.now()
    const { task, rule, seed } = this.#options
    const subject = { model: this.#model, task, rule, seed, iteration }
    this.#seen = await takeLook(subject, this.#first).catch(unlessNotFinite)
    if (this.#seen !== undefined) this.#hub.add(this.#id, { look: this.#seen.look })
    const took = performance.now() - begun
    this.#nextLook = performance.now() + Math.max(LOOK_EVERY, PATIENCE * took)
  }

  /** Says what has become of the run. */
  describe(state: RunState): void {
    const { task, rule, seed, iterations } = this.#options
    const learningRate = rateAt(this.#learningRate, this.#iteration + 1)
    const live = { state, controllable: true, learningRate }
    this.#hub.describe({ id: this.#id, task: task.name, rule: ruleLabel(rule), seed, iterations, ...live })
  }

  neuron(run: string, neuron: number) {
    return run === this.#id ? this.#seen?.neuron(neuron) : undefined
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
    }
  }
}
