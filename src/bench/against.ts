import { drawKey, encodeBatch } from '../engine/encode-batch.js'
import { Session } from '../engine/engine-session.js'
import { nativeModel } from '../model/model.js'
import { type KernelProfile, profile } from '../profile/profile.js'
import { expandRule, type RuleName } from '../rule/rule.js'
import { makeObjective } from '../task/objective.js'
import { countEvents } from './counts.js'
import type { Work } from './work.js'

/** What is timed: the forward pass, forward pass and gradient together, and two kernels of the latter alone. */
export const PASSES = ['forward', 'gradient', 'neuron-update', 'backward-recursion'] as const

/** Processor time in ns per neuron update, all threads together; a kernel's is over its own updates. */
export type Costs = Readonly<Record<(typeof PASSES)[number], number>>

/** How to time. */
export interface AgainstOptions {
  readonly rule: RuleName
  readonly threads: number
  /** Rounds that count; in each both works run once. */
  readonly repeats: number
  /** Rounds before them. */
  readonly warmUp: number
}

/** Every step of a kernel is timed: the shortest of several sampled times would be the one that sampling erred most in. */
const EVERY = 1

/** The shortest times of two works that run in turns, so that what else the machine does falls on both. */
export async function measureBoth(work: Work, other: Work, options: AgainstOptions): Promise<[Costs, Costs]> {
  await using one = await Bench.open(work, options)
  await using two = await Bench.open(other, options)
  const ones: Costs[] = []
  const twos: Costs[] = []
  for (let round = -options.warmUp; round < options.repeats; round++) {
    const [first, second] = [await one.round(), await two.round()]
    if (round < 0) continue
    ones.push(first)
    twos.push(second)
  }
  return [shortest(ones), shortest(twos)]
}

/** A work in a session that stays open. */
class Bench implements AsyncDisposable {
  readonly #work: Work
  readonly #options: AgainstOptions
  readonly #updates: number
  readonly #objective: ReturnType<typeof makeObjective>
  readonly #session: Session

  static async open(work: Work, options: AgainstOptions): Promise<Bench> {
    return new Bench(work, options, (await countEvents(work)).neuronUpdates)
  }

  private constructor(work: Work, options: AgainstOptions, updates: number) {
    const { model, task } = work
    this.#work = work
    this.#options = options
    this.#updates = updates
    this.#objective = makeObjective(task.loss, task.regulariser, model.description, nativeModel(model))
    const rule = JSON.stringify(expandRule(options.rule))
    this.#session = new Session(model, { objective: this.#objective.json, rule, training: false }, options)
  }

  async round(): Promise<Costs> {
    const { model, task, batch } = this.#work
    const { rule, threads } = this.#options
    const forward = await this.#time(handle => this.#session.run(engine => engine.evaluate(handle)))
    const gradient = await this.#time(handle => this.#session.run(engine => engine.gradients(handle)))
    const { loss, optimiser } = task
    const once = { loss, optimiser, threads, iterations: 1, every: EVERY, peaks: false }
    const { kernels } = await profile(model, batch, { rule, ...once })
    const of = (name: KernelProfile['kernel']) => nsAnUpdate(kernels.find(({ kernel }) => kernel === name))
    return {
      forward,
      gradient,
      'neuron-update': of('neuron-update'),
      'backward-recursion': of('backward-recursion')
    }
  }

  /**
   * Processor time of the process: waiting for a core is no part of it. Nor is packing: events are copied from
   * JavaScript, and a silent network has hardly any.
   */
  async #time(job: (handle: ReturnType<typeof encodeBatch>['handle']) => Promise<unknown>): Promise<number> {
    const { model, batch, seed } = this.#work
    const { handle } = encodeBatch(batch, model.description, this.#objective, drawKey(seed, model.description))
    const begun = process.cpuUsage()
    await job(handle)
    const { user, system } = process.cpuUsage(begun)
    return ((user + system) * 1000) / this.#updates
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.close()
  }
}

function nsAnUpdate(kernel: KernelProfile | undefined): number {
  if (kernel === undefined) throw new Error('a profile lacks a kernel; this is a bug in mdgl')
  return (kernel.ms * 1e6) / kernel.neuronUpdates
}

function shortest(rounds: readonly Costs[]): Costs {
  return Object.fromEntries(PASSES.map(pass => [pass, Math.min(...rounds.map(round => round[pass]))])) as Costs
}
