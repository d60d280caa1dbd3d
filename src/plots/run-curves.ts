import { axisX, axisY, gridY, line } from '@observablehq/plot'
import type { Metrics } from '../operations/train.js'
import { FONT_SIZE, figure } from './figure.js'
import { LEGEND, legendColumn } from './legend.js'

const STEPS = { text: 'training batches', stroke: '#999999', width: 1 }
const VALIDATIONS = { text: 'validations', stroke: '#0072B2' }

/** The loss of a run along its training; an SVG document. */
export function runCurves(metrics: readonly Metrics[]): string {
  const of = (split: Metrics['split']) => metrics.filter(line => line.split === split)
  const names = [STEPS, VALIDATIONS]
  const options = {
    width: 760,
    height: 340,
    marginTop: LEGEND.top + LEGEND.row * names.length,
    marginLeft: 68,
    marginRight: 24,
    marginBottom: 48,
    marks: [
      gridY({ stroke: '#dddddd', strokeOpacity: 1 }),
      axisX({ label: 'iteration', labelAnchor: 'center', labelArrow: 'none', fontSize: FONT_SIZE }),
      axisY({ label: 'loss', labelAnchor: 'center', labelArrow: 'none', labelOffset: 50, fontSize: FONT_SIZE }),
      line(of('train'), { x: 'iteration', y: 'loss', stroke: STEPS.stroke, strokeWidth: 0.7 }),
      line(of('validation'), { x: 'iteration', y: 'loss', stroke: VALIDATIONS.stroke, strokeWidth: 2.2 })
    ]
  }
  return figure(options, legendColumn(names, 68).join(''))
}
