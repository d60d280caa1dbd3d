import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { faint, ink } from './colours.js'
import { element } from './elements.js'

/** One curve of a chart; with a spread, a band about it. */
export interface Curve {
  readonly label: string
  readonly colour: string
  readonly values: readonly (number | null)[]
  readonly low?: readonly (number | null)[]
  readonly high?: readonly (number | null)[]
  readonly dash?: readonly number[]
  /** In pixels. Default 2. */
  readonly width?: number
  /** Whether the legend leaves it out. */
  readonly unnamed?: boolean
}

/** What a chart shows: curves over a common axis, and marks at some of its values. */
export interface Chart {
  readonly x: readonly number[]
  readonly curves: readonly Curve[]
  /** Drawn as short strokes at the upper edge. */
  readonly marks?: readonly number[]
  /** Whether another chart below it has the numbers of their axis. Default false. */
  readonly above?: boolean
}

/** How a chart is made. */
export interface ChartOptions {
  /** The label of the horizontal axis. */
  readonly x: string
  readonly y: string
  /** In pixels. Default 200. */
  readonly height?: number
  /** Charts of one group have one cursor and one zoom. */
  readonly group: string
  /** Whether the vertical axis is logarithmic; values of 0 are gaps. */
  readonly log?: boolean
  /** What the vertical axis never passes: the least and the most that there can be. */
  readonly within?: readonly [number, number]
  /** The width of the vertical axis in pixels. Default 58. */
  readonly axisWidth?: () => number
  /** Called with a label of the legend that is clicked. */
  readonly choose?: (label: string) => void
}

const HEIGHT = 180
const AXIS_HEIGHT = 26
const AXIS_WIDTH = 72
/** The part of it that the axis's label takes. */
const NAME = 18
/** With more curves a legend is larger than its chart. */
const MOST_NAMES = 4
/** A logarithmic axis shows this many powers of ten at most. */
const DECADES = 5

/** A line chart in an element of the page. It is made anew when its curves or colours change, and otherwise only given numbers. */
export class LineChart {
  readonly #element: HTMLElement
  readonly #options: ChartOptions
  #plot: uPlot | undefined
  #key = ''
  #marks: readonly number[] = []

