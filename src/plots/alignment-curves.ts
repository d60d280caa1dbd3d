import { areaY, axisFy, axisX, axisY, frame, gridY, line, type PlotOptions, ruleY } from '@observablehq/plot'
import type { PartAlignment } from '../compare/alignment.js'
import { averageSeries } from '../compare/curve.js'
import { groupBy } from '../compare/group-by.js'
import { ruleStyle } from '../compare/labels.js'
import { figure } from './figure.js'
import { count, LEGEND, legendColumn } from './legend.js'

const WIDTH = 760
const PANEL = 170
const MARGIN = { right: 150, bottom: 52, left: 68 }
/** Units of a letter's width: the longest panel's name has room on the right. */
const LETTER = 7.6

/** The cosine to BPTT along training, a panel for each part of the network and a line per rule, as an SVG document. */
export function alignmentCurves(parts: readonly PartAlignment[], iterations: number, width = WIDTH): string {
  const panels = [...new Set(parts.map(({ part }) => part))]
  const rules = [...groupBy(parts, ({ rule }) => rule)]
  const marginTop = LEGEND.top + LEGEND.row * rules.length
  const options: PlotOptions = {
    width,
    height: marginTop + MARGIN.bottom + PANEL * panels.length,
    marginTop,
    marginRight: Math.max(MARGIN.right, 24 + LETTER * Math.max(...panels.map(name => name.length))),
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
    x: { domain: [0, iterations] },
    y: { domain: [Math.floor(2 * lowest(parts)) / 2, 1] },
    fy: { domain: panels },
    marks: [
      frame({ stroke: '#dddddd' }),
      gridY({ stroke: '#dddddd', strokeOpacity: 1 }),
      axisX({ label: 'iteration', labelAnchor: 'center', labelArrow: 'none', fontSize: 14, tickSize: 5 }),
      axisY({
        label: 'cosine to the gradient of BPTT',
        labelOffset: 50,
        labelAnchor: 'center',
        labelArrow: 'none',
        fontSize: 14,
        tickSize: 5,
        ticks: 5
      }),
      axisFy({ label: null, fontSize: 14 }),
      ruleY([0], { stroke: '#777777' }),
      ...parts.flatMap(partMarks)
    ]
  }
  const names = rules.map(([rule, [of]]) => ({
    text: `${ruleStyle(rule).label}: mean ± sd of ${count(of?.series.length ?? 0, 'seed')}`,
    stroke: ruleStyle(rule).colour
  }))
  return figure(options, legendColumn(names, MARGIN.left).join(''))
}

function partMarks({ rule, part, series }: PartAlignment) {
  const { colour } = ruleStyle(rule)
  // A seed whose cosine is never defined would leave no iteration that all have.
  const points = averageSeries(series.filter(({ values }) => values.length > 0)).map(point => ({ ...point, part }))
  type Of = (typeof points)[number]
  return [
    areaY(points, {
      x: 'iteration',
      y1: ({ mean, deviation }: Of) => mean - deviation,
      y2: ({ mean, deviation }: Of) => mean + deviation,
      fy: 'part',
      fill: colour,
      fillOpacity: 0.18,
      clip: true
    }),
    line(points, { x: 'iteration', y: 'mean', fy: 'part', stroke: colour, strokeWidth: 2.2, clip: true })
  ]
}

const lowest = (parts: readonly PartAlignment[]) =>
  Math.min(0, ...parts.flatMap(({ series }) => series.flatMap(({ values }) => values)))
