import type { NeuronTrace, SignalByType, TrialSnapshot } from '../../analysis/trial-snapshot.js'
import { cellColours, readoutColour } from '../../plots/colours.js'
import { type Curve, LineChart } from './chart.js'
import { ink } from './colours.js'
import { create, element, setText } from './elements.js'
import { Raster } from './raster.js'

/** What of a trial is chosen. */
export interface TrialView {
  readonly neuron: number
  /** The chosen type, or those of the chosen channel. */
  readonly types: ReadonlySet<string>
  readonly ground: 'light' | 'dark'
}

/** What the page does when a neuron or a type is clicked. */
export interface TrialChoices {
  neuron(neuron: number): void
  type(name: string): void
}

const GROUP = 'time'

/** One trial over one axis of time: inputs and spikes, readout, the chosen neuron's membrane, learning and modulatory signals. */
export class TrialPanels {
  readonly #choices: TrialChoices
  readonly #raster: Raster
  readonly #outputs: LineChart
  readonly #membrane: LineChart
  readonly #learning: LineChart
  readonly #modulation: LineChart
  #chips = ''
  /** Whether no signals are drawn below the membrane. */
  #isLast = false

  constructor(choices: TrialChoices) {
    this.#choices = choices
    this.#raster = new Raster('raster', GROUP, choices.neuron)
    const axisWidth = () => this.#raster.axisWidth()
    const common = { x: 'time (ms)', group: GROUP, axisWidth, height: 150 }
    this.#outputs = new LineChart('outputs', { ...common, y: 'readout' })
    this.#membrane = new LineChart('membrane', { ...common, y: 'membrane v', height: 190 })
    this.#learning = new LineChart('learning', { ...common, y: 'mean |L|', log: true, choose: choices.type })
    this.#modulation = new LineChart('modulation', { ...common, y: 'mean |Γ|', log: true, choose: choices.type })
  }

  show(snapshot: TrialSnapshot, view: TrialView): void {
    const colours = cellColours(snapshot.types, view.ground)
    this.#showChips(snapshot, colours, view)
    this.#raster.show(snapshot, { ...view, colours })
    const x = Array.from({ length: snapshot.steps }, (_, step) => step * snapshot.dt)
    const curves = snapshot.outputs.map(({ name, values }, place) => ({
      label: name,
      colour: readoutColour(place, view.ground),
      values
    }))
    this.#outputs.show({ x, curves, above: true })
    const [learning, modulation] = [snapshot.learning, snapshot.modulation].map(signals =>
      this.#byType(signals, colours, view)
    )
    this.#isLast = learning?.length === 0 && modulation?.length === 0
    this.#learning.show({ x, curves: learning ?? [], above: modulation?.length !== 0 })
    this.#modulation.show({ x, curves: modulation ?? [] })
    element('no-learning').hidden = snapshot.learning.length > 0
    const inert = snapshot.modulation.every(({ values }) => values.every(value => value === 0))
    element('no-modulation').hidden = snapshot.learning.length === 0 || !inert
  }

  /** A curve per type, the chosen ones thicker; nothing where every value is 0. */
  #byType(signals: readonly SignalByType[], colours: readonly string[], { types }: TrialView): Curve[] {
    if (signals.every(({ values }) => values.every(value => value === 0))) return []
    return signals.map(({ name, values }, place) => ({
      label: name,
      colour: colours[place] ?? ink(),
      values,
      width: types.has(name) ? 3 : types.size > 0 ? 1 : 2
    }))
  }

  membrane(trace: NeuronTrace | undefined, snapshot: TrialSnapshot, { ground }: TrialView): void {
    setText(
      element('neuron-type'),
      trace === undefined ? 'no such neuron' : `${trace.type}, ${count(trace.spikes.length)}`
    )
    if (trace === undefined) {
      this.#membrane.show({ x: [], curves: [] })
      return
    }
    const place = snapshot.types.findIndex(({ name }) => name === trace.type)
    const colour = cellColours(snapshot.types, ground)[place] ?? ink()
    const { voltage, threshold, spikes, dt } = trace
    const curves = [
      { label: 'v', colour, values: voltage, width: 1.5 },
      { label: 'threshold', colour: ink('quiet'), values: threshold, dash: [6, 4], width: 1.5 }
    ]
    this.#membrane.show({
      x: voltage.map((_, step) => step * dt),
      curves,
      marks: spikes.map(step => step * dt),
      above: !this.#isLast
    })
  }

  /** A button per type, with its colour and rate: a click chooses the type. */
  #showChips({ types, rates }: TrialSnapshot, colours: readonly string[], view: TrialView): void {
    const key = JSON.stringify([rates, colours, [...view.types]])
    if (key === this.#chips) return
    this.#chips = key
    const list = element('types')
    if (list.childElementCount !== types.length) list.replaceChildren(...types.map(({ name }) => this.#chip(name)))
    for (const [i, { name, neurons, sign }] of types.entries()) {
      const chip = list.children[i]
      const button = chip?.querySelector('button')
      if (button == null) continue
      const [swatch, label, rate] = button.children as unknown as HTMLElement[]
      if (swatch !== undefined) swatch.style.background = colours[i] ?? ''
      if (label !== undefined) setText(label, name)
      if (rate !== undefined)
        setText(rate, `${neurons.length} ${sign === 'either' ? 'cells' : sign}, ${(rates[i]?.rate ?? 0).toFixed(1)} Hz`)
      button.setAttribute('aria-pressed', String(view.types.has(name)))
      button.dataset.type = name
    }
  }

  #chip(name: string): HTMLLIElement {
    const swatch = create('span', { class: 'swatch', 'aria-hidden': 'true' })
    const button = create('button', { type: 'button', class: 'chip' }, swatch, create('span'), create('small'))
    button.dataset.type = name
    button.addEventListener('click', () => this.#choices.type(button.dataset.type ?? ''))
    return create('li', {}, button)
  }
}

const count = (spikes: number) => `${spikes} ${spikes === 1 ? 'spike' : 'spikes'}`
