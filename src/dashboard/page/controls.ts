import { isLearningRate, LEARNING_RATE, type RunInfo } from '../frames.js'
import { element } from './elements.js'
import type { Message } from './message.js'
import type { Server } from './server.js'

/** What steers a run: pause, resume, stop, learning rate. */
export class Controls {
  readonly #server: Server
  readonly #message: Message
  readonly #pause = element<HTMLButtonElement>('pause')
  readonly #stop = element<HTMLButtonElement>('stop')
  readonly #set = element<HTMLButtonElement>('set-rate')
  readonly #rate = element<HTMLInputElement>('learning-rate')
  #info: RunInfo | undefined

  constructor(server: Server, message: Message) {
    this.#server = server
    this.#message = message
    this.#pause.addEventListener('click', () => this.#toggle())
    this.#stop.addEventListener('click', () => void this.#wish('stop'))
    this.#set.addEventListener('click', () => this.#setRate())
    this.#rate.addEventListener('keydown', ({ key }) => {
      if (key === 'Enter' && !this.#set.disabled) this.#setRate()
    })
    document.addEventListener('keydown', ({ key, target, ctrlKey, metaKey, altKey }) => {
      const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement
      if (key === 'p' && !typing && !ctrlKey && !metaKey && !altKey && !this.#pause.disabled) this.#toggle()
    })
  }

  show(info: RunInfo): void {
    this.#info = info
    const live = info.controllable && (info.state === 'running' || info.state === 'paused')
    element('controls').hidden = !info.controllable
    for (const button of [this.#pause, this.#stop, this.#set]) button.disabled = !live
    this.#pause.textContent = info.state === 'paused' ? 'Resume' : 'Pause'
    if (document.activeElement !== this.#rate) this.#rate.value = String(info.learningRate)
  }

  #toggle(): void {
    void this.#wish(this.#info?.state === 'paused' ? 'resume' : 'pause')
  }

  #setRate(): void {
    const value = Number(this.#rate.value)
    if (isLearningRate(value)) void this.#wish('learning-rate', value)
    else this.#message.error(`the learning rate must be ${LEARNING_RATE}`)
  }

  async #wish(action: 'pause' | 'resume' | 'stop' | 'learning-rate', value = 0): Promise<void> {
    const run = this.#info?.id
    if (run === undefined) return
    const problem = await this.#server.control(action === 'learning-rate' ? { run, action, value } : { run, action })
    if (problem === undefined) this.#message.clear()
    else this.#message.error(problem)
  }
}
