import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { keyedAlignment } from '../src/analysis/alignment.js'
import { alignmentReport } from '../src/cli/alignment-report.js'
import { summariseAlignment } from '../src/compare/alignment.js'
import type { FinishedRun } from '../src/compare/runs.js'
import { evidenceAccumulation, type GradientAlignment, Model, makeBatch, type RuleName } from '../src/index.js'
import { alignmentCurves } from '../src/plots/alignment-curves.js'
import { type AlignmentRecord, alignmentRecord, appendAlignment, readAlignment } from '../src/runs/alignment-record.js'
import { builtInTask } from '../src/runs/tasks.js'
import type { RunSettings } from '../src/runs/train-run.js'
import { jsonLines, mdgl, temporaryFolder } from './helpers/cli.js'

const NONE = { cosine: null, angle: null, normRatio: null }
const SAME = { cosine: 1, angle: 0, normRatio: 1 }

const tiny = (out: string, ...args: string[]) =>
  mdgl(
    'compare',
    'evidence-accumulation',
    ...['--iterations', '4', '--batch-size', '4', '--validate-every', '2', '--out', out, ...args]
  )

const lines = async (...path: string[]) => jsonLines(await readFile(join(...path), 'utf8'))

/** What training made: its weights, and its metrics without the time they took. */
async function result(folder: string) {
  const metrics = await lines(folder, 'metrics.jsonl')
  return [await readFile(join(folder, 'weights.safetensors')), metrics.map(line => ({ ...line, msPerIteration: 0 }))]
}

test('compare --alignment records along the run, changes nothing of it, and goes on where it was', async t => {
  const folder = await temporaryFolder(t)
  const [plain, out] = [join(folder, 'plain'), join(folder, 'aligned')]
  t.is((await tiny(plain, '--rules', 'eprop')).code, 0)
  const first = await tiny(out, '--rules', 'bptt,eprop', '--seeds', '1-2', '--alignment')
  t.is(first.code, 0, first.stderr)
  t.regex(first.stdout, /^ {2}bptt +all +2 +1\.000 ± 0\.000 +1\.000 ± 0\.000 +0\.0 ± 0\.0 +1\.000 ± 0\.000 +–$/m)
  t.regex(first.stdout, /^ {2}eprop +cells->cells +2 /m)
  t.true(first.stdout.trimEnd().endsWith(join(out, 'alignment.png')))
  t.true((await readFile(join(out, 'alignment.svg'), 'utf8')).includes('cosine to the gradient of BPTT'))
  t.is(JSON.parse(await readFile(join(out, 'alignment.json'), 'utf8')).format, 'mdgl-alignment/1')

  // Training is the same to the last bit.
  t.deepEqual(await result(join(out, 'eprop-1')), await result(join(plain, 'eprop-1')))
  const bptt = await lines(out, 'bptt-1', 'alignment.jsonl')
  t.deepEqual(
    bptt.map(({ iteration, all }) => ({ iteration, all })),
    [
      { iteration: 2, all: SAME },
      { iteration: 4, all: SAME }
    ]
  )
  // The last record is at the weights that the run ended with, on its last validation batch.
  const task = evidenceAccumulation()
  const batch = await makeBatch(task, { seed: 2, split: 'validation', iteration: 4, size: 4 })
  const key = { seed: 2, stream: 1, iteration: 4 }
  const model = await Model.load(join(out, 'eprop-2', 'weights.safetensors'))
  const [expected] = await keyedAlignment(model, batch, ['eprop'], { loss: task.loss }, key)
  const eprop = await lines(out, 'eprop-2', 'alignment.jsonl')
  t.deepEqual(eprop.at(-1), { iteration: 4, all: expected?.all, projections: expected?.projections })
  t.not(expected?.all.cosine, null)

  // One run was ended within its last line; the others are used again, also without the alignment or with less of it.
  const finished = join(out, 'bptt-2', 'weights.safetensors')
  const before = await stat(finished)
  await rm(join(out, 'eprop-2', 'weights.safetensors'))
  await writeFile(join(out, 'eprop-2', 'alignment.jsonl'), `${JSON.stringify(eprop[0])}\n{"iteration":4,"a`)
  const second = await tiny(out, '--rules', 'bptt,eprop', '--seeds', '1-2', '--alignment', '--alignment-every', '4')
  t.is(second.code, 0, second.stderr)
  t.is(second.stderr.match(/used again/g)?.length, 3)
  t.deepEqual(await lines(out, 'eprop-2', 'alignment.jsonl'), eprop.slice(1))
  const third = await tiny(out, '--rules', 'bptt,eprop', '--seeds', '1-2')
  t.is(third.stderr.match(/used again/g)?.length, 4)
  t.is((await stat(finished)).mtimeMs, before.mtimeMs)
})

