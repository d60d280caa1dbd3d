import type { ChannelShares } from '../../analysis/channel-shares.js'
import type { NeuronTrace, TrialSnapshot } from '../../analysis/trial-snapshot.js'
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
    return (await ask<NeuronTrace>('neuron', { run, neuron: String(neuron) })).value
  }

  /** A trial with the weights that a run's folder holds, or why there is none. */
  async snapshot(run: string): Promise<Answered<TrialSnapshot>> {
    return await ask<TrialSnapshot>('snapshot', { run })
  }

  async channels(run: string): Promise<ChannelShares | undefined> {
    return (await ask<ChannelShares>('channels', { run })).value
  }

  /** The run's network as an SVG document. */
  async graph(run: string): Promise<string | undefined> {
    const answer = await fetch(`/api/graph?${new URLSearchParams({ run })}`).catch(() => undefined)
    return answer?.ok ? await answer.text() : undefined
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

/** What the server gave, or why it gave nothing. */
export interface Answered<T> {
  readonly value?: T
  readonly error?: string
}

async function ask<T>(what: string, about: Readonly<Record<string, string>>): Promise<Answered<T>> {
  const answer = await fetch(`/api/${what}?${new URLSearchParams(about)}`).catch(() => undefined)
  if (answer === undefined) return { error: 'the server does not answer' }
  const found = (await answer.json()) as T | { readonly error: string } | null
  if (!answer.ok) return { error: (found as { readonly error: string }).error }
  return found === null ? {} : { value: found as T }
}
