import type { TrialSnapshot } from '../../analysis/trial-snapshot.js'
import { ink, ofPlace } from './colours.js'

const LEFT = 110
const BOTTOM = 34
const GAP = 6

/** The spikes of a trial: inputs above, then the cells of one type after another; steps from left to right. */
export class Raster {
  readonly #canvas: HTMLCanvasElement
  readonly #choose: (neuron: number) => void
  #snapshot: TrialSnapshot | undefined
  #chosen = 0

  constructor(canvas: HTMLCanvasElement, choose: (neuron: number) => void) {
    this.#canvas = canvas
    this.#choose = choose
    new ResizeObserver(() => this.#draw()).observe(canvas)
    canvas.addEventListener('click', event => this.#click(event))
    canvas.addEventListener('keydown', event => this.#key(event))
  }

  show(snapshot: TrialSnapshot | undefined, chosen: number): void {
    this.#snapshot = snapshot
    this.#chosen = chosen
    this.#draw()
  }

  /** Neurons from top to bottom. */
  #order(): number[] {
    return this.#snapshot?.types.flatMap(({ neurons }) => [...neurons]) ?? []
  }

  #draw(): void {
    const { width, height } = this.#canvas.getBoundingClientRect()
    const scale = window.devicePixelRatio
    this.#canvas.width = Math.round(width * scale)
    this.#canvas.height = Math.round(height * scale)
    const context = this.#canvas.getContext('2d')
    if (context === null) return
    context.scale(scale, scale)
    context.clearRect(0, 0, width, height)
    const snapshot = this.#snapshot
    if (snapshot === undefined) {
      this.#words(context, 'no trial yet', width / 2, height / 2)
      return
    }
    const at = layout(snapshot, width, height)
    context.fillStyle = ink('quiet')
    dots(
      context,
      snapshot.inputs,
      step => at.x(step),
      unit => at.input(unit),
      at
    )
    this.#label(context, 'inputs', at.input(0), at.input(snapshot.inputUnits - 1))
    const row = new Map(this.#order().map((neuron, i) => [neuron, i]))
    for (const [place, { name, neurons }] of snapshot.types.entries()) {
      const own = new Set(neurons)
      context.fillStyle = ofPlace(place)
      dots(
        context,
        pairsOf(snapshot.spikes, own),
        step => at.x(step),
        neuron => at.cell(row.get(neuron) ?? 0),
        at
      )
      const [first, last] = [row.get(neurons[0] ?? 0) ?? 0, row.get(neurons.at(-1) ?? 0) ?? 0]
      if (neurons.length > 0) this.#label(context, name, at.cell(first), at.cell(last))
    }
    context.strokeStyle = ink()
    const y = at.cell(row.get(this.#chosen) ?? 0)
    context.strokeRect(LEFT - 4, y - 1, width - LEFT + 2, at.height + 2)
    this.#axis(context, snapshot, at, width, height)
  }

  #axis(context: CanvasRenderingContext2D, snapshot: TrialSnapshot, at: Layout, width: number, height: number): void {
    context.fillStyle = ink('quiet')
    context.textAlign = 'center'
    const ms = snapshot.steps * snapshot.dt
    for (let i = 0; i <= 4; i++) {
      context.textAlign = i === 4 ? 'right' : 'center'
      context.fillText(String(Math.round((ms * i) / 4)), at.x((snapshot.steps * i) / 4), height - BOTTOM + 14)
    }
    context.textAlign = 'center'
    context.fillText('time (ms)', LEFT + (width - LEFT) / 2, height - 4)
  }

  #label(context: CanvasRenderingContext2D, text: string, top: number, bottom: number): void {
    context.textAlign = 'right'
    context.textBaseline = 'middle'
    context.font = '12px system-ui, sans-serif'
    context.fillText(text.length > 16 ? `${text.slice(0, 15)}…` : text, LEFT - 8, (top + bottom) / 2)
    context.textBaseline = 'alphabetic'
  }

  #words(context: CanvasRenderingContext2D, text: string, x: number, y: number): void {
    context.fillStyle = ink('quiet')
    context.textAlign = 'center'
    context.fillText(text, x, y)
  }

  #click({ clientY }: MouseEvent): void {
    const snapshot = this.#snapshot
    if (snapshot === undefined) return
    const { top, width, height } = this.#canvas.getBoundingClientRect()
    const at = layout(snapshot, width, height)
    const row = Math.round((clientY - top - at.cell(0)) / at.height)
    const neuron = this.#order()[row]
    if (neuron !== undefined) this.#choose(neuron)
  }

  #key(event: KeyboardEvent): void {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key]
    if (by === undefined) return
    event.preventDefault()
    const order = this.#order()
    const row = order.indexOf(this.#chosen) + by
    const neuron = order[Math.max(0, Math.min(order.length - 1, row))]
    if (neuron !== undefined) this.#choose(neuron)
  }
}

interface Layout {
  readonly height: number
  readonly width: number
  x(step: number): number
  input(unit: number): number
  cell(row: number): number
}

function layout({ steps, types, inputUnits }: TrialSnapshot, width: number, height: number): Layout {
  const cells = types.reduce((sum, { neurons }) => sum + neurons.length, 0)
  const shown = height - BOTTOM - GAP
  // Inputs take a quarter at most.
  const inputs = Math.min(shown / 4, (shown * inputUnits) / (cells + inputUnits))
  const [inputRow, cellRow] = [inputs / Math.max(1, inputUnits), (shown - inputs) / Math.max(1, cells)]
  return {
    height: cellRow,
    width: (width - LEFT) / Math.max(1, steps),
    x: step => LEFT + ((width - LEFT) * step) / Math.max(1, steps),
    input: unit => unit * inputRow,
    cell: row => inputs + GAP + row * cellRow
  }
}

function* pairsOf(flat: readonly number[], own: ReadonlySet<number>): Iterable<number> {
  for (let i = 0; i < flat.length; i += 2) {
    if (!own.has(flat[i + 1] ?? -1)) continue
    yield flat[i] ?? 0
    yield flat[i + 1] ?? 0
  }
}

function dots(
  context: CanvasRenderingContext2D,
  flat: Iterable<number>,
  x: (step: number) => number,
  y: (unit: number) => number,
  { width, height }: Layout
): void {
  const [w, h] = [Math.max(1.2, Math.min(3, width)), Math.max(1, Math.min(3, height - 0.5))]
  let step: number | undefined
  for (const value of flat) {
    if (step === undefined) step = value
    else {
      context.fillRect(x(step), y(value), w, h)
      step = undefined
    }
  }
}
