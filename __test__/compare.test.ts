import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { type Comparison, summarise } from '../src/compare/comparison.js'
import { average, type Curve, final } from '../src/compare/curve.js'
import { publishedCurves } from '../src/compare/published.js'
import type { FinishedRun } from '../src/compare/runs.js'
import type { RuleName } from '../src/index.js'
import { learningCurves } from '../src/plots/learning-curves.js'
import { toPng } from '../src/plots/png.js'
import { mean, median, movingMean, standardDeviation } from '../src/support/averages.js'
import { hasLine, interruptedMdgl, mdgl, temporaryFolder } from './helpers/cli.js'

const tiny = (out: string, ...args: string[]) =>
  mdgl(
    'compare',
    'evidence-accumulation',
    '--iterations',
    '2',
    '--batch-size',
    '4',
    '--validate-every',
    '1',
    '--out',
    out,
    ...args
  )

/** A run that ends at a loss. */
function run(rule: RuleName, seed: number, loss: number): FinishedRun {
  const iterations = Array.from({ length: 40 }, (_, i) => 10 * (i + 1))
  const late = (at: number, even: number, odd: number) => (at % 20 === 0 ? even : odd)
  const curve = {
    iterations,
    loss: iterations.map(at => (at <= 200 ? 0.69 : late(at, loss + 0.01, loss - 0.01))),
    accuracy: iterations.map(at => (at <= 200 ? 0.5 : late(at, 0.9, 0.8)))
  }
  return { rule, seed, path: `${rule}-${seed}`, curve, msPerIteration: 20, alignment: null, reused: false }
}

test('mean, sample deviation, median and moving mean', t => {
  t.is(mean([1, 2, 6]), 3)
  t.is(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9]), Math.sqrt(32 / 7))
  t.is(standardDeviation([3]), 0)
  t.is(median([5, 1, 3]), 3)
  t.is(median([4, 1, 3, 2]), 2.5)
  t.deepEqual(movingMean([0, 3, 6, 9], 3), [1.5, 3, 6, 7.5])
})

test('a final loss is the mean over the last iterations asked for, and not the one before', t => {
  const curve: Curve = { iterations: [1800, 1801, 1900, 2000], loss: [9, 1, 2, 6], accuracy: [0, 1, 1, 0.25] }
  t.deepEqual(final(curve, 200), { loss: 3, accuracy: 0.75, median: 2 })
})

test('an average takes the iterations that all runs have', t => {
  const coarse = { iterations: [0, 20], loss: [1, 1], accuracy: [1, 1] }
  const fine = { iterations: [0, 10, 20], loss: [3, 3, 3], accuracy: [1, 1, 1] }
  t.deepEqual(average([coarse, fine]), [
    { iteration: 0, loss: 2, deviation: Math.SQRT2 },
    { iteration: 20, loss: 2, deviation: Math.SQRT2 }
  ])
  t.deepEqual(average([]), [])
})

test('the published runs come to the published values', t => {
  const curves = publishedCurves('evidence-accumulation')
  const accuracy = (rule: string) => mean((curves.get(rule) ?? []).map(curve => final(curve).accuracy))
  t.is(accuracy('bptt').toFixed(2), '0.98')
  t.is(accuracy('mdgl').toFixed(2), '0.90')
  t.is(accuracy('eprop').toFixed(2), '0.75')
  t.is(publishedCurves('another').size, 0)
})

const MIXED = [
  run('bptt', 1, 0.03),
  run('bptt', 2, 0.69),
  run('bptt', 3, 0.05),
  run('eprop', 1, 0.5),
  run('eprop', 2, 0.2),
  run('mdgl', 1, 0.25),
  run('mdgl', 2, 0.3)
]

test('stuck runs are counted, and left out of the median only', t => {
  const { rules, mdglBelowEprop } = summarise('evidence-accumulation', 400, MIXED)
  const [bptt] = rules
  t.is(bptt?.stuck, 1)
  t.deepEqual(
    bptt?.runs.map(({ stuck }) => stuck),
    [false, true, false]
  )
  t.is(bptt?.medianOfLearned?.toFixed(6), '0.040000')
  t.is(bptt?.all.loss.toFixed(6), ((0.03 + 0.69 + 0.05) / 3).toFixed(6))
  t.deepEqual(mdglBelowEprop, { seeds: 1, of: 2 })
})

test('a run is stuck by the median of its final losses, not by a few high ones', t => {
  const late = run('mdgl', 1, 0.3)
  const loss = late.curve.loss.map((value, i, all) => (i >= all.length - 4 ? 3 : value))
  const { rules } = summarise('evidence-accumulation', 400, [{ ...late, curve: { ...late.curve, loss } }])
  t.true((rules[0]?.runs[0]?.final.loss ?? 0) > 0.65)
  t.is(rules[0]?.stuck, 0)
})

test('a rule of which every run got stuck has no median', t => {
  const { rules } = summarise('evidence-accumulation', 400, [run('bptt', 1, 0.7)])
  t.is(rules[0]?.medianOfLearned, null)
})

test('the picture has every rule, axes with units, and text that shows', t => {
  const comparison: Comparison = summarise('evidence-accumulation', 400, MIXED)
  const svg = learningCurves(comparison)
  for (const text of [
    'BPTT: 3 seeds, 1 stuck',
    'e-prop: 2 seeds',
    'MDGL: 2 seeds',
    'iteration',
    'cross-entropy, nats'
  ]) {
    t.true(svg.includes(text), text)
  }
  // Without a font resvg draws no text, and the picture is the same as that of the SVG without it.
  const bare = svg.replaceAll(/<text[^>]*>[^<]*<\/text>/g, '')
  t.notDeepEqual(toPng(svg), toPng(bare))
})

