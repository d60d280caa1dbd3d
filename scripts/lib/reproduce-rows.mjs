// A table of docs/results.md from what `mdgl compare` wrote: results.json of each part.
import { markdown } from './generated.mjs'

const pm = ({ runs, loss, deviation }) => (runs < 2 ? loss.toFixed(3) : `${loss.toFixed(3)} ± ${deviation.toFixed(3)}`)

const fraction = value => value?.toFixed(3) ?? '–'

/** Milliseconds as minutes and hours. */
export function span(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(0)} s`
  return ms < 3_600_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`
}

/** The columns that some tables only have, and their cells. */
const OPTIONAL = [
  { title: 'diverged', has: ({ diverged }) => diverged > 0, cell: ({ diverged }) => String(diverged) },
  { title: 'accuracy', has: ({ all }) => all.accuracy !== null, cell: ({ all }) => fraction(all.accuracy) },
  {
    title: 'test accuracy',
    has: ({ test }) => test !== undefined,
    cell: ({ test }) => (test === undefined ? '–' : test)
  },
  {
    title: 'cosine to BPTT',
    has: ({ alignment }) => alignment !== undefined,
    cell: ({ alignment }) => (alignment === undefined ? '–' : alignment)
  },
  {
    title: 'published loss',
    has: ({ published }) => published !== null,
    cell: ({ published }) => (published === null ? '–' : pm(published))
  },
  {
    title: 'published accuracy',
    has: ({ published }) => published !== null,
    cell: ({ published }) => (published === null ? '–' : fraction(published.accuracy))
  }
]

/**
 * Mean ± deviation over runs of their validations' loss or accuracy at some iterations, as text; runs that have none there are left
 * out.
 */
export function atIterations(curves, { of, iterations }) {
  return iterations.map(iteration => {
    const found = curves.flatMap(curve => curve.filter(point => point.iteration === iteration).map(point => point[of]))
    return { title: `${of} at ${iteration}`, text: found.length === 0 ? '–' : accuracies(found) }
  })
}

/**
 * A Markdown table of one row for each task and rule. `parts` are the contents of results.json; rules may have a `test`,
 * the test accuracy, an `alignment`, the final cosine, as text, and `at`, columns of their own.
 */
export function resultsTable(parts) {
  const rows = parts.flatMap(({ task, iterations, rules }) => rules.map(rule => ({ ...rule, task, iterations })))
  const titles = [...new Set(rows.flatMap(({ at = [] }) => at.map(({ title }) => title)))]
  const own = titles.map(title => ({
    title,
    cell: ({ at = [] }) => at.find(column => column.title === title)?.text ?? '–'
  }))
  const columns = [...own, ...OPTIONAL.filter(({ has }) => rows.some(has))]
  const header = [
    'task',
    'rule',
    'seeds',
    'final loss',
    'stuck',
    'median of learned',
    ...columns.map(({ title }) => title),
    'ms/iteration',
    'training per run'
  ]
  const cells = rows.map(row => [
    row.task,
    row.rule,
    String(row.all.runs),
    pm(row.all),
    String(row.stuck),
    fraction(row.medianOfLearned),
    ...columns.map(({ cell }) => cell(row)),
    row.msPerIteration.toFixed(1),
    span(row.msPerIteration * row.iterations)
  ])
  return markdown([header, ...cells], 2)
}

/**
 * The cosine of a rule's whole gradient to BPTT's at the end of its training, mean ± deviation, from alignment.json; none where
 * no record has one.
 */
export function finalCosine({ parts }, rule) {
  const cosine = parts.find(part => part.rule === rule && part.part === 'all')?.final.cosine
  if (cosine === undefined || cosine === null || cosine.seeds === 0) return undefined
  return cosine.seeds < 2 ? cosine.mean.toFixed(3) : `${cosine.mean.toFixed(3)} ± ${cosine.deviation.toFixed(3)}`
}

/** How long all runs trained together, by their own clocks: the same however often the command was interrupted. */
export function trainingTime(parts) {
  const times = parts.flatMap(({ iterations, rules }) =>
    rules.map(({ msPerIteration, all }) => msPerIteration * iterations * all.runs)
  )
  return span(times.reduce((sum, ms) => sum + ms, 0))
}

/** Mean ± sample standard deviation of accuracies. */
export function accuracies(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  if (values.length < 2) return mean.toFixed(3)
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return `${mean.toFixed(3)} ± ${Math.sqrt(squares / (values.length - 1)).toFixed(3)}`
}
