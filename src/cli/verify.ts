import { MdglError } from '../support/error.js'
import type { EpropErrors, EpropRow } from '../verify/eprop.js'
import { type Report, verifyPath } from '../verify/file.js'
import { FIXTURE_SCHEMA } from '../verify/fixture.js'
import { FixtureError } from '../verify/shape.js'
import type { Row } from '../verify/verify.js'
import { defineCommand } from './command.js'
import { flag, UsageError } from './options.js'
import { table } from './table.js'

/** `mdgl verify FILE…`: compares files of reference gradients with the engine. */
export const verifyCommand = defineCommand({
  summary: 'compare the engine with files of reference gradients',
  usage: ['<file>… [options]'],
  details: `Files are of schema "mdgl-gradient-fixture/1". For each rule and precision: whether the spikes are equal, and the largest relative error of the loss and of each gradient, relative to the matrix's largest entry, wherever the network has a synapse. Anything above 1e-9 (f64) or 1e-4 (f32), or a spike that differs, fails with exit code 1.

Or of schema "eprop2020-fixture/1": e-prop of Bellec et al. 2020 is trained as the file describes, in f64 (conventions 'bellec2020'). For each of its runs: whether the first sequence's spikes and the numbers of spikes are equal, and the largest relative error of the losses, of the first gradient's and of the last weights' norms. Anything above 1e-6 (TensorFlow's losses) or 1e-8 (all else) fails.`,
  options: { json: flag('one JSON line per rule and precision instead of the tables') },
  examples: ['mdgl verify __test__/fixtures/gradients/*.json', 'mdgl verify --json my-fixture.json'],
  async run({ options: { json }, rest: files }) {
    if (files.length === 0) throw new UsageError('a file to verify is missing')
    let failed = 0
    for (const file of files) {
      const passed = await verifyFile(file, json ? printJson : printTable)
      if (!passed) failed += 1
    }
    if (failed > 0) console.error(`mdgl: ${failed} of ${files.length} files did not verify`)
    return failed > 0 ? 1 : 0
  }
})

type Print = (file: string, report: Report) => void

/** A file that cannot be read is reported, and the others are still verified. */
async function verifyFile(file: string, print: Print): Promise<boolean> {
  try {
    const report = await verifyPath(file)
    print(file, report)
    return report.rows.every(({ passed }) => passed)
  } catch (error) {
    if (!(error instanceof FixtureError || error instanceof MdglError)) throw error
    console.error(`mdgl: ${file}: ${error.message}`)
    return false
  }
}

function printJson(file: string, { rows }: Report): void {
  for (const row of rows) console.log(JSON.stringify({ file, ...row }, infinityAsText))
}

/** JSON has no infinity, and would write null. */
const infinityAsText = (_: string, value: unknown) => (value === Number.POSITIVE_INFINITY ? 'Infinity' : value)

function printTable(file: string, report: Report): void {
  const lines = report.schema === FIXTURE_SCHEMA ? gradientLines(report.rows) : epropLines(report.rows)
  console.log(`${file}\n${table(lines, 2)}\n`)
}

function gradientLines(rows: readonly Row[]): string[][] {
  const header = ['rule', 'precision', 'spikes', 'loss', 'y_last', 'W_in', 'W_rec', 'W_out', 'b_out', 'limit', 'result']
  const lines = rows.map(({ rule, precision, spikes, errors, limit, passed }) => [
    rule,
    precision,
    spikes ? 'equal' : 'DIFFER',
    ...[errors.loss, errors.y_last, errors.W_in, errors.W_rec, errors.W_out, errors.b_out].map(
      error => error?.toExponential(1) ?? '–'
    ),
    limit.toExponential(0),
    passed ? 'ok' : 'FAILED'
  ])
  return [header, ...lines]
}

function epropLines(rows: readonly EpropRow[]): string[][] {
  const header = [
    'run',
    'precision',
    'spikes',
    'TensorFlow',
    'NEST',
    'oracle',
    'gradient',
    'weights',
    'limits',
    'result'
  ]
  const lines = rows.map(({ run, precision, spikes, errors, limits, passed }) => [
    run,
    precision,
    spikes ? 'equal' : 'DIFFER',
    ...['loss_tensorflow', 'loss_nest', 'loss_oracle', 'gradient', 'weights'].map(begin => worst(errors, begin)),
    `${limits.tensorflow.toExponential(0)}, ${limits.others.toExponential(0)}`,
    passed ? 'ok' : 'FAILED'
  ])
  return [header, ...lines]
}

/** The worst of the errors whose names begin so. */
function worst(errors: EpropErrors, begin: string): string {
  const chosen = Object.entries(errors).flatMap(([name, error]) => (name.startsWith(begin) ? [error] : []))
  return chosen.length === 0 ? '–' : Math.max(...chosen).toExponential(1)
}
