import { axisX, axisY, gridY, line, ruleY } from '@observablehq/plot'
import type { Metrics } from '../operations/train.js'
import { drawn } from './figure.js'
import { FONT_FAMILY, FONT_SIZE } from './font.js'
import { LEGEND, legendColumn } from './legend.js'

const STEPS = { text: 'training batches', stroke: '#999999', width: 1 }
const VALIDATIONS = { text: 'validations', stroke: '#1b1b1b' }
const WIDTH = 760
const PANEL = 280
const LEFT = 84

/** The loss of a run along its training, over the accuracy where there is one; an SVG document. */
export function runCurves(metrics: readonly Metrics[], width = WIDTH): string {
  const names = [STEPS, VALIDATIONS]
  const top = LEGEND.top + LEGEND.row * names.length - 12
  const accuracies = metrics.some(({ accuracy }) => accuracy !== null)
  const panels = accuracies ? (['loss', 'accuracy'] as const) : (['loss'] as const)
  const height = top + PANEL * panels.length
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ` font-family="'${FONT_FAMILY}', sans-serif" font-size="${FONT_SIZE}px">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...legendColumn(names, LEFT),
    ...panels.map((figure, i) => panel(metrics, figure, width).replace('<svg ', `<svg y="${top + i * PANEL}" `)),
    '</svg>\n'
  ].join('')
}

function panel(metrics: readonly Metrics[], figure: 'loss' | 'accuracy', width: number): string {
  const of = (split: Metrics['split']) => metrics.filter(line => line.split === split && line[figure] !== null)
  const at = { x: 'iteration', y: figure } as const
  return drawn({
    width,
    height: PANEL,
    marginTop: 16,
    marginLeft: LEFT,
    marginRight: 24,
    marginBottom: 48,
    marks: [
      gridY({ stroke: '#dddddd', strokeOpacity: 1 }),
      axisX({ label: 'iteration', labelAnchor: 'center', labelArrow: 'none', fontSize: FONT_SIZE }),
      axisY({ label: figure, labelAnchor: 'center', labelArrow: 'none', labelOffset: 66, fontSize: FONT_SIZE }),
      ...(figure === 'accuracy' ? [ruleY([0, 1], { stroke: '#dddddd' })] : []),
      line(of('train'), { ...at, stroke: STEPS.stroke, strokeWidth: 0.7 }),
      line(of('validation'), { ...at, stroke: VALIDATIONS.stroke, strokeWidth: 2.2 })
    ]
  })
}
