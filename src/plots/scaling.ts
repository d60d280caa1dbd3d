import { axisX, axisY, dot, gridY, line } from '@observablehq/plot'
import { ruleStyle } from '../compare/labels.js'
import type { RuleName } from '../rule/rule.js'
import { drawn } from './figure.js'
import { FONT_FAMILY } from './font.js'

/** How long an iteration takes as one quantity grows. */
export interface ScalingPanel {
  /** The quantity, with its unit. */
  readonly label: string
  readonly points: readonly ScalingPoint[]
}

/** One measurement. */
export interface ScalingPoint {
  readonly rule: RuleName
  readonly x: number
  /** ms per iteration. */
  readonly ms: number
}

const WIDTH = 380
const HEIGHT = 270
const COLUMNS = 3
const TOP = 44
const MARGIN_FACTOR = 1.15
const LEAST_RANGE = 4
const MARGIN = { top: 14, right: 22, bottom: 48, left: 66 }

/** Panels side by side, both axes logarithmic, as an SVG document. */
export function scalingCurves(panels: readonly ScalingPanel[]): string {
  const width = WIDTH * Math.min(COLUMNS, panels.length)
  const height = TOP + HEIGHT * Math.ceil(panels.length / COLUMNS)
  const drawn = panels.map((each, i) =>
    panel(each).replace('<svg ', `<svg x="${(i % COLUMNS) * WIDTH}" y="${TOP + Math.floor(i / COLUMNS) * HEIGHT}" `)
  )
  const rules = [...new Set(panels.flatMap(({ points }) => points.map(({ rule }) => rule)))]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ` font-family="'${FONT_FAMILY}', sans-serif" font-size="14px">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    ...rules.map(legend),
    ...drawn,
    '</svg>\n'
  ].join('')
}

function panel({ label, points }: ScalingPanel): string {
  const ticks = [...new Set(points.map(({ x }) => x))]
  const colour = ({ rule }: ScalingPoint) => ruleStyle(rule).colour
  return drawn({
    width: WIDTH,
    height: HEIGHT,
    marginTop: MARGIN.top,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
    x: { type: 'log' },
    y: { type: 'log', domain: timeDomain(points) },
    marks: [
      gridY({ stroke: '#dddddd', strokeOpacity: 1, ticks: 4 }),
      axisX(ticks, { label, labelAnchor: 'center', labelArrow: 'none', text: String, fontSize: 14 }),
      axisY({
        label: 'iteration (ms)',
        labelAnchor: 'center',
        labelArrow: 'none',
        labelOffset: 56,
        ticks: 4,
        tickFormat: (y: number) => String(y),
        fontSize: 14
      }),
      line(points, { x: 'x', y: 'ms', z: 'rule', stroke: colour, strokeWidth: 2.2 }),
      dot(points, { x: 'x', y: 'ms', fill: colour, r: 3.2 })
    ]
  })
}

/** Room for all times, and never less than a factor of four: small differences shall look small. */
function timeDomain(points: readonly ScalingPoint[]): [number, number] {
  const times = points.map(({ ms }) => ms)
  const [least, most] = [Math.min(...times) / MARGIN_FACTOR, Math.max(...times) * MARGIN_FACTOR]
  const widen = Math.sqrt(Math.max(1, LEAST_RANGE / (most / least)))
  return [least / widen, most * widen]
}

function legend(rule: RuleName, i: number): string {
  const { label, colour } = ruleStyle(rule)
  const x = MARGIN.left + i * 150
  return (
    `<line x1="${x}" x2="${x + 28}" y1="22" y2="22" stroke="${colour}" stroke-width="2.2"/>` +
    `<text x="${x + 36}" y="22" dy="0.35em">${label}</text>`
  )
}
