import { axisX, axisY, line, plot, rectY, ruleY } from '@observablehq/plot'
import type { WeightsSnapshot } from '../../analysis/trial-snapshot.js'
import { ink, ofPlace } from './colours.js'

/** The weights of a projection now, and an outline of what they were first. */
export function histogram({ edges, now, first }: WeightsSnapshot, width: number): HTMLElement | SVGSVGElement {
  const bins = now.map((count, i) => ({ from: edges[i] ?? 0, to: edges[i + 1] ?? 0, count }))
  const before = first.flatMap((count, i) => [{ at: edges[i] ?? 0, count }])
  const svg = plot({
    width,
    height: 220,
    marginLeft: 62,
    marginBottom: 38,
    style: { background: 'transparent', color: ink(), fontSize: '12px' },
    marks: [
      axisX({ label: 'weight', labelAnchor: 'center', labelArrow: 'none' }),
      axisY({ label: 'synapses', labelAnchor: 'center', labelArrow: 'none', labelOffset: 52 }),
      rectY(bins, { x1: 'from', x2: 'to', y: 'count', fill: ofPlace(0), fillOpacity: 0.65 }),
      line(before, { x: 'at', y: 'count', stroke: ink(), curve: 'step-after' }),
      ruleY([0], { stroke: ink('quiet') })
    ]
  })
  // The picture is one thing, and its marks' own labels would be read within it.
  for (const mark of svg.querySelectorAll('[aria-label]')) mark.removeAttribute('aria-label')
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', 'Histogram of the weights now, with an outline of the first ones')
  return svg as HTMLElement | SVGSVGElement
}