  constructor(id: string, options: ChartOptions) {
    this.#element = element(id)
    this.#options = options
    new ResizeObserver(() => this.#resize()).observe(this.#element)
    if (options.choose !== undefined) this.#element.addEventListener('click', event => this.#click(event), true)
  }

  show({ x, curves, marks = [], above = false }: Chart): void {
    this.#element.hidden = curves.length === 0
    if (curves.length === 0) return
    this.#marks = marks
    const drawn = this.#options.log === true ? curves.map(positive) : curves
    const style = curves.map(({ values, low, high, ...rest }) => [rest, low !== undefined])
    const key = JSON.stringify([ink(), this.#axisWidth(), above, style])
    const data = [x, ...drawn.flatMap(({ values, low, high }) => (low && high ? [values, high, low] : [values]))]
    if (key !== this.#key || this.#plot === undefined) {
      this.#plot?.destroy()
      this.#plot = new uPlot(this.#uplotOptions(curves, above), data as uPlot.AlignedData, this.#element)
      this.#key = key
    } else update(this.#plot, data as uPlot.AlignedData)
  }

  #click(event: MouseEvent): void {
    const label = event.target instanceof Element ? event.target.closest('.u-series') : null
    if (label === null) return
    // The library's own answer to a click hides the curve.
    event.stopPropagation()
    this.#options.choose?.(label.querySelector('.u-label')?.textContent ?? '')
  }

  #resize(): void {
    const width = this.#width()
    if (this.#plot !== undefined && this.#plot.width !== width) {
      this.#plot.setSize({ width, height: this.#plot.height })
    }
  }

  #width(): number {
    return Math.max(200, this.#element.clientWidth)
  }

  #axisWidth(): number {
    return this.#options.axisWidth?.() ?? AXIS_WIDTH
  }

  #uplotOptions(curves: readonly Curve[], above: boolean): uPlot.Options {
    const { x, y, height = HEIGHT, group, log = false, within } = this.#options
    return {
      width: this.#width(),
      height: above ? height : height + AXIS_HEIGHT,
      // At the right half of the last tick's number.
      padding: [8, 20, 0, 0],
      scales: {
        x: { time: false },
        y: log ? { distr: 3, log: 10, range: decades } : within === undefined ? {} : { range: rangeWithin(within) }
      },
      axes: [horizontal(above ? undefined : x), this.#vertical(y, log)],
      ...seriesOf(curves, x),
      legend: { live: true, show: curves.filter(({ unnamed }) => unnamed !== true).length <= MOST_NAMES },
      cursor: sharedCursor(group),
      hooks: { draw: [plot => this.#drawMarks(plot)] }
    }
  }

  #vertical(label: string, log: boolean): uPlot.Axis {
    const style = axisStyle()
    return {
      ...style,
      ...nameOf(label),
      ...(log && { grid: { ...style.grid, filter: powersOfTen }, ticks: { ...style.ticks, filter: powersOfTen } }),
      size: this.#axisWidth() - NAME,
      values: (_, at) => at.map(shortNumber)
    }
  }

  #drawMarks(plot: uPlot): void {
    const { ctx, bbox } = plot
    ctx.fillStyle = ink()
    const scale = uPlot.pxRatio
    for (const at of this.#marks) {
      const left = plot.valToPos(at, 'x', true)
      if (left >= bbox.left && left <= bbox.left + bbox.width)
        ctx.fillRect(left - scale / 2, bbox.top, scale, 8 * scale)
    }
  }
}

/** The style of all axes, as the colours are now. */
export const axisStyle = (): uPlot.Axis => ({
  stroke: ink('quiet'),
  font: '12px system-ui, sans-serif',
  labelFont: '12px system-ui, sans-serif',
  grid: { stroke: ink('line'), width: 1 },
  ticks: { stroke: ink('line'), width: 1, size: 5 }
})

const nameOf = (label: string) => ({ label, labelSize: NAME })

/** The horizontal axis; without a label a thin one without numbers. */
export const horizontal = (label: string | undefined): uPlot.Axis =>
  label === undefined
    ? { ...axisStyle(), size: 6, values: (_, at) => at.map(() => '') }
    : { ...axisStyle(), ...nameOf(label), size: AXIS_HEIGHT }

/** A cursor and a zoom that all charts of a group have together. */
export const sharedCursor = (group: string): uPlot.Cursor => ({
  drag: { x: true, y: false },
  sync: { key: group, scales: ['x', null] },
  points: { size: 6 }
})

/** Gives a chart other numbers; a zoom stays. */
export function update(plot: uPlot, data: uPlot.AlignedData): void {
  const { min, max } = plot.scales.x ?? {}
  const [before] = plot.data
  const zoomed = min != null && max != null && (min > (before[0] ?? min) || max < (before.at(-1) ?? max))
  plot.setData(data, !zoomed)
  if (zoomed) plot.setScale('x', { min, max })
}

function seriesOf(curves: readonly Curve[], x: string): Pick<uPlot.Options, 'series' | 'bands'> {
  const series: uPlot.Series[] = [{ label: x, class: 'unnamed' }]
  const bands: uPlot.Band[] = []
  for (const { label, colour, low, dash, width = 2, unnamed = false } of curves) {
    const line = {
      label,
      stroke: colour,
      width,
      spanGaps: true,
      points: { show: (plot: uPlot, place: number) => isAlone(plot.data[place]) },
      value: (_: uPlot, v: number) => shortNumber(v)
    }
    series.push({ ...line, ...(dash && { dash: [...dash] }), ...(unnamed && { class: 'unnamed' }) })
    if (low === undefined) continue
    const edge = { stroke: 'transparent', width: 0, spanGaps: true, points: { show: false }, class: 'unnamed' }
    bands.push({ series: [series.length, series.length + 1], fill: faint(colour) })
    series.push({ ...edge, label: `${label} + sd` }, { ...edge, label: `${label} − sd` })
  }
  return { series, bands }
}

/** Whether a curve has one value, which no line shows. */
const isAlone = (values: uPlot.AlignedData[number] | undefined): boolean => {
  let count = 0
  for (const value of values ?? []) if (value != null && ++count > 1) return false
  return count === 1
}

/** The curve without what a logarithmic axis cannot show. */
function positive(curve: Curve): Curve {
  const above = (values: readonly (number | null)[]) =>
    values.map(value => (value !== null && value > 0 ? value : null))
  const { low, high } = curve
  return { ...curve, values: above(curve.values), ...(low && high && { low: above(low), high: above(high) }) }
}

/** Whole powers of ten about the values, from the largest down. */
function decades(_: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || !(max > 0)) return [0.1, 1]
  const top = Math.ceil(Math.log10(max))
  return [10 ** Math.max(top - DECADES, Math.min(top - 1, Math.floor(Math.log10(min)))), 10 ** top]
}

/** The values with some room about them, inside of what there can be. */
const rangeWithin =
  ([least, most]: readonly [number, number]) =>
  (_: uPlot, min: number | null, max: number | null): [number, number] => {
    if (min === null || max === null) return [least, most]
    const [low, high] = uPlot.rangeNum(Math.max(least, min), Math.min(most, max), 0.1, true)
    return [Math.max(least, low ?? least), Math.min(most, high ?? most)]
  }

const powersOfTen = (_: uPlot, at: number[]) =>
  at.map(value => (Number.isInteger(Number(Math.log10(value).toFixed(9))) ? value : null))

/** Signals may be small or large: 2e-5, not 0.00002, and 1e6, not 1000000. */
export function shortNumber(value: number | null): string {
  if (value === null || value === undefined) return ''
  const size = Math.abs(value)
  if (value !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1).replace('.0e', 'e').replace('e+', 'e')
  return String(Number(value.toPrecision(4)))
}

/** Curves over different iterations, brought onto one axis. */
export function align(curves: readonly (Curve & { readonly at: readonly number[] })[]): Chart {
  const x = [...new Set(curves.flatMap(({ at }) => at))].sort((a, b) => a - b)
  const place = new Map(x.map((value, i) => [value, i]))
  const spreadOut = (at: readonly number[], values: readonly (number | null)[]) => {
    const row = new Array<number | null>(x.length).fill(null)
    at.forEach((value, i) => {
      row[place.get(value) ?? 0] = values[i] ?? null
    })
    return row
  }
  const onto = ({ at, values, low, high, ...curve }: Curve & { readonly at: readonly number[] }): Curve => ({
    ...curve,
    values: spreadOut(at, values),
    ...(low && high && { low: spreadOut(at, low), high: spreadOut(at, high) })
  })
  return { x, curves: curves.map(onto) }
}
