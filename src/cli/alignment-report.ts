import type { OverSeeds, PartAlignment } from '../compare/alignment.js'
import { type FinalIterations, finalText } from '../compare/curve.js'
import { table } from './table.js'

/** The table of `mdgl compare --alignment`. */
export function alignmentReport(
  parts: readonly PartAlignment[],
  every: number,
  finalIterations?: FinalIterations
): string {
  const header = ['rule', 'synapses', 'seeds', 'cosine', 'final cosine', 'final angle', 'final norm ratio', 'without']
  return [
    `Alignment of each rule's gradient to BPTT's, every ${every} iterations of its own training`,
    '',
    table([header, ...parts.map(row)], 2),
    '',
    `Cosine: mean over the run, then mean ± sd over the seeds; final: over the records of ${finalText(finalIterations)}. Angles in degrees.`,
    'Without: records that have no cosine, since a gradient was 0 in every synapse or was not finite.'
  ].join('\n')
}

function row({ rule, part, cosine, final, series, without }: PartAlignment): string[] {
  return [
    rule,
    part,
    String(series.length),
    shown(cosine, 3),
    shown(final.cosine, 3),
    shown(final.angle, 1),
    shown(final.normRatio, 3),
    without.records === 0 ? '–' : `${without.records} of ${without.of}`
  ]
}

function shown(value: OverSeeds | null, digits: number): string {
  if (value === null) return '–'
  const mean = value.mean.toFixed(digits)
  return value.seeds < 2 ? mean : `${mean} ± ${value.deviation.toFixed(digits)}`
}
