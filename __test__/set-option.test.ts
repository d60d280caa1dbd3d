import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { delayedXor, evidenceAccumulation } from '../src/index.js'
import { parseSetting, settingsBetween, settingText, withSettings } from '../src/runs/settings.js'
import type { BuiltInTask } from '../src/runs/tasks.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'

const SHORT = ['--iterations', '4', '--batch-size', '2', '--validate-every', '2', '--threads', '1'] as const

test('a setting is a path and JSON or a word, and its text is read as the same', t => {
  for (const [text, path, value] of [
    ['optimiser.clipNorm=1', 'optimiser.clipNorm', 1],
    ['optimiser.kind=gradient-descent', 'optimiser.kind', 'gradient-descent'],
    ['optimiser.frozen=["a->b"]', 'optimiser.frozen', ['a->b']],
    ['regulariser=null', 'regulariser', null]
  ] as const) {
    t.deepEqual(parseSetting(text), { path, value })
    t.is(settingText({ path, value }), text)
  }
  for (const text of ['optimiser', 'optimiser.', 'optimiser.l1=', 'optimiser..l1=1', 'loss.weight=1', '=1'])
    t.is(parseSetting(text), undefined, text)
})

test('settings change parts and leave the others, and differences of values are settings again', t => {
  const task = evidenceAccumulation() as BuiltInTask
  const of = (...texts: string[]) =>
    withSettings(
      task,
      undefined,
      texts.flatMap(text => parseSetting(text) ?? [])
    )
  t.deepEqual(of('regulariser=null'), { task: { ...task, regulariser: null }, optimiser: undefined })
  const { optimiser } = of('optimiser.learningRateFactors.cues->cells=0', 'optimiser.decay.factor=0.5')
  t.deepEqual(optimiser, {
    ...task.optimiser,
    learningRateFactors: { 'cues->cells': 0 },
    decay: { factor: 0.5 }
  } as never)
  t.deepEqual(of('optimiser.kind=gradient-descent').optimiser?.kind, 'gradient-descent')
  const beta = { ...task, optimiser: { kind: 'adam', beta1: 0.5, l1: 0 } } as BuiltInTask
  const descent = withSettings(beta, undefined, [{ path: 'optimiser.kind', value: 'gradient-descent' }])
  t.deepEqual(descent.optimiser, { kind: 'gradient-descent', l1: 0 })
  // A schedule takes the place of a decay.
  const decaying = { ...task, optimiser: { kind: 'adam', decay: { factor: 0.5, every: 2 } } } as BuiltInTask
  const { optimiser: scheduled } = withSettings(decaying, undefined, [
    { path: 'optimiser.learningRate', value: 'cosine:0.01' }
  ])
  t.deepEqual(scheduled, { kind: 'adam', learningRate: { kind: 'cosine', from: 0.01 }, decay: null })
  t.deepEqual(settingsBetween('o', { a: 1, b: { c: 2, d: 3 } }, { a: 1, b: { c: 2, d: 4 }, e: null }), [
    { path: 'o.b.d', value: 4 },
    { path: 'o.e', value: null }
  ])
  t.deepEqual(settingsBetween('r', null, { strength: 1 }), [{ path: 'r', value: { strength: 1 } }])
})

test('settings are recorded, resumed and repeated, and the report has them in its command', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  const sets = ['optimiser.clipNorm=0.5', 'optimiser.l1=0', 'regulariser={"strength":0.1,"targetRate":20}']
  const trained = await mdgl(
    ...(['train', 'evidence-accumulation', ...SHORT, '--out', run] as const),
    ...sets.flatMap(set => ['--set', set])
  )
  t.is(trained.code, 0, trained.stderr)
  const { training } = JSON.parse(await readFile(join(run, 'config.json'), 'utf8'))
  t.is(training.optimiser.clipNorm, 0.5)
  t.is(training.optimiser.l1, 0)
  t.deepEqual(training.regulariser, { strength: 0.1, targetRate: 20 })
  // They are the run's: the loss has the regulariser's part.
  const [first = ''] = (await readFile(join(run, 'metrics.jsonl'), 'utf8')).split('\n')
  t.true(JSON.parse(first).regulariser > 0)
  const repeated = await mdgl('repeat', run, '--out', join(folder, 'again'))
  t.is(repeated.code, 0, repeated.stderr)
  t.true(repeated.stdout.includes('bit for bit'))
  const report = await readFile(join(run, 'report.html'), 'utf8')
  const command = /<pre>mdgl (train [^<]*)<\/pre>/.exec(report)?.[1] ?? ''
  for (const set of ['optimiser.clipNorm=0.5', 'optimiser.l1=0', 'regulariser={'])
    t.true(command.includes(set), command)
  t.is((await mdgl('resume', run)).code, 1)
})

test('a plan of a sweep has parts of optimiser and regulariser as axes, refused by their place', async t => {
  const folder = await temporaryFolder(t)
  const plan = join(folder, 'plan.json')
  const write = (options: object) =>
    writeFile(
      plan,
      JSON.stringify({ schema: 'mdgl-sweep/1', task: 'delayed-xor', rules: ['mdgl'], seeds: [1], options })
    )
  const short = { iterations: 2, batchSize: 2, validateEvery: 1 }
  await write({ ...short, 'optimiser.clipNorm': [1, null], 'regulariser.strength': 0.1, 'regulariser.targetRate': 10 })
  const out = join(folder, 'swept')
  const swept = await mdgl('sweep', plan, '--jobs', '1', '--out', out)
  t.is(swept.code, 0, swept.stderr)
  const training = async (value: string) =>
    JSON.parse(await readFile(join(out, `optimiser.clipNorm=${value}`, 'mdgl-1', 'config.json'), 'utf8')).training
  t.is((await training('1')).optimiser.clipNorm, 1)
  t.is((await training('null')).optimiser.clipNorm, null)
  t.is((await training('1')).optimiser.kind, delayedXor().optimiser.kind)
  t.deepEqual((await training('1')).regulariser, { strength: 0.1, targetRate: 10 })
  await write({ ...short, 'optimiser.clipNorm': [1, -1] })
  t.regex((await mdgl('sweep', plan, '--list')).stderr, /options\.optimiser\.clipNorm\[1\] is -1; allowed: /)
  await write({ ...short, 'loss.weight': 1 })
  t.regex((await mdgl('sweep', plan, '--list')).stderr, /options\.loss\.weight is 1; allowed: only 'iterations'/)
})
