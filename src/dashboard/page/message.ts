import { element, setText } from './elements.js'

/** How long an error stays in ms. */
const ERROR_STAYS = 20_000

/** The line that tells of the connection, and for a while of what went wrong. */
export class Message {
  readonly #element = element('connection')
  #connection = 'connecting…'
  #timer: ReturnType<typeof setTimeout> | undefined

  /** What holds until it changes. */
  connection(text: string): void {
    this.#connection = text
    if (this.#timer === undefined) this.#show(text, false)
  }

  /** An error, in the colour of errors; it goes by itself, and with the next thing that succeeds. */
  error(text: string): void {
    clearTimeout(this.#timer)
    this.#show(text, true)
    this.#timer = setTimeout(() => this.clear(), ERROR_STAYS)
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#show(this.#connection, false)
  }

  #show(text: string, isError: boolean): void {
    setText(this.#element, text)
    this.#element.classList.toggle('error', isError)
  }
}