test('a finished run without the alignment is trained again, to the same bits', async t => {
  const out = join(await temporaryFolder(t), 'runs')
  t.is((await tiny(out, '--rules', 'mdgl')).code, 0)
  const before = await result(join(out, 'mdgl-1'))
  const { code, stderr } = await tiny(out, '--rules', 'mdgl', '--alignment', '--alignment-every', '1')
  t.is(code, 0, stderr)
  t.regex(stderr, /mdgl seed 1 {2}done/)
  t.deepEqual(await result(join(out, 'mdgl-1')), before)
  t.is((await readAlignment(join(out, 'mdgl-1'))).length, 4)
})

for (const [what, args, says] of [
  ['an interval without the alignment', ['--alignment-every', '2'], /--alignment-every requires --alignment/],
  ['an interval longer than the run', ['--alignment', '--alignment-every', '5'], /at most --iterations, 4/],
  ['an interval of 0', ['--alignment', '--alignment-every', '0'], /at least 1/]
] as const) {
  test(`usage: ${what}`, async t => {
    const { code, stderr } = await tiny('nowhere', ...args)
    t.is(code, 2)
    t.regex(stderr, says)
  })
}

test('a gradient that is not finite is recorded as such, and the run goes on', async t => {
  const task = builtInTask('evidence-accumulation')
  const model = Model.create(task.network({ seed: 1 }))
  const huge = model.weights.get('cells->choice').values.map(weight => Math.sign(weight) * 3e38)
  model.weights.set('cells->choice', huge)
  const options: RunSettings = {
    task,
    rule: 'mdgl',
    seed: 1,
    iterations: 1,
    batchSize: 4,
    validateEvery: 1,
    precision: 'f32'
  }
  const record = await alignmentRecord(model, options, 1)
  t.deepEqual(record, {
    iteration: 1,
    all: NONE,
    projections: { 'cues->cells': NONE, 'cells->cells': NONE, 'cells->choice': NONE },
    notFinite: true
  })
  const folder = await temporaryFolder(t)
  t.deepEqual(await readAlignment(folder), [])
  await appendAlignment(folder, record)
  t.deepEqual(await readAlignment(folder), [record])
  await writeFile(join(folder, 'alignment.jsonl'), 'broken\n')
  await t.throwsAsync(readAlignment(folder), { message: /alignment\.jsonl:1 is no line/ })
})

/** A run whose cosines at iterations 100, 200, … are given; the angle and the ratio are numbers to tell apart. */
function run(rule: RuleName, seed: number, cosines: (number | null)[]): FinishedRun {
  const figures = (cosine: number | null): GradientAlignment =>
    cosine === null ? NONE : { cosine, angle: 100 * cosine, normRatio: 2 * cosine }
  const alignment = cosines.map(
    (cosine, i): AlignmentRecord => ({
      iteration: 100 * (i + 1),
      all: figures(cosine),
      projections: { loop: figures(null) }
    })
  )
  const curve = { iterations: [400], loss: [0.5], accuracy: [0.5] }
  return { rule, seed, path: `${rule}-${seed}`, curve, msPerIteration: 20, alignment, reused: false }
}

test('means over the run and its end, over the seeds that have a value', t => {
  const parts = summariseAlignment([run('mdgl', 1, [0, 0, 0.3, 0.5]), run('mdgl', 2, [null, 0.6, null, 0.6])], 200)
  t.deepEqual(
    parts.map(({ rule, part }) => [rule, part]),
    [
      ['mdgl', 'all'],
      ['mdgl', 'loop']
    ]
  )
  const [all, loop] = parts
  t.is(all?.cosine?.mean.toFixed(12), '0.400000000000')
  t.is(all?.cosine?.deviation.toFixed(12), (0.4 / Math.SQRT2).toFixed(12))
  t.is(all?.final.cosine?.mean.toFixed(12), '0.500000000000')
  t.is(all?.final.angle?.mean.toFixed(10), '50.0000000000')
  t.is(all?.final.normRatio?.mean.toFixed(12), '1.000000000000')
  t.deepEqual(all?.without, { records: 2, of: 8 })
  t.deepEqual(all?.series[1], { iterations: [200, 400], values: [0.6, 0.6] })
  t.is(loop?.cosine, null)
  t.is(loop?.final.angle, null)
  t.deepEqual(loop?.without, { records: 8, of: 8 })
  const report = alignmentReport(parts, 100)
  t.regex(report, /^ {2}mdgl +loop +2 +– +– +– +– +8 of 8$/m)
  t.regex(report, /2 of 8$/m)
})

test('the picture has a panel for each part and a line for each rule', t => {
  const parts = summariseAlignment([run('mdgl', 1, [0.1, 0.2]), run('eprop', 1, [-0.2, -0.3])])
  const svg = alignmentCurves(parts, 200)
  for (const text of ['MDGL: mean ± sd of 1 seed', 'e-prop: mean ± sd of 1 seed', '>all<', '>loop<', 'iteration']) {
    t.true(svg.includes(text), text)
  }
  // The axis reaches as far down as the cosines.
  t.regex(svg, />−0\.\d+</)
  t.notRegex(alignmentCurves(summariseAlignment([run('mdgl', 1, [0.1, 0.2])]), 200), />−/)
})
