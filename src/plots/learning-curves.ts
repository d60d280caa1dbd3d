import { areaY, axisX, axisY, gridY, line, type PlotOptions, ruleY } from '@observablehq/plot'
import type { Comparison, RuleResult } from '../compare/comparison.js'
import { average, type Point } from '../compare/curve.js'
import { ruleStyle } from '../compare/labels.js'
import { figure } from './figure.js'
import { count, LEGEND, type LegendEntry, twoColumns } from './legend.js'

const WIDTH = 760
const HEIGHT = 400
const MARGIN = { right: 32, bottom: 52, left: 68 }
const DASH = '6 4'
const CHANCE_DASH = '1 3'
const STUCK_WIDTH = 0.8
/** The height of the axis where chance is 1: 0.8 for ln 2. */
const TOP = 0.8 / Math.LN2

/** The learning curves of a comparison beside the published ones, as an SVG document. */
export function learningCurves(comparison: Comparison, width = WIDTH): string {
  const legend = legendOf(comparison, width)
  const marginTop = LEGEND.top + LEGEND.row * legend.rows
  const { label, chance } = comparison.measure
  const options: PlotOptions = {
    width,
    height: HEIGHT + marginTop,
    marginTop,
    marginRight: MARGIN.right,
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
    x: { domain: [0, comparison.iterations] },
    y: { domain: [0, chance === null ? highest(comparison) : TOP * chance] },
    marks: [
      gridY({ stroke: '#dddddd', strokeOpacity: 1 }),
      axisX({ label: 'iteration', labelAnchor: 'center', labelArrow: 'none', fontSize: 14, tickSize: 5 }),
      axisY({
        label: `validation loss (${label})`,
        labelOffset: 50,
        labelAnchor: 'center',
        labelArrow: 'none',
        fontSize: 14,
        tickSize: 5
      }),
      ruleY(chance === null ? [] : [chance], { stroke: '#777777', strokeDasharray: CHANCE_DASH }),
      ...comparison.rules.flatMap(rule => ruleMarks(rule, comparison.iterations))
    ]
  }
  return figure(options, legend.svg.join(''))
}

/** The highest of the curves, where chance is not known. */
const highest = ({ rules }: Comparison) =>
  Math.max(...rules.flatMap(({ runs }) => runs.flatMap(({ curve }) => average([curve]).map(({ loss }) => loss))))

function ruleMarks({ rule, runs, published }: RuleResult, iterations: number) {
  const { colour } = ruleStyle(rule)
  const own = average(runs.filter(({ stuck }) => !stuck).map(({ curve }) => curve))
  const theirs = average(published?.curves ?? []).filter(({ iteration }) => iteration <= iterations)
  const stuck = runs.filter(run => run.stuck).map(({ curve }) => average([curve]))
  const at = { x: 'iteration', y: 'loss', stroke: colour, clip: true } as const
  return [
    areaY(own, {
      x: 'iteration',
      y1: ({ loss, deviation }: Point) => loss - deviation,
      y2: ({ loss, deviation }: Point) => loss + deviation,
      fill: colour,
      fillOpacity: 0.18,
      clip: true
    }),
    ...stuck.map(points => line(points, { ...at, strokeWidth: STUCK_WIDTH })),
    line(theirs, { ...at, strokeWidth: 1.5, strokeDasharray: DASH }),
    line(own, { ...at, strokeWidth: 2.2 })
  ]
}

const OWN = { text: 'mean ± sd of the seeds that learned', stroke: '#444444' }
const PUBLISHED = { text: 'published mean (5 runs per rule)', stroke: '#444444', width: 1.5, dash: DASH }
const STUCK = { text: 'a stuck seed', stroke: '#444444', width: STUCK_WIDTH }

/** What the kinds of lines mean. */
function kinds({ rules, measure }: Comparison): LegendEntry[] {
  const chance = { text: measure.chanceLabel, stroke: '#777777', width: 1.5, dash: CHANCE_DASH }
  return [
    OWN,
    ...(rules.some(({ published }) => published !== null) ? [PUBLISHED] : []),
    ...(measure.chance === null ? [] : [STUCK, chance])
  ]
}

/** Above the curves: the rules, and what the kinds of lines mean. */
function legendOf(comparison: Comparison, width: number) {
  const names = comparison.rules.map(({ rule, runs, stuck }) => ({
    text: `${ruleStyle(rule).label}: ${count(runs.length, 'seed')}${stuck > 0 ? `, ${stuck} stuck` : ''}`,
    stroke: ruleStyle(rule).colour
  }))
  return twoColumns(names, kinds(comparison), MARGIN.left, width)
}
