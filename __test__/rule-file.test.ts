import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ruleStyle } from '../src/compare/labels.js'
import { measureOf, stuckAbove } from '../src/compare/measure.js'
import { evidenceAccumulation, patternGeneration } from '../src/index.js'
import type { BuiltInTask } from '../src/runs/tasks.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'

const LIBRARY = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
const SHORT = ['--iterations', '4', '--batch-size', '2', '--validate-every', '2', '--threads', '1'] as const

/** Files with e-prop as a custom rule, whose factor another file has, and with a value of the engine's parts. */
async function rulesIn(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  const [own, factor, value] = ['own.mjs', 'factor.mjs', 'four-hops.mts'].map(name => join(folder, name)) as [
    string,
    string,
    string
  ]
  await writeFile(factor, 'export const factor = 1')
  await writeFile(
    own,
    `import { defineRule } from ${LIBRARY}
import { factor } from './factor.mjs'
export default defineRule({ name: 'my own', signal: ({ learningSignal }) => learningSignal.map(L => factor * L) })`
  )
  await writeFile(value, `import { rules } from ${LIBRARY}\nexport default { ...rules.mdglExact, hops: 4 }`)
  return { folder, own, factor, value }
}

const configOf = async (run: string) => JSON.parse(await readFile(join(run, 'config.json'), 'utf8'))
const lossesOf = async (run: string) =>
  (await readFile(join(run, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line).loss)

test('a rule from a file trains; its run has the hash of the file and its imports, and stops where one changed', async t => {
  const { folder, own, factor } = await rulesIn(t)
  const run = join(folder, 'run')
  const train = (rule: string, out: string) =>
    mdgl('train', 'evidence-accumulation', ...SHORT, '--rule', rule, '--out', out)
  const trained = await train(own, run)
  t.is(trained.code, 0, trained.stderr)
  t.true(trained.stdout.startsWith('my own, seed 1'))
  const { rule, ruleFile } = await configOf(run)
  t.deepEqual(rule, { kind: 'custom', name: 'my own' })
  t.is(ruleFile.path, own)
  t.deepEqual(
    ruleFile.imports.map(({ path }: { path: string }) => path),
    ['factor.mjs']
  )
  // It is e-prop by other means.
  t.is((await train('eprop', join(folder, 'eprop'))).code, 0)
  const [mine, eprop] = [await lossesOf(run), await lossesOf(join(folder, 'eprop'))]
  t.is(mine.length, 6)
  for (const [i, loss] of mine.entries()) t.true(Math.abs(loss - eprop[i]) < 1e-4 * loss)

  t.true((await mdgl('repeat', run, '--out', join(folder, 'same'))).stdout.includes('bit for bit'))
  t.regex((await mdgl('runs', folder)).stdout, /run +evidence-accumulation +my own +1 +4\/4/)
  const report = await readFile(join(run, 'report.html'), 'utf8')
  t.true(report.includes(`--rule ${own} `))
  t.true(report.includes('S_p,t e_qp,t'))
  t.true(report.includes(ruleFile.sha256))
  const picture = join(folder, 'signals.svg')
  t.is((await mdgl('plot', 'run', run, '--signals', '--out', picture)).code, 0)
  t.regex(await readFile(picture, 'utf8'), /inhibitory/)

  await appendFile(factor, '\n// changed')
  const imported = await mdgl('repeat', run, '--out', join(folder, 'changed'))
  t.is(imported.code, 1)
  t.regex(imported.stderr, /since the run in .*run was made, its rule file's import factor\.mjs changed/)
  await appendFile(own, '\n// changed')
  t.regex((await mdgl('repeat', run, '--out', join(folder, 'changed'))).stderr, /its rule file and its rule file's/)
})

test('compare and sweep take rules from files beside published ones, and a task from a file', async t => {
  const { folder, own, value } = await rulesIn(t)
  const task = join(folder, 'task.mjs')
  await writeFile(
    task,
    `import { evidenceAccumulation } from ${LIBRARY}
export default ({ delay = 200 } = {}) => ({ ...evidenceAccumulation({ delay }), name: 'mine' })`
  )
  const out = join(folder, 'compared')
  const rules = ['eprop', own, value].join(',')
  const compare = () => mdgl('compare', task, ...SHORT, '--rules', rules, '--alignment', '--out', out)
  const first = await compare()
  t.is(first.code, 0, first.stderr)
  t.regex(first.stdout, /^\nmine, 4 iterations/)
  for (const name of ['eprop', 'my own', 'four-hops']) t.regex(first.stdout, new RegExp(`  ${name} +all +1 `))
  const results = JSON.parse(await readFile(join(out, 'results.json'), 'utf8'))
  t.deepEqual(
    results.rules.map(({ rule }: { rule: string }) => rule),
    ['eprop', 'my own', 'four-hops']
  )
  const svg = await readFile(join(out, 'learning-curves.svg'), 'utf8')
  t.true(svg.includes('my own: 1 seed'))
  t.is((await configOf(join(out, 'my-own-1'))).taskFile.path, task)
  t.is((await compare()).stderr.match(/used again/g)?.length, 3)

  const plan = join(folder, 'plans', 'plan.json')
  await mkdir(join(folder, 'plans'))
  const written = {
    schema: 'mdgl-sweep/1',
    task: '../task.mjs',
    rules: ['eprop', '../own.mjs'],
    seeds: [1],
    options: { iterations: 2, batchSize: 2, validateEvery: 1 },
    taskOptions: { delay: [100, 200] }
  }
  await writeFile(plan, JSON.stringify(written))
  const swept = await mdgl('sweep', plan, '--jobs', '1', '--out', join(folder, 'swept'))
  t.is(swept.code, 0, swept.stderr)
  t.true((await mdgl('compare', '--sweep', plan, '--out', join(folder, 'swept'))).stdout.includes('my own'))
})

test('what is no rule is refused by the name of its file, and two rules of a name are refused', async t => {
  const { folder, own, value } = await rulesIn(t)
  const wrong = join(folder, 'wrong.mjs')
  const train = () => mdgl('train', 'evidence-accumulation', ...SHORT, '--rule', wrong, '--out', join(folder, 'none'))
  for (const [code, says] of [
    ['export default 7', /wrong\.mjs has no rule: its default export must be a rule of defineRule/],
    ['export const rule = 1', /has no rule/],
    ['export default { signal() {} }', /a rule of your own is defineRule/],
    [`export default { kind: 'custom', name: 'mdgl', signal() {} }`, /has a rule named 'mdgl', which is a published/],
    ['throw new Error("mine")', /^mdgl: mine\n$/]
  ] as const) {
    await writeFile(wrong, code)
    const { code: exit, stderr } = await train()
    t.is(exit, 1, code)
    t.regex(stderr, says)
  }
  const copy = join(folder, 'copy.mjs')
  await writeFile(copy, await readFile(own, 'utf8'))
  const twice = await mdgl('compare', 'evidence-accumulation', '--rules', [own, value, copy].join(','))
  t.is(twice.code, 2)
  t.regex(twice.stderr, /--rules has two rules named 'my own'/)
  const unknown = await mdgl('train', 'evidence-accumulation', '--rule', 'magic')
  t.regex(unknown.stderr, /--rule is 'magic'; it must be one of bptt, .*, or a file \(\.ts, \.mts, \.js or \.mjs\)/)
})

test('rules from files have colours of their own', t => {
  const colours = ['mdgl', 'eprop', 'one', 'two', 'three'].map(rule => ruleStyle(rule).colour)
  t.is(new Set(colours).size, colours.length)
  t.is(ruleStyle('two').colour, colours[3] ?? '')
  t.is(ruleStyle('two').label, 'two')
})

test('a loss is measured by what its task has; of a loss whose chance is not known no run is stuck', async t => {
  const task = evidenceAccumulation({ cues: 1, delay: 10 }) as BuiltInTask
  const of = (loss: unknown) => measureOf({ ...task, loss } as BuiltInTask)
  t.is((await of(task.loss)).chance, Math.log(2))
  t.is((await of({ choice: { kind: 'cross-entropy', weight: 2 } })).chance, 2 * Math.log(2))
  for (const loss of [
    { kind: 'custom', evaluate: () => ({ loss: 0, delta: new Float64Array() }) },
    { kind: 'cross-entropy', reduction: 'sum' },
    { kind: 'cross-entropy', classWeights: [1, 2] },
    { choice: { kind: 'cross-entropy' }, other: { kind: 'cross-entropy' } }
  ]) {
    const measure = await of(loss)
    t.is(measure.chance, null)
    t.is(stuckAbove(measure), null)
  }
  const pattern = patternGeneration() as BuiltInTask
  const { scale, chance } = await measureOf(pattern)
  t.is(chance, 1)
  t.true(scale > 0)
  t.is((await measureOf({ ...pattern, loss: { kind: 'squared-error', weight: 3 } } as BuiltInTask)).scale, 3 * scale)
})
