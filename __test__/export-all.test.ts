import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { parquetMetadata } from 'hyparquet'
import { mdgl, temporaryFolder } from './helpers/cli.js'

const PLAN = {
  schema: 'mdgl-sweep/1',
  task: 'evidence-accumulation',
  rules: ['eprop', 'mdgl'],
  seeds: [1],
  options: { iterations: 2, batchSize: 2, validateEvery: 2 },
  taskOptions: { delay: [100, 200] }
}

/** A sweep's folder. */
async function sweepIn(folder: string): Promise<string> {
  const [plan, out] = [join(folder, 'plan.json'), join(folder, 'sweep')]
  const options = { ...PLAN.options, learningRate: [0.001, { kind: 'cosine', from: 0.01 }] }
  await writeFile(plan, JSON.stringify({ ...PLAN, options }))
  await mdgl('sweep', plan, '--jobs', '1', '--out', out)
  return out
}

test('the runs of a sweep are one table, with a column per axis', async t => {
  const folder = await temporaryFolder(t)
  const out = await sweepIn(folder)
  const csv = join(folder, 'all.csv')
  const { code, stdout, stderr } = await mdgl('export', out, '--metrics', csv)
  t.is(code, 0, stderr)
  t.is(stdout, `${csv}\n`)
  const [head = '', ...rows] = (await readFile(csv, 'utf8')).trimEnd().split('\n')
  t.is(
    head,
    'run,task,rule,seed,learningRate,task.delay,iteration,split,loss,accuracy,gradientNorm,msPerIteration,regulariser,rate,living.cues->cells,living.cells->cells,living.cells->choice'
  )
  t.is(rows.length, 2 * 2 * 2 * 3)
  t.is(
    new Set(
      rows.map(row =>
        row
          .replace(/^"[^"]*"/, '')
          .split(',')
          .slice(2, 6)
          .join()
      )
    ).size,
    8
  )
  t.true(rows.some(row => row.includes(',mdgl,1,cosine:0.01') && row.includes(',200,2,validation,')))
  t.is((await mdgl('export', out, '--metrics', csv, '--weights', join(folder, 'w.npz'))).code, 1)
  t.regex((await mdgl('export', join(folder, 'nothing'), '--metrics', csv)).stderr, /holds no run/)
})

test('each column of the Parquet table has its type', async t => {
  const folder = await temporaryFolder(t)
  const out = await sweepIn(folder)
  const file = join(folder, 'all.parquet')
  t.is((await mdgl('export', out, '--metrics', file)).code, 0)
  const bytes = await readFile(file)
  const { schema, num_rows } = parquetMetadata(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  t.is(num_rows, 24n)
  const types = Object.fromEntries(schema.map(({ name, type }) => [name, type]))
  t.like(types, { run: 'BYTE_ARRAY', seed: 'INT32', 'task.delay': 'INT32', iteration: 'INT32', loss: 'DOUBLE' })
})
