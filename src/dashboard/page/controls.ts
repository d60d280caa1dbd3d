import { CHANNEL_FACTOR, type Control, isLearningRate, LEARNING_RATE, type RunInfo } from '../frames.js'
import { element, setOptions } from './elements.js'
import type { Message } from './message.js'
import type { Server } from './server.js'

/** What steers a run: pause, resume, stop, learning rate, gains of channels. */
export class Controls {
  readonly #server: Server
  readonly #message: Message
  readonly #pause = element<HTMLButtonElement>('pause')
  readonly #stop = element<HTMLButtonElement>('stop')
  readonly #set = element<HTMLButtonElement>('set-rate')
  readonly #rate = element<HTMLInputElement>('learning-rate')
  readonly #channel = element<HTMLSelectElement>('channel-name')
  readonly #factor = element<HTMLInputElement>('channel-factor')
  readonly #setChannel = element<HTMLButtonElement>('set-channel')
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
    this.#setChannel.addEventListener('click', () => this.#perturb())
    this.#channel.addEventListener('change', () => this.#showFactor())
    this.#factor.addEventListener('keydown', ({ key }) => {
      if (key === 'Enter' && !this.#setChannel.disabled) this.#perturb()
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
    for (const button of [this.#pause, this.#stop, this.#set, this.#setChannel]) button.disabled = !live
    this.#showChannels(info)
    this.#pause.textContent = info.state === 'paused' ? 'Resume' : 'Pause'
    if (document.activeElement !== this.#rate) this.#rate.value = String(info.learningRate)
  }

  #showChannels({ channels }: RunInfo): void {
    element('channel-control').hidden = channels.length === 0
    setOptions(
      this.#channel,
      channels.map(({ name }) => name),
      undefined
    )
    if (document.activeElement !== this.#factor) this.#showFactor()
  }

  #showFactor(): void {
    const channel = this.#info?.channels.find(({ name }) => name === this.#channel.value)
    this.#factor.value = channel === undefined ? '' : String(channel.factor)
  }

  #perturb(): void {
    const run = this.#info?.id
    const value = this.#factor.value.trim() === '' ? Number.NaN : Number(this.#factor.value)
    if (!Number.isFinite(value)) this.#message.error(`the factor of a channel must be ${CHANNEL_FACTOR}`)
    else if (run !== undefined) void this.#send({ run, action: 'channel', channel: this.#channel.value, value })
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
    await this.#send(action === 'learning-rate' ? { run, action, value } : { run, action })
  }

  async #send(wish: Control): Promise<void> {
    const problem = await this.#server.control(wish)
    if (problem === undefined) this.#message.clear()
    else this.#message.error(problem)
  }
}
