import type { ChannelShares } from '../../analysis/channel-shares.js'
import type { TrialSnapshot } from '../../analysis/trial-snapshot.js'
import { cellColours, type Ground } from '../../plots/colours.js'
import { create, element, setText } from './elements.js'

/** What of the network is chosen. */
export interface NetworkView {
  readonly neuron: number
  readonly types: ReadonlySet<string>
  readonly channel: string | undefined
  readonly ground: Ground
}

/** What the page does when a cell, a type or a channel is clicked. */
export interface NetworkChoices {
  neuron(neuron: number): void
  type(name: string): void
  channel(key: string): void
}

/** How a channel is named in the address. */
export const channelKey = (from: string, to: string): string => `${from}->${to}`

/** Strokes of channels in pixels: of one that carries nothing, and what the whole modulation adds. */
const THINNEST = 0.8
const THICKEST = 5
/** Room for the number beside a bar. */
const NUMBER = '4.5rem'

/** The network's picture, in which cells, types and channels are chosen, and a table of what each channel carries. */
export class NetworkPanel {
  readonly #choices: NetworkChoices
  #run = ''
  #svg: SVGSVGElement | undefined
  #shares: ChannelShares | undefined
  #style = ''

  constructor(choices: NetworkChoices) {
    this.#choices = choices
    for (const what of ['synapses', 'channels']) {
      const slider = element<HTMLInputElement>(`fade-${what}`)
      const set = () => element('graph').style.setProperty(`--${what}`, slider.value)
      slider.addEventListener('input', set)
      set()
    }
    element('graph').addEventListener('click', ({ target }) => {
      if (target instanceof Element) this.#click(target)
    })
  }

  /** Shows the picture of a run, an SVG document of this server's, which is asked for once. Gives whether it is another one. */
  async load(run: string, ask: (run: string) => Promise<string | undefined>): Promise<boolean> {
    if (run === this.#run) return false
    this.#run = run
    this.#svg = undefined
    this.#shares = undefined
    this.#style = ''
    const found = await ask(run)
    if (run !== this.#run) return false
    if (found === undefined) {
      this.#run = ''
      return false
    }
    const { documentElement } = new DOMParser().parseFromString(found, 'image/svg+xml')
    const svg = document.importNode(documentElement, true) as unknown as SVGSVGElement
    svg.setAttribute('role', 'img')
    svg.setAttribute('aria-label', 'Cells by type, synapses as thin lines, modulatory channels as dashed arrows')
    element('graph').replaceChildren(svg)
    this.#svg = svg
    return true
  }

  share(run: string, shares: ChannelShares | undefined): void {
    if (run !== this.#run) return
    this.#shares = shares
    this.#style = ''
  }

  show(snapshot: TrialSnapshot | undefined, view: NetworkView): void {
    const svg = this.#svg
    const style = JSON.stringify([[...view.types], view, this.#shares?.iteration, snapshot?.types.length])
    if (svg === undefined || style === this.#style) return
    this.#style = style
    const types = snapshot?.types ?? []
    const colours = new Map(cellColours(types, view.ground).map((colour, i) => [types[i]?.name ?? '', colour]))
    for (const cell of svg.querySelectorAll<SVGElement>('.cell, .type-name')) {
      const colour = colours.get(cell.dataset.type ?? '')
      if (colour !== undefined) cell.style.fill = colour
      if (cell.dataset.neuron !== undefined)
        cell.classList.toggle('chosen', Number(cell.dataset.neuron) === view.neuron)
    }
    for (const type of svg.querySelectorAll<SVGElement>('.type')) {
      type.classList.toggle('chosen', view.types.has(type.dataset.type ?? ''))
    }
    for (const channel of svg.querySelectorAll<SVGElement>('.channel')) this.#styleChannel(channel, view)
    this.#table(view)
  }

  #styleChannel(channel: SVGElement, view: NetworkView): void {
    const { from = '', to = '' } = channel.dataset
    const key = channelKey(from, to)
    channel.classList.toggle('chosen', view.channel === key)
    channel.classList.toggle('other', view.channel !== undefined && view.channel !== key)
    const shares = this.#shares
    if (shares === undefined) return
    const share = shares.pairs.find(pair => pair.from === from && pair.to === to)?.share ?? 0
    channel.classList.toggle('inert', share === 0 && shares.reason === undefined)
    channel.style.strokeWidth = shares.pairs.length === 0 ? '' : `${THINNEST + THICKEST * Math.sqrt(share)}px`
  }

  #table({ channel }: NetworkView): void {
    const shares = this.#shares
    setText(element('channels-none'), shares?.reason ?? '')
    element('channels-none').hidden = shares?.reason === undefined
    element('channels-panel').hidden = shares === undefined
    const pairs = [...(shares?.pairs ?? [])].sort((a, b) => b.share - a.share)
    element('channels').hidden = pairs.length === 0
    const rows = pairs.map(({ from, to, norm, share }) => {
      const key = channelKey(from, to)
      const button = create(
        'button',
        { type: 'button', class: 'link', 'aria-pressed': String(channel === key) },
        `${from} → ${to}`
      )
      button.addEventListener('click', () => this.#choices.channel(key))
      const bar =
        share === 0
          ? ''
          : create('span', {
              class: 'bar',
              style: `width:calc((100% - ${NUMBER}) * ${share.toFixed(4)})`,
              'aria-hidden': 'true'
            })
      const text = norm === 0 ? 'carries nothing' : `${(100 * share).toFixed(1)} %`
      const cells = [create('td', {}, button), create('td', { class: 'share' }, bar, create('span', {}, text))]
      return create('tr', { class: channel === key ? 'chosen' : '' }, ...cells)
    })
    element('channels')
      .querySelector('tbody')
      ?.replaceChildren(...rows)
  }

  #click(target: Element): void {
    const { neuron, type, from, to } = (target as SVGElement).dataset
    if (neuron !== undefined) this.#choices.neuron(Number(neuron))
    else if (type !== undefined) this.#choices.type(type)
    else if (from !== undefined && to !== undefined) this.#choices.channel(channelKey(from, to))
  }
}

/** The ground that the page stands on. */
export const groundOf = (dark: boolean): Ground => (dark ? 'dark' : 'light')
