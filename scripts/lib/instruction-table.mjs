// Instructions per iteration beside the recorded ones, as a table and a list of what has grown.
import { markdown } from './generated.mjs'

/** Growth over the record that fails. */
export const MOST_GROWTH = 0.05

const millions = count => (count / 1e6).toFixed(1)

/**
 * Compares counts by name with those of the record, whose names must be the same. `grown` lists what is more than
 * {@link MOST_GROWTH} above its record.
 */
export function instructionTable(recorded, measured) {
  const names = Object.keys(measured.counts)
  const growth = name => measured.counts[name] / recorded.counts[name] - 1
  const rows = names.map(name => [
    name,
    name in recorded.counts ? millions(recorded.counts[name]) : '',
    millions(measured.counts[name]),
    name in recorded.counts ? (100 * growth(name)).toFixed(1) : ''
  ])
  const header = ['10⁶ instructions per iteration, AVX2, 1 thread', 'recorded', 'now', '%']
  const compilers =
    recorded.compiler === measured.compiler ? [] : [`Recorded with ${recorded.compiler}, now ${measured.compiler}.`]
  return {
    text: [markdown([header, ...rows]), ...compilers].join('\n\n'),
    grown: [
      ...names.filter(name => growth(name) > MOST_GROWTH),
      ...Object.keys(recorded.counts).filter(name => !(name in measured.counts))
    ]
  }
}
