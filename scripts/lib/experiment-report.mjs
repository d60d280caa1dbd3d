// Table and picture of an experiment, from its runs.
import { markdown } from './generated.mjs'
import { span } from './reproduce-rows.mjs'

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length

/** Mean ± sample standard deviation; – where a value is missing everywhere. */
export function spread(values, digits = 3) {
  const known = values.filter(value => value !== null && value !== undefined)
  if (known.length === 0) return '–'
  const centre = mean(known)
  if (known.length < 2) return centre.toFixed(digits)
  const squares = known.reduce((sum, value) => sum + (value - centre) ** 2, 0)
  return `${centre.toFixed(digits)} ± ${Math.sqrt(squares / (known.length - 1)).toFixed(digits)}`
}

const at = (when, key) => runs => spread(runs.map(run => run[when]?.[key]))

/** The columns that an experiment may name. */
const COLUMNS = {
  accuracy: { title: 'accuracy', cell: runs => spread(runs.map(({ accuracy }) => accuracy)) },
  test: { title: 'test accuracy', cell: runs => spread(runs.map(({ test }) => test)) },
  early: { title: 'cosine of mean gradients, early', cell: at('early', 'ofMeans') },
  late: { title: 'late', cell: at('late', 'ofMeans') },
  sameBatch: { title: 'cosine on one batch, early', cell: at('early', 'sameBatch') },
  otherBatch: { title: 'on different batches', cell: at('early', 'otherBatch') },
  ownAgreement: { title: 'agreement between batches: rule', cell: at('early', 'ownAgreement') },
  bpttAgreement: { title: 'BPTT', cell: at('early', 'bpttAgreement') }
}

/** One row per condition. */
export function experimentTable(experiment, results) {
  const columns = experiment.columns.map(name => COLUMNS[name])
  const chooses = results.some(({ grid }) => grid.length > 0)
  const header = [
    'condition',
    'rule',
    ...(chooses ? ['learning rate', 'mean loss on the grid'] : []),
    'seeds',
    'final loss',
    'by seed',
    'stuck',
    ...columns.map(({ title }) => title)
  ]
  const rows = results.map(({ condition, learningRate, grid, runs }) => [
    condition.label,
    condition.series,
    ...(chooses
      ? [String(learningRate ?? '–'), grid.map(one => `${one.learningRate}: ${one.loss.toFixed(3)}`).join(', ')]
      : []),
    String(runs.length),
    spread(runs.map(({ loss }) => loss)),
    runs.map(({ loss }) => loss.toFixed(3)).join(', '),
    String(runs.filter(({ stuck }) => stuck).length),
    ...columns.map(({ cell }) => cell(runs))
  ])
  return markdown([header, ...rows], 2)
}

/** How long all runs trained together, by their own clocks. */
export function experimentTime(results) {
  return span(results.flatMap(({ runs }) => runs.map(({ ms }) => ms)).reduce((sum, ms) => sum + ms, 0))
}

/** The final loss of every run as a dot, and the mean of each condition as a bar. */
export async function experimentPicture(results) {
  const { figure } = await import('../../dist/plots/figure.js')
  const { axisX, axisY, dot, gridX, tickX } = await import('@observablehq/plot')
  const place = ({ condition }) => `${condition.label} (${condition.series})`
  const points = results.flatMap(result => result.runs.map(({ loss }) => ({ y: place(result), x: loss })))
  const means = results.map(result => ({ y: place(result), x: mean(result.runs.map(({ loss }) => loss)) }))
  // Room for the longest name in the widest of usual fonts.
  const names = 12 + Math.ceil(8.5 * Math.max(...results.map(result => place(result).length)))
  return figure({
    width: names + 480,
    height: 80 + 26 * results.length,
    marginLeft: names,
    marginRight: 24,
    marginBottom: 52,
    x: { domain: [0, Math.max(...points.map(({ x }) => x)) * 1.05] },
    y: { domain: results.map(place) },
    marks: [
      gridX({ stroke: '#dddddd', strokeOpacity: 1 }),
      axisX({
        label: 'final validation loss: a dot per seed, a bar for the mean',
        labelAnchor: 'center',
        labelArrow: 'none'
      }),
      axisY({ label: null, tickSize: 0 }),
      dot(points, { x: 'x', y: 'y', fill: '#444444', r: 3.5, fillOpacity: 0.5 }),
      tickX(means, { x: 'x', y: 'y', stroke: '#000000', strokeWidth: 3 })
    ]
  })
}
