import type { NeuronTrace } from '../../analysis/trial-snapshot.js'
import type { Control, Frame } from '../frames.js'

/** The connection to the server: frames as they come, and what the page asks for. */
export class Server {
  #token = ''

  /** Hears frames for ever: the browser connects again by itself when the server is back. */
  listen(onFrame: (frame: Frame) => void, onState: (connected: boolean) => void): void {
    const source = new EventSource('/api/frames')
    source.onmessage = ({ data }) => onFrame(JSON.parse(data) as Frame)
    source.onopen = () => {
      onState(true)
      // A server that has been started anew has another token.
      void this.#renew()
    }
    source.onerror = () => {
      onState(false)
      // The browser gives up when the answer was no stream, for instance that of another program on this port.
      if (source.readyState !== EventSource.CLOSED) return
      setTimeout(() => this.listen(onFrame, onState), 1000)
    }
  }

  async neuron(run: string, neuron: number): Promise<NeuronTrace | undefined> {
    const answer = await fetch(`/api/neuron?${new URLSearchParams({ run, neuron: String(neuron) })}`).catch(
      () => undefined
    )
    return answer?.ok ? (((await answer.json()) as NeuronTrace | null) ?? undefined) : undefined
  }

  graph(run: string): string {
    return `/api/graph?${new URLSearchParams({ run })}`
  }

  /** Asks for a change; gives why it was refused. */
  async control(wish: Control): Promise<string | undefined> {
    if (this.#token === '') await this.#renew()
    const answer = await fetch('/api/control', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-mdgl-token': this.#token },
      body: JSON.stringify(wish)
    }).catch(() => undefined)
    if (answer === undefined) return 'the server does not answer'
    return answer.ok ? undefined : ((await answer.json()) as { error: string }).error
  }

  async #renew(): Promise<void> {
    const answer = await fetch('/api/token').catch(() => undefined)
    if (answer?.ok) this.#token = ((await answer.json()) as { token: string }).token
  }
}
