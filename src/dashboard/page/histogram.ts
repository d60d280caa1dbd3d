import { axisX, axisY, gridY, line, plot, rectY, ruleX } from '@observablehq/plot'
import type { WeightsSnapshot } from '../../analysis/weights-snapshot.js'
import { type Ground, signColour } from '../../plots/colours.js'
import { ink } from './colours.js'

/** The least count of a logarithmic axis: a bin of one synapse has some height. */
const LEAST = 0.7

/** The weights of a projection now, and an outline of those at the start. */
export function histogram(
  weights: WeightsSnapshot,
  width: number,
  log: boolean,
  ground: Ground
): HTMLElement | SVGSVGElement {
  const { edges, now, first } = weights
  const least = log ? LEAST : 0
  const bins = now
    .map((count, i) => ({ from: edges[i] ?? 0, to: edges[i + 1] ?? 0, count }))
    .filter(({ count }) => count > 0)
  const before = first.flatMap((count, i) => [
    { at: edges[i] ?? 0, count: Math.max(count, least) },
    { at: edges[i + 1] ?? 0, count: Math.max(count, least) }
  ])
  const colour = ({ from, to }: { readonly from: number; readonly to: number }) =>
    signColour(from + to < 0 ? 'inhibitory' : 'excitatory', ground)
  const most = Math.max(1, ...now, ...first)
  const svg = plot({
    width,
    height: 260,
    marginLeft: 58,
    marginBottom: 38,
    style: { background: 'transparent', color: ink(), fontSize: '12px' },
    x: { domain: [edges[0] ?? 0, edges.at(-1) ?? 1] },
    y: { type: log ? 'log' : 'linear', domain: [least, log ? 1.3 * most : 1.05 * most] },
    marks: [
      gridY({ stroke: ink('line'), strokeOpacity: 1, ticks: 4 }),
      axisX({ label: 'weight', labelAnchor: 'center', labelArrow: 'none' }),
      axisY({
        label: 'synapses',
        labelAnchor: 'center',
        labelArrow: 'none',
        labelOffset: 50,
        ticks: 4,
        tickFormat: (value: number) => String(value)
      }),
      rectY(bins, { x1: 'from', x2: 'to', y1: least, y2: 'count', fill: colour, fillOpacity: 0.7 }),
      line(before, { x: 'at', y: 'count', stroke: ink(), strokeWidth: 1.2 }),
      ruleX([0], { stroke: ink('quiet') })
    ]
  })
  // The picture is one thing, and its marks' own labels would be read within it.
  for (const mark of svg.querySelectorAll('[aria-label]')) mark.removeAttribute('aria-label')
  svg.setAttribute('role', 'img')
  svg.setAttribute(
    'aria-label',
    `Histogram of the weights of ${weights.name} now, with an outline of those at the start`
  )
  return svg as HTMLElement | SVGSVGElement
}

/** What became of a projection's synapses, in words. */
export function weightsText({ synapses, firstSynapses, moved }: WeightsSnapshot): string {
  const part = firstSynapses === 0 ? '' : ` (${((100 * synapses) / firstSynapses).toFixed(0)} %)`
  return `${synapses} living synapses of ${firstSynapses} at the start${part}. Distance from the initial weights: ${(100 * moved).toFixed(0)} % of their norm. Outline: the initial weights.`
}
