import { axisX, axisY, dot, gridX, gridY, line, type PlotOptions, text } from '@observablehq/plot'
import { perSecond, words } from '../profile/figures.js'
import type { KernelProfile, MachinePeak, Profile } from '../profile/profile.js'
import { figure } from './figure.js'

const WIDTH = 860
const HEIGHT = 480
const MARGIN = { top: 58, right: 270, bottom: 54, left: 70 }
const LEGEND = { gap: 22, row: 34, first: 14 }

/** Okabe and Ito's set, which colour-blind people can tell apart, and two tones of grey. */
const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000', '#999999', '#5D3A9B']

/** A kernel in the picture. */
interface Point {
  readonly name: string
  /** Operations a byte. */
  readonly intensity: number
  /** 10⁹ operations per second. */
  readonly rate: number
  /** Part of the time in which threads worked. */
  readonly share: number
  readonly colour: string
}

/** The roof of one level: 10⁹ operations a second over operations a byte. */
interface Roof {
  readonly label: string
  readonly points: readonly { readonly x: number; readonly y: number }[]
}

/**
 * A roofline as an SVG document: what the machine would allow with data at each level, and what each kernel reaches while
 * it runs. Both axes are logarithmic; a dot's area is the kernel's part of the time.
 */
export function drawRoofline(profile: Profile & { readonly task?: string; readonly rule?: string }): string {
  const { peaks, threads, simd, task, rule } = profile
  const peak = peaks.find(one => one.threads === threads)
  if (peak === undefined) throw new Error('a roofline needs the peaks of as many threads as were profiled')
  const points = pointsOf(profile)
  const x = domain(points.map(({ intensity }) => intensity).concat(peak.operationsPerSecond / nearest(peak)))
  const roofs = roofsOf(peak, x)
  const y = domain(points.map(({ rate }) => rate).concat(peak.operationsPerSecond / 1e9))
  const log = { type: 'log' } as const
  const options: PlotOptions = {
    width: WIDTH,
    height: HEIGHT,
    marginTop: MARGIN.top,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
    x: { ...log, domain: x },
    y: { ...log, domain: y },
    r: { type: 'identity' },
    marks: [
      gridX({ stroke: '#e4e4e4', strokeOpacity: 1, ticks: decades(x) }),
      gridY({ stroke: '#e4e4e4', strokeOpacity: 1, ticks: decades(y) }),
      axisX({
        label: 'operations a byte moved (by the model)',
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks: decades(x),
        tickFormat: String,
        fontSize: 14
      }),
      axisY({
        label: '10⁹ operations per second',
        labelAnchor: 'center',
        labelArrow: 'none',
        labelOffset: 54,
        ticks: decades(y),
        tickFormat: String,
        fontSize: 14
      }),
      ...roofs.map(roof => line(roof.points, { x: 'x', y: 'y', stroke: '#555555', strokeWidth: 1.6, clip: true })),
      dot(points, { x: 'intensity', y: 'rate', r: radius, fill: 'colour', stroke: 'white', strokeWidth: 1 }),
      ...roofs.map(roof => roofLabel(roof, x, y))
    ]
  }
  const title = `${task === undefined ? '' : `${task}, ${rule}, `}${threads} thread${threads === 1 ? '' : 's'}, ${simd}`
  return figure(options, `${heading(title)}${points.map(legend).join('')}`)
}

function pointsOf({ kernels, threads }: Profile): Point[] {
  const whole = kernels.filter(isWork).reduce((sum, { ms }) => sum + ms, 0)
  const shown = kernels.filter(({ operations, bytes, ms }) => operations > 0 && bytes > 0 && ms > 0)
  return shown.map((kernel: KernelProfile, i) => ({
    name: words(kernel.kernel),
    intensity: kernel.operations / kernel.bytes,
    rate: perSecond(kernel.operations, kernel, threads) / 1e9,
    share: kernel.ms / whole,
    colour: COLOURS[i % COLOURS.length] ?? 'black'
  }))
}

