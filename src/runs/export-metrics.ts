import { parquetWriteBuffer } from 'hyparquet-writer'
import type { Metrics } from '../operations/train.js'
import { writeAside } from '../support/write-aside.js'
import type { CompleteOptimiser } from '../task/optimiser.js'
import { learningRateText } from './learning-rate-text.js'
import { ruleLabel } from './rule-label.js'
import type { RunConfig, StoredRun } from './run-folder.js'

type Value = string | number | boolean | null

/** A column of a table: a value per row, null where a row has none. */
interface Column {
  readonly name: string
  readonly type: 'STRING' | 'INT32' | 'DOUBLE' | 'BOOLEAN'
  readonly nullable: boolean
  readonly data: readonly Value[]
}

/** A run, and the folder that it is called by. */
export interface NamedRun {
  readonly name: string
  readonly run: StoredRun
}

/** Writes a run's metrics as a table, one row per line: comma-separated values, or Parquet where the name ends so. */
export async function writeMetrics(metrics: readonly Metrics[], path: string): Promise<void> {
  await write(metricColumns(metrics), path)
}

/**
 * Writes the metrics of several runs as one table. Before the metrics stand run, task, rule and seed, and a column for every setting in which the
 * runs differ: the axes of a sweep.
 */
export async function writeAllMetrics(runs: readonly NamedRun[], path: string): Promise<void> {
  const rows = runs.flatMap(({ name, run }) => run.metrics.map(metrics => ({ name, config: run.config, metrics })))
  const perRow = (name: string, of: (row: (typeof rows)[number]) => Value) => column(name, rows.map(of))
  const settings = new Map(runs.map(({ run }) => [run.config, settingsOf(run.config)]))
  const axes = differing([...settings.values()])
  await write(
    [
      perRow('run', ({ name }) => name),
      perRow('task', ({ config }) => config.task),
      perRow('rule', ({ config }) => ruleLabel(config)),
      perRow('seed', ({ config }) => config.seed),
      ...axes.map(axis => perRow(axis, ({ config }) => settings.get(config)?.get(axis) ?? null)),
      ...metricColumns(rows.map(({ metrics }) => metrics))
    ],
    path
  )
}

/** What may differ between the runs of a sweep, by the names of its axes. */
function settingsOf({ training, taskOptions = {}, precision }: RunConfig): ReadonlyMap<string, Value> {
  const { iterations, batchSize, validateEvery, optimiser, regulariser } = training
  const { learningRate, ...others } = optimiser as CompleteOptimiser
  const rate =
    typeof learningRate === 'number' ? learningRate : (learningRateText(learningRate) ?? JSON.stringify(learningRate))
  return new Map(
    [
      ...Object.entries({ iterations, batchSize, validateEvery, precision, learningRate: rate }),
      ...Object.entries(others).map(([name, value]) => [`optimiser.${name}`, value] as const),
      ...Object.entries(regulariser ?? {}).map(([name, value]) => [`regulariser.${name}`, value] as const),
      ...Object.entries(taskOptions).map(([name, value]) => [`task.${name}`, value] as const)
    ].map(([name, value]) => [name, plain(value)])
  )
}

const plain = (value: unknown): Value =>
  value === undefined ? null : typeof value === 'object' && value !== null ? JSON.stringify(value) : (value as Value)

/** The settings that have more than one value, in the order in which they first come. */
function differing(all: readonly ReadonlyMap<string, Value>[]): string[] {
  const names = new Set(all.flatMap(settings => [...settings.keys()]))
  return [...names].filter(name => new Set(all.map(settings => settings.get(name) ?? null)).size > 1)
}

function metricColumns(metrics: readonly Metrics[]): Column[] {
  const numbers = ['loss', 'accuracy', 'gradientNorm', 'msPerIteration', 'regulariser', 'rate'] as const
  return [
    { name: 'iteration', type: 'INT32', nullable: false, data: metrics.map(({ iteration }) => iteration) },
    { name: 'split', type: 'STRING', nullable: false, data: metrics.map(({ split }) => split) },
    ...numbers.map(name => ({
      name,
      type: 'DOUBLE' as const,
      nullable: name === 'accuracy',
      data: metrics.map(line => line[name] ?? null)
    })),
    ...readoutColumns(metrics),
    ...livingColumns(metrics)
  ]
}

/** Loss and accuracy of each readout by itself, where there are several. */
function readoutColumns(metrics: readonly Metrics[]): Column[] {
  // Runs of before they were kept have none.
  const of = (line: Partial<Metrics>) => line.readouts ?? {}
  const names = [...new Set(metrics.flatMap(line => Object.keys(of(line))))]
  if (names.length < 2) return []
  return names.flatMap(name =>
    (['loss', 'accuracy'] as const).map(figure => ({
      name: `${name}.${figure}`,
      type: 'DOUBLE' as const,
      nullable: true,
      data: metrics.map(line => of(line)[name]?.[figure] ?? null)
    }))
  )
}

/** The living synapses of each projection. */
function livingColumns(metrics: readonly Metrics[]): Column[] {
  const names = [...new Set(metrics.flatMap(({ living }) => Object.keys(living)))]
  return names.map(name => {
    const data = metrics.map(({ living }) => living[name] ?? null)
    return { name: `living.${name}`, type: 'INT32', nullable: data.includes(null), data }
  })
}

/** A column of the type that all its values have. */
function column(name: string, data: readonly Value[]): Column {
  const given = data.filter(value => value !== null)
  const all = (is: (value: Value) => boolean) => given.length > 0 && given.every(is)
  const type = all(value => typeof value === 'boolean')
    ? 'BOOLEAN'
    : all(value => Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31)
      ? 'INT32'
      : all(value => typeof value === 'number')
        ? 'DOUBLE'
        : 'STRING'
  return {
    name,
    type,
    nullable: given.length < data.length,
    data: type === 'STRING' ? data.map(value => (value === null ? null : String(value))) : data
  }
}

async function write(columns: readonly Column[], path: string): Promise<void> {
  const bytes = path.endsWith('.parquet') ? parquet(columns) : new TextEncoder().encode(csv(columns))
  await writeAside(path, bytes)
}

function csv(columns: readonly Column[]): string {
  const rows = Array.from(columns[0]?.data ?? [], (_, i) => columns.map(({ data }) => field(data[i] ?? null)).join(','))
  return `${[columns.map(({ name }) => field(name)).join(','), ...rows].join('\n')}\n`
}

/** A value as comma-separated files have it: in quotes where it would be taken for several. */
function field(value: Value): string {
  const text = value === null ? '' : String(value)
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function parquet(columns: readonly Column[]): Uint8Array {
  const columnData = columns.map(each => ({ ...each, data: [...each.data] }))
  return new Uint8Array(parquetWriteBuffer({ columnData }))
}
