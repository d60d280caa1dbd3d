import uPlot from 'uplot'
import type { TrialSnapshot } from '../../analysis/trial-snapshot.js'
import { axisStyle, horizontal, sharedCursor, update } from './chart.js'
import { faint, ink } from './colours.js'
import { element } from './elements.js'

const GAP = 8
/** Inputs have this part of the picture at most, and this height in pixels at least. */
const INPUT_PART = 0.25
const LEAST_INPUTS = 44
const LEAST_HEIGHT = 200
const MOST_HEIGHT = 420
const PIXELS_PER_ROW = 3.2
const TOP = 8

/** What of a trial is chosen, and the colours of its types. */
export interface RasterView {
  readonly neuron: number
  readonly types: ReadonlySet<string>
  readonly colours: readonly string[]
}

/** The spikes of a trial: inputs above, then the cells of one type after another; steps from left to right, on the axis of the charts below it. */
export class Raster {
  readonly #element: HTMLElement
  readonly #choose: (neuron: number) => void
  readonly #group: string
  #plot: uPlot | undefined
  #key = ''
  #snapshot: TrialSnapshot | undefined
  #view: RasterView = { neuron: 0, types: new Set(), colours: [] }

  constructor(id: string, group: string, choose: (neuron: number) => void) {
    this.#element = element(id)
    this.#choose = choose
    this.#group = group
    new ResizeObserver(() => this.#resize()).observe(this.#element)
    this.#element.addEventListener('keydown', event => this.#onKey(event))
  }

  /** The width of the vertical axis: that of the longest type's name, as far as there is room. */
  axisWidth(): number {
    const names = ['inputs', ...(this.#snapshot?.types.map(({ name }) => name) ?? [])]
    const longest = Math.max(...names.flatMap(lines).map(textWidth))
    return Math.round(Math.max(72, Math.min(longest + 18, 0.36 * Math.max(200, this.#element.clientWidth))))
  }

  show(snapshot: TrialSnapshot, view: RasterView): void {
    this.#snapshot = snapshot
    this.#view = view
    this.#element.ariaValueNow = String(view.neuron)
    this.#element.ariaValueMax = String(this.#order().length - 1)
    const key = JSON.stringify([ink(), this.axisWidth(), this.#height(), snapshot.dt])
    const data = [
      Array.from({ length: snapshot.steps }, (_, step) => step * snapshot.dt),
      new Array(snapshot.steps).fill(null)
    ]
    if (this.#plot === undefined || this.#key !== key) {
      this.#plot?.destroy()
      this.#plot = new uPlot(this.#options(), data as uPlot.AlignedData, this.#element)
      this.#plot.over.addEventListener('click', event => this.#onClick(event))
      this.#key = key
    } else {
      update(this.#plot, data as uPlot.AlignedData)
      this.#plot.redraw(false)
    }
  }

  #options(): uPlot.Options {
    return {
      width: Math.max(200, this.#element.clientWidth),
      height: this.#height(),
      padding: [TOP, 20, 0, 0],
      scales: { x: { time: false }, y: { range: [0, 1] } },
      axes: [
        horizontal(undefined),
        {
          ...axisStyle(),
          size: this.axisWidth(),
          grid: { show: false },
          ticks: { show: false },
          values: (_, at) => at.map(() => '')
        }
      ],
      series: [{}, { label: 'spikes' }],
      legend: { show: false },
      cursor: { ...sharedCursor(this.#group), y: false },
      hooks: { draw: [plot => this.#draw(plot)] }
    }
  }

  #height(): number {
    const { types = [], inputUnits = 0 } = this.#snapshot ?? {}
    const rows = types.reduce((sum, { neurons }) => sum + neurons.length, 0) + inputUnits
    return Math.round(Math.max(LEAST_HEIGHT, Math.min(MOST_HEIGHT, 60 + PIXELS_PER_ROW * rows)))
  }

  #resize(): void {
    const width = Math.max(200, this.#element.clientWidth)
    if (this.#plot !== undefined && this.#plot.width !== width) this.#plot.setSize({ width, height: this.#height() })
  }

  /** Neurons from top to bottom. */
  #order(): number[] {
    return this.#snapshot?.types.flatMap(({ neurons }) => [...neurons]) ?? []
  }

  #draw(plot: uPlot): void {
    const snapshot = this.#snapshot
    if (snapshot === undefined) return
    const { ctx, bbox } = plot
    ctx.save()
    ctx.beginPath()
    ctx.rect(0, bbox.top, bbox.left + bbox.width, bbox.height)
    ctx.clip()
    const at = layout(snapshot, bbox.height)
    const scale = uPlot.pxRatio
    const x = (step: number) => plot.valToPos(step * snapshot.dt, 'x', true)
    const strokes = (flat: Iterable<number>, y: (unit: number) => number, row: number) =>
      dots(ctx, flat, x, unit => bbox.top + y(unit), row, bbox)
    ctx.fillStyle = ink('quiet')
    if (snapshot.analogue !== undefined) shade(ctx, snapshot, at, bbox, x)
    strokes(snapshot.inputs, at.input, at.inputRow)
    const names: Name[] = []
    const inputs = { text: 'inputs', middle: at.input(snapshot.inputUnits) / 2, colour: ink('quiet'), bold: false }
    if (snapshot.inputUnits > 0) names.push(inputs)
    const row = new Map(this.#order().map((neuron, i) => [neuron, i]))
    for (const [place, { name: type, neurons }] of snapshot.types.entries()) {
      if (neurons.length === 0) continue
      const colour = this.#view.colours[place] ?? ink()
      const [top, bottom] = [at.cell(row.get(neurons[0] ?? 0) ?? 0), at.cell((row.get(neurons.at(-1) ?? 0) ?? 0) + 1)]
      const isChosen = this.#view.types.has(type)
      if (isChosen) {
        ctx.fillStyle = faint(colour, '18')
        ctx.fillRect(bbox.left, bbox.top + top, bbox.width, bottom - top)
      }
      ctx.fillStyle = colour
      const own = new Set(neurons)
      strokes(pairsOf(snapshot.spikes, own), neuron => at.cell(row.get(neuron) ?? 0), at.cellRow)
      names.push({ text: type, middle: (top + bottom) / 2, colour, bold: isChosen })
    }
    writeNames(ctx, bbox, names)
    this.#mark(ctx, bbox, at, row.get(this.#view.neuron), scale)
    ctx.restore()
  }

  /** A frame about the chosen neuron's row, and a pointer to it. */
  #mark(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, at: Layout, row: number | undefined, scale: number): void {
    if (row === undefined) return
    const middle = bbox.top + at.cell(row) + at.cellRow / 2
    const half = Math.max(at.cellRow / 2, 2.5 * scale)
    ctx.strokeStyle = ink()
    ctx.lineWidth = scale
    ctx.strokeRect(bbox.left, middle - half, bbox.width, 2 * half)
    ctx.fillStyle = ink()
    ctx.beginPath()
    ctx.moveTo(bbox.left - scale, middle)
    ctx.lineTo(bbox.left - 6 * scale, middle - 4 * scale)
    ctx.lineTo(bbox.left - 6 * scale, middle + 4 * scale)
    ctx.fill()
  }

  #onClick({ offsetY }: MouseEvent): void {
    const plot = this.#plot
    const snapshot = this.#snapshot
    if (plot === undefined || snapshot === undefined) return
    const at = layout(snapshot, plot.bbox.height)
    const neuron = this.#order()[Math.floor((offsetY * uPlot.pxRatio - at.cell(0)) / at.cellRow)]
    if (neuron !== undefined) this.#choose(neuron)
  }

  #onKey(event: KeyboardEvent): void {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key]
    if (by === undefined) return
    event.preventDefault()
    const order = this.#order()
    const row = order.indexOf(this.#view.neuron) + by
    const neuron = order[Math.max(0, Math.min(order.length - 1, row))]
    if (neuron !== undefined) this.#choose(neuron)
  }
}

/** Where rows stand below the picture's upper edge, in its own pixels. */
interface Layout {
  readonly inputRow: number
  readonly cellRow: number
  input(unit: number): number
  cell(row: number): number
}

function layout({ types, inputUnits }: TrialSnapshot, height: number): Layout {
  const cells = types.reduce((sum, { neurons }) => sum + neurons.length, 0)
  const gap = inputUnits > 0 ? GAP * uPlot.pxRatio : 0
  const shown = height - gap
  const share = (shown * inputUnits) / Math.max(1, cells + inputUnits)
  const least = inputUnits > 0 ? LEAST_INPUTS * uPlot.pxRatio : 0
  const inputs = Math.min(Math.max(share, least), Math.max(INPUT_PART * shown, least))
  const [inputRow, cellRow] = [inputs / Math.max(1, inputUnits), (shown - inputs) / Math.max(1, cells)]
  return { inputRow, cellRow, input: unit => unit * inputRow, cell: row => inputs + gap + row * cellRow }
}

/** Inputs that are values: the darker, the further from 0. */
function shade(
  ctx: CanvasRenderingContext2D,
  { analogue, steps }: TrialSnapshot,
  at: Layout,
  bbox: uPlot.BBox,
  x: (step: number) => number
): void {
  if (analogue === undefined) return
  const { units, bins, values } = analogue
  for (const [row, unit] of units.entries()) {
    const top = bbox.top + at.input(unit)
    const next = units[row + 1]
    const height = Math.max(1, (next === undefined ? at.inputRow : at.input(next) - at.input(unit)) * 0.95)
    for (let bin = 0; bin < bins; bin++) {
      const [left, right] = [x((bin * steps) / bins), x(((bin + 1) * steps) / bins)]
      ctx.globalAlpha = Math.min(1, Math.abs(values[row * bins + bin] ?? 0))
      if (right > bbox.left) ctx.fillRect(Math.max(bbox.left, left), top, right - left + 0.5, height)
    }
  }
  ctx.globalAlpha = 1
}

function* pairsOf(flat: readonly number[], own: ReadonlySet<number>): Iterable<number> {
  for (let i = 0; i < flat.length; i += 2) {
    if (!own.has(flat[i + 1] ?? -1)) continue
    yield flat[i] ?? 0
    yield flat[i + 1] ?? 0
  }
}

/** A stroke per event: as high as its row, up to the height of letters. */
function dots(
  ctx: CanvasRenderingContext2D,
  flat: Iterable<number>,
  x: (step: number) => number,
  y: (unit: number) => number,
  row: number,
  bbox: uPlot.BBox
): void {
  const scale = uPlot.pxRatio
  const [width, height] = [1.3 * scale, Math.max(1.2 * scale, Math.min(18 * scale, 0.8 * row))]
  let step: number | undefined
  for (const value of flat) {
    if (step === undefined) {
      step = value
      continue
    }
    const left = x(step)
    if (left >= bbox.left) ctx.fillRect(left - width / 2, y(value) + (row - height) / 2, width, height)
    step = undefined
  }
}

/** A name beside its rows. */
interface Name {
  readonly text: string
  /** Below the picture's upper edge. */
  readonly middle: number
  readonly colour: string
  readonly bold: boolean
}

const LETTERS = 12
const LEAST_LETTERS = 8
const LEADING = 1.15

/** Names from top to bottom, none over another; long ones on several lines, all as large as there is room. */
function writeNames(ctx: CanvasRenderingContext2D, bbox: uPlot.BBox, names: readonly Name[]): void {
  const scale = uPlot.pxRatio
  const parts = names.map(({ text }) => lines(text))
  const longest = Math.max(...parts.flat().map(textWidth)) * scale
  const all = parts.flat().length * LETTERS * LEADING * scale
  const fit = Math.min(1, (bbox.left - 12 * scale) / longest, bbox.height / all)
  const size = Math.max(LEAST_LETTERS, LETTERS * fit) * scale
  const line = size * LEADING
  ctx.textAlign = 'right'
  ctx.textBaseline = 'middle'
  const middles = apart(
    names.map(({ middle }, i) => ({ middle, height: (parts[i]?.length ?? 1) * line })),
    bbox.height
  )
  for (const [i, { colour, bold }] of names.entries()) {
    ctx.fillStyle = colour
    ctx.font = `${bold ? 'bold ' : ''}${size}px system-ui, sans-serif`
    const own = parts[i] ?? []
    for (const [row, part] of own.entries()) {
      ctx.fillText(part, bbox.left - 8 * scale, bbox.top + (middles[i] ?? 0) + (row - (own.length - 1) / 2) * line)
    }
  }
}

/** Middles that leave every box its height: moved down past the one before, and all up again from the end. */
function apart(boxes: readonly { readonly middle: number; readonly height: number }[], end: number): number[] {
  const tops: number[] = []
  for (const [i, { middle, height }] of boxes.entries()) {
    const before = (tops[i - 1] ?? 0) + (boxes[i - 1]?.height ?? 0)
    tops.push(Math.max(middle - height / 2, i === 0 ? 0 : before))
  }
  let below = end
  for (let i = boxes.length - 1; i >= 0; i--) {
    below = Math.min(tops[i] ?? 0, below - (boxes[i]?.height ?? 0))
    tops[i] = below
  }
  return boxes.map(({ height }, i) => (tops[i] ?? 0) + height / 2)
}

const LINE = 18

/** A name in lines of moderate length, broken at spaces, hyphens and underscores. */
function lines(text: string): string[] {
  const found: string[] = []
  for (const part of text.split(/(?<=[\s_-])/)) {
    const last = found.at(-1)
    if (last === undefined || last.length + part.trimEnd().length > LINE) found.push(part)
    else found[found.length - 1] = last + part
  }
  return found.map(part => part.trim())
}

const ruler = document.createElement('canvas').getContext('2d')

/** A text's width in pixels, as the axes have it. */
function textWidth(text: string): number {
  if (ruler === null) return 7 * text.length
  ruler.font = 'bold 12px system-ui, sans-serif'
  return Math.ceil(ruler.measureText(text).width)
}
