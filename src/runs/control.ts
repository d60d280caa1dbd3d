import { onAbort } from '../support/abort.js'

/** What was asked of a run since it was last looked at. */
interface Asked {
  readonly stop: boolean
  readonly learningRate: number | undefined
  /** Channels and their new factors. */
  readonly factors: readonly (readonly [channel: string, factor: number])[]
}

/** What is asked of a run while it goes on; it is carried out between two iterations. */
export class RunControl {
  #paused = false
  #stopped = false
  #learningRate: number | undefined
  readonly #factors = new Map<string, number>()
  #wake: (() => void) | undefined

  get paused(): boolean {
    return this.#paused
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#wake?.()
  }

  /** Ends the run after the current iteration. */
  stop(): void {
    this.#stopped = true
    this.#wake?.()
  }

  /** The optimiser's learning rate from the next iteration on; its decay continues from there. */
  setLearningRate(value: number): void {
    this.#learningRate = value
    this.#wake?.()
  }

  /** What the gain of a channel is multiplied by from the next iteration on. */
  perturbChannel(channel: string, factor: number): void {
    this.#factors.set(channel, factor)
    this.#wake?.()
  }

  /** What has been asked for since the last call. */
  take(): Asked {
    const asked = { stop: this.#stopped, learningRate: this.#learningRate, factors: [...this.#factors] }
    this.#learningRate = undefined
    this.#factors.clear()
    return asked
  }

  /** Resolves when the run may go on, or when something is asked of it meanwhile. */
  async gate(signal?: AbortSignal): Promise<void> {
    const asked = this.#stopped || this.#learningRate !== undefined || this.#factors.size > 0
    if (!this.#paused || asked || signal?.aborted === true) return
    let stop = () => {}
    await new Promise<void>(resolve => {
      this.#wake = resolve
      if (signal !== undefined) stop = onAbort(signal, resolve)
    })
    stop()
    this.#wake = undefined
  }
}