const isWork = ({ kernel }: KernelProfile) => kernel !== 'preempted' && kernel !== 'waiting'

const nearest = ({ bandwidth }: MachinePeak) => bandwidth[0]?.bytesPerSecond ?? 1

/** The bandwidth of each level as a slope that ends at the multiply-adds' ceiling. */
function roofsOf(peak: MachinePeak, [left, right]: readonly [number, number]): Roof[] {
  const ceiling = peak.operationsPerSecond / 1e9
  return peak.bandwidth.map(({ level, bytesPerSecond }) => {
    const slope = bytesPerSecond / 1e9
    const corner = ceiling / slope
    return {
      label: `${level === 'memory' ? 'memory' : level}, ${slope.toPrecision(3)} GB/s`,
      points: [
        { x: left, y: slope * left },
        { x: Math.min(corner, right), y: Math.min(ceiling, slope * right) },
        { x: right, y: Math.min(ceiling, slope * right) }
      ]
    }
  })
}

/** Between the kernels that wait for events, at the left, and those that compute. */
const LABEL_AT = 0.42

/** A roof's name above it, turned along the slope. */
function roofLabel({ label, points: [start] }: Roof, x: readonly [number, number], y: readonly [number, number]) {
  const length = (domain: readonly [number, number]) => Math.log10(domain[1] / domain[0])
  const across = (WIDTH - MARGIN.left - MARGIN.right) / length(x)
  const up = (HEIGHT - MARGIN.top - MARGIN.bottom) / length(y)
  const entry = Math.max(0, Math.log10(y[0] / (start?.y ?? 1)))
  const along = 10 ** Math.max(entry + 0.12 * length(x), LABEL_AT * length(x))
  const place = { x: (start?.x ?? 1) * along, y: (start?.y ?? 1) * along }
  const rotate = (-180 / Math.PI) * Math.atan2(up, across)
  return text([place], {
    x: 'x',
    y: 'y',
    text: [label],
    rotate,
    dy: -8,
    fontSize: 12,
    fill: '#555555',
    stroke: 'white',
    strokeWidth: 4
  })
}

/** The powers of ten within a domain. */
function decades([least, most]: readonly [number, number]): number[] {
  const first = Math.ceil(Math.log10(least) - 1e-9)
  const last = Math.floor(Math.log10(most) + 1e-9)
  return Array.from({ length: last - first + 1 }, (_, i) => Number(`1e${first + i}`))
}

/** Whole half decades around the values. */
function domain(values: readonly number[]): [number, number] {
  const half = (log: number, round: (value: number) => number) => 10 ** (round(log * 2) / 2)
  return [
    half(Math.log10(Math.min(...values)) - 0.15, Math.floor),
    half(Math.log10(Math.max(...values)) + 0.15, Math.ceil)
  ]
}

const radius = ({ share }: Point) => Math.max(3, 26 * Math.sqrt(share))

function heading(title: string): string {
  return (
    `<text x="${MARGIN.left}" y="22" font-size="16" text-anchor="start">${title}</text>` +
    `<text x="${MARGIN.left}" y="42" text-anchor="start" fill="#555555">what each kernel reaches while it runs, under the machine's measured roofs</text>`
  )
}

function legend({ name, intensity, rate, share, colour }: Point, i: number): string {
  const x = WIDTH - MARGIN.right + LEGEND.gap
  const y = MARGIN.top + LEGEND.first + i * LEGEND.row
  return (
    `<circle cx="${x}" cy="${y}" r="6" fill="${colour}"/>` +
    `<text x="${x + 14}" y="${y}" dy="0.35em" text-anchor="start">${name}, ${(100 * share).toFixed(0)} % of the time</text>` +
    `<text x="${x + 14}" y="${y + 15}" dy="0.35em" text-anchor="start" font-size="12" fill="#555555">` +
    `${intensity.toPrecision(2)} op/byte, ${rate.toPrecision(3)} · 10⁹ op/s</text>`
  )
}