test('compare writes table, pictures and results, and goes on where it was', async t => {
  const out = join(await temporaryFolder(t), 'runs')
  const first = await tiny(out, '--rules', 'eprop,mdgl', '--seeds', '1-2')
  t.is(first.code, 0, first.stderr)
  t.regex(first.stdout, /^ {2}mdgl +2 +0\.\d+ ± 0\.\d+ /m)
  t.regex(first.stdout, /MDGL ends below e-prop on [0-2] of 2 seeds\./)
  t.true(first.stdout.trimEnd().endsWith(join(out, 'learning-curves.png')))
  t.is(first.stderr.match(/done/g)?.length, 4)
  t.is((await readFile(join(out, 'learning-curves.png'))).toString('latin1', 1, 4), 'PNG')
  t.true((await readFile(join(out, 'learning-curves.svg'), 'utf8')).startsWith('<svg'))
  const results = JSON.parse(await readFile(join(out, 'results.json'), 'utf8'))
  t.deepEqual(
    results.rules.map(({ rule }: { rule: string }) => rule),
    ['eprop', 'mdgl']
  )
  t.is(results.rules[0].runs.length, 2)

  // One run was interrupted before its end, one is new, the others are finished.
  const finished = join(out, 'mdgl-1', 'weights.safetensors')
  const before = await stat(finished)
  const reference = await readFile(join(out, 'eprop-2', 'weights.safetensors'))
  await rm(join(out, 'eprop-2', 'weights.safetensors'))
  await writeFile(join(out, 'eprop-2', 'metrics.jsonl'), '{"iteration":1,"spl')
  const second = await tiny(out, '--rules', 'eprop,mdgl', '--seeds', '1-3')
  t.is(second.code, 0, second.stderr)
  t.is(second.stderr.match(/used again/g)?.length, 3)
  t.is(second.stderr.match(/done/g)?.length, 3)
  t.is((await stat(finished)).mtimeMs, before.mtimeMs)
  t.deepEqual(await readFile(join(out, 'eprop-2', 'weights.safetensors')), reference)
})

test('compare leaves an unfinished run of other settings alone, and says so', async t => {
  const out = join(await temporaryFolder(t), 'runs')
  t.is((await tiny(out, '--rules', 'eprop')).code, 0)
  await rm(join(out, 'eprop-1', 'weights.safetensors'))
  const { code, stderr } = await tiny(out, '--rules', 'eprop', '--batch-size', '5')
  t.is(code, 1)
  t.regex(stderr, /eprop-1 holds an unfinished run with another batchSize: choose another --out/)
})

const posixTest = process.platform === 'win32' ? test.skip : test

posixTest('an interrupted compare says that it goes on', async t => {
  const out = await temporaryFolder(t)
  const { code, stdout, stderr } = await interruptedMdgl(['compare', 'evidence-accumulation', '--out', out], () =>
    hasLine(join(out, 'bptt-1', 'metrics.jsonl'))
  )
  t.is(code, 130)
  t.is(stdout, '')
  t.is(stderr, 'mdgl: interrupted; the same command continues from here\n')
})

test('compare leaves a finished run of other settings alone, and says so', async t => {
  const out = join(await temporaryFolder(t), 'runs')
  t.is((await tiny(out, '--rules', 'eprop')).code, 0)
  const before = await readFile(join(out, 'eprop-1', 'config.json'), 'utf8')
  const { code, stderr } = await tiny(out, '--rules', 'eprop', '--precision', 'f64')
  t.is(code, 1)
  t.regex(stderr, /^mdgl: .*eprop-1 holds a finished run with another precision: choose another --out[^\n]*\n$/m)
  t.is(await readFile(join(out, 'eprop-1', 'config.json'), 'utf8'), before)
})

test('a run that diverged counts as stuck, is used again, and is named', async t => {
  const out = join(await temporaryFolder(t), 'runs')
  t.is((await tiny(out, '--rules', 'eprop', '--seeds', '1-2')).code, 0)
  const run = join(out, 'eprop-2')
  await writeFile(
    join(run, 'diverged.json'),
    '{"iteration":1,"message":"the gradient of cells->cells is not a finite number."}\n'
  )
  const lines = (await readFile(join(run, 'metrics.jsonl'), 'utf8')).split('\n')
  await writeFile(join(run, 'metrics.jsonl'), `${lines.filter(line => line.includes('"iteration":1,')).join('\n')}\n`)
  const { code, stdout, stderr } = await tiny(out, '--rules', 'eprop', '--seeds', '1-2')
  t.is(code, 0, stderr)
  t.regex(stderr, /eprop seed 2 {2}used again, diverged at iteration 2/)
  t.regex(stdout, /^ {2}2 +diverged at 2, 0\.\d{3}$/m)
  t.regex(stdout, /Diverged: .* counts as stuck/)
  const [rule] = JSON.parse(await readFile(join(out, 'results.json'), 'utf8')).rules
  t.is(rule.diverged, 1)
  t.true(rule.stuck >= 1)
  t.deepEqual(
    rule.runs.map(({ diverged }: { diverged: object | null }) => diverged?.constructor ?? null),
    [null, Object]
  )
})
