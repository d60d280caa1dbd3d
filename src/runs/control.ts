import { onAbort } from '../support/abort.js'

/** What is asked of a run while it goes on; it is carried out between two iterations. */
export class RunControl {
  #paused = false
  #stopped = false
  #learningRate: number | undefined
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

  /** What has been asked for since the last call. */
  take(): { readonly stop: boolean; readonly learningRate: number | undefined } {
    const asked = { stop: this.#stopped, learningRate: this.#learningRate }
    this.#learningRate = undefined
    return asked
  }

  /** Resolves when the run may go on, or when something is asked of it meanwhile. */
  async gate(signal?: AbortSignal): Promise<void> {
    if (!this.#paused || this.#stopped || this.#learningRate !== undefined || signal?.aborted === true) return
    let stop = () => {}
    await new Promise<void>(resolve => {
      this.#wake = resolve
      if (signal !== undefined) stop = onAbort(signal, resolve)
    })
    stop()
    this.#wake = undefined
  }
}
