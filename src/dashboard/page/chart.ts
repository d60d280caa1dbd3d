import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { faint, ink } from './colours.js'

/** One curve of a chart; with a spread, a band about it. */
export interface Curve {
  readonly label: string
  readonly colour: string
  readonly values: readonly (number | null)[]
  readonly low?: readonly (number | null)[]
  readonly high?: readonly (number | null)[]
  readonly dash?: readonly number[]
}

/** What a chart shows: curves over a common axis. */
export interface Chart {
  readonly x: readonly number[]
  readonly curves: readonly Curve[]
}

const HEIGHT = 220

/** A line chart in an element of the page. It is made anew when its curves or colours change, and otherwise only given numbers. */
export class LineChart {
  readonly #element: HTMLElement
  readonly #labels: { readonly x: string; readonly y: string }
  #plot: uPlot | undefined
  #key = ''

  constructor(id: string, labels: { readonly x: string; readonly y: string }) {
    this.#element = document.getElementById(id) as HTMLElement
    this.#labels = labels
    new ResizeObserver(() => this.#plot?.setSize({ width: this.#width(), height: HEIGHT })).observe(this.#element)
  }

  show({ x, curves }: Chart): void {
    this.#element.hidden = curves.length === 0
    if (curves.length === 0) return
    const key = JSON.stringify([ink(), curves.map(({ label, colour, low }) => [label, colour, low !== undefined])])
    const data = [x, ...curves.flatMap(({ values, low, high }) => (low && high ? [values, high, low] : [values]))]
    if (key !== this.#key || this.#plot === undefined) {
      this.#plot?.destroy()
      this.#plot = new uPlot(this.#options(curves), data as uPlot.AlignedData, this.#element)
      this.#key = key
    } else {
      this.#plot.setData(data as uPlot.AlignedData)
    }
  }

  #width(): number {
    return Math.max(200, this.#element.clientWidth)
  }

  #options(curves: readonly Curve[]): uPlot.Options {
    const axis = {
      stroke: ink('quiet'),
      grid: { stroke: ink('line'), width: 1 },
      ticks: { stroke: ink('line'), width: 1 }
    }
    const series: uPlot.Series[] = [{ label: this.#labels.x }]
    const bands: uPlot.Band[] = []
    for (const { label, colour, low, dash } of curves) {
      const line = { label, stroke: colour, width: 2, spanGaps: true, points: { show: false } }
      series.push(dash === undefined ? line : { ...line, dash: [...dash] })
      if (low === undefined) continue
      const edge = { stroke: 'transparent', width: 0, spanGaps: true, points: { show: false } }
      bands.push({ series: [series.length, series.length + 1], fill: faint(colour) })
      series.push({ ...edge, label: `${label} + sd` }, { ...edge, label: `${label} − sd` })
    }
    return {
      width: this.#width(),
      height: HEIGHT,
      scales: { x: { time: false } },
      axes: [
        { ...axis, label: this.#labels.x },
        {
          ...axis,
          label: this.#labels.y,
          size: 64,
          values: (_, splits) => splits.map(shortNumber)
        }
      ],
      series,
      bands,
      legend: { live: false },
      cursor: { drag: { x: true, y: false } }
    }
  }
}

/** Signals are small: 2e-5, not 0.00002. */
function shortNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1).replace('.0e', 'e')
  return String(Number(value.toPrecision(3)))
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
