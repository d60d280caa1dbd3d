import { parquetWriteBuffer } from 'hyparquet-writer'
import type { Metrics } from '../operations/train.js'
import { writeAside } from '../support/write-aside.js'

const COLUMNS = [
  'iteration',
  'split',
  'loss',
  'accuracy',
  'gradientNorm',
  'msPerIteration',
  'regulariser',
  'rate'
] as const

/** Writes metrics as a table, one row per line: comma-separated values, or Parquet where the name ends so. */
export async function writeMetrics(metrics: readonly Metrics[], path: string): Promise<void> {
  await writeAside(path, path.endsWith('.parquet') ? parquet(metrics) : new TextEncoder().encode(csv(metrics)))
}

function csv(metrics: readonly Metrics[]): string {
  const row = (line: Metrics) => COLUMNS.map(column => line[column] ?? '').join(',')
  return `${[COLUMNS.join(','), ...metrics.map(row)].join('\n')}\n`
}

function parquet(metrics: readonly Metrics[]): Uint8Array {
  const columnData = COLUMNS.map(name => ({
    name,
    data: metrics.map(line => line[name] ?? null),
    type: name === 'split' ? ('STRING' as const) : name === 'iteration' ? ('INT32' as const) : ('DOUBLE' as const),
    nullable: name === 'accuracy'
  }))
  return new Uint8Array(parquetWriteBuffer({ columnData }))
}
