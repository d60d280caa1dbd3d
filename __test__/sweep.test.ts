import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { hasLine, interruptedMdgl, jsonLines, mdgl, startMdgl, temporaryFolder } from './helpers/cli.js'

const posixTest = process.platform === 'win32' ? test.skip : test

/** Two rules and two seeds on one axis: eight items, each shorter than its process takes to start. */
const PLAN = {
  schema: 'mdgl-sweep/1',
  task: 'evidence-accumulation',
  rules: ['eprop', 'mdgl'],
  seeds: '1-2',
  options: { iterations: 4, batchSize: 4, validateEvery: 2, learningRate: [0.001, 0.01] },
  taskOptions: { cues: 1, delay: 50 }
}

async function planFile(t: ExecutionContext, plan: unknown = PLAN): Promise<{ plan: string; out: string }> {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'plan.json')
  await writeFile(path, typeof plan === 'string' ? plan : JSON.stringify(plan))
  return { plan: path, out: join(folder, 'runs') }
}

/** The weights and the metrics, without the times, of every item. */
async function results(plan: string, out: string): Promise<{ weights: string; metrics: object[] }[]> {
  const { stdout } = await mdgl('sweep', plan, '--list', '--json', '--out', out)
  return await Promise.all(
    jsonLines(stdout).map(async ({ path }) => ({
      weights: (await readFile(join(String(path), 'weights.safetensors'))).toString('base64'),
      metrics: jsonLines(await readFile(join(String(path), 'metrics.jsonl'), 'utf8')).map(
        ({ msPerIteration: _, ...rest }) => rest
      )
    }))
  )
}

const LIBRARY = new URL('../dist/index.js', import.meta.url).href

/** What follows the warning that a task has no optimiser: the sweep says it once, its workers do not. */
const afterWarning = (stderr: string) => stderr.replace(/^\(node:\d+\) \[MDGL_DEFAULT_OPTIMISER\] .*\n\(Use .*\n/, '')

/**
 * A task that waits before its seventh batch for as long as a file `gate-<seed>` stands beside it: a run that is killed in the middle
 * without a race. Its checkpoints are behind it by then.
 */
const GATED = `
import { existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { network } from '${LIBRARY}'
const gate = seed => existsSync(new URL('gate-' + seed, import.meta.url))
export default ({ cells }) => {
  let running
  return {
    name: 'gated',
    network: ({ seed }) => {
      running = seed
      const net = network({ seed }).input('in', 4).lif('cells', cells, { threshold: 0.1 }).readout('out', 2)
      return net.project('in', 'cells', { density: 1 }).project('cells', 'out', { density: 1 }).build()
    },
    loss: { kind: 'cross-entropy' },
    batch: async ({ size, iteration, split, rng }) => {
      while (split === 'train' && iteration === 7 && gate(running)) await setTimeout(20)
      const targets = Uint32Array.from({ length: size }, (_, trial) => rng.trial(trial).integer(2))
      const rates = [...targets].map((side, trial) => ({ trial, units: [2 * side, 2 * side + 2], from: 0, to: 30, rate: 200 }))
      return { length: 40, trials: size, inputs: { in: { rates } }, targets }
    }
  }
}
`

const GATED_PLAN = {
  schema: 'mdgl-sweep/1',
  task: 'gated.mjs',
  rules: ['mdgl'],
  seeds: [1, 2, 3],
  options: { iterations: 10, batchSize: 4, validateEvery: 5, checkpointEvery: 2 },
  taskOptions: { cells: [20] }
}

/** A plan of the gated task, with the gate of seed 2 shut, and the folder of that item's run. */
async function gatedPlan(t: ExecutionContext) {
  const { plan, out } = await planFile(t, GATED_PLAN)
  const beside = (name: string) => join(plan, '..', name)
  await writeFile(beside('gated.mjs'), GATED)
  await writeFile(beside('gate-2'), '')
  return { plan, out, gate: beside('gate-2'), run: join(out, 'task.cells=20', 'mdgl-2') }
}

/** Waits until the run stands before its gate: the checkpoint after iteration 6 is there. */
async function atGate(run: string): Promise<void> {
  const kept = () => readdir(join(run, 'checkpoints')).catch((): string[] => [])
  while (!(await kept()).some(name => /^6-.*\.safetensors$/.test(name))) await setTimeout(10)
}

/** The process that works on an item. */
const workerOf = (stdout: string, item: number) =>
  Number(jsonLines(stdout).findLast(line => line.item === item && line.event === 'begun')?.pid)

for (const [what, change, says] of [
  ['no JSON', '{', /plan\.json: it is no JSON \(/],
  ['another schema', { schema: 'mdgl-sweep/2' }, /plan\.json: schema is 'mdgl-sweep\/2'; allowed: 'mdgl-sweep\/1'/],
  ['an unknown key', { rule: 'mdgl' }, /plan\.json: rule is 'mdgl'; allowed: only 'schema', 'task'/],
  ['an unknown task', { task: 'juggling' }, /task is 'juggling'; allowed: 'evidence-accumulation'.*or a file/],
  ['an unknown rule', { rules: ['mdgl', 'magic'] }, /rules\[1\] is 'magic'; allowed: 'bptt'/],
  ['a rule twice', { rules: ['mdgl', 'mdgl'] }, /rules\[1\] is 'mdgl'; allowed: a value that the list does not have/],
  ['no rule', { rules: [] }, /rules is an array of 0; allowed: a list of at least one value/],
  ['descending seeds', { seeds: '3-1' }, /seeds is '3-1'; allowed: seeds and ascending ranges/],
  ['half a seed', { seeds: [1, 1.5] }, /seeds\[1\] is 1\.5; allowed: a whole number/],
  ['no seeds', { seeds: undefined }, /seeds is undefined; allowed: a list of seeds/],
  ['an unknown option', { options: { batch: 4 } }, /options\.batch is 4; allowed: only 'iterations', 'batchSize'/],
  [
    'a value on an axis',
    { options: { learningRate: [0.1, 0] } },
    /options\.learningRate\[1\] is 0; allowed: .* above 0/
  ],
  [
    'a part of an optimiser',
    {
      options: {
        optimiser: [
          { kind: 'adam', l1: 0, rewiring: false },
          { kind: 'adam', l1: -1, rewiring: false }
        ]
      }
    },
    /options\.optimiser\[1\]\.l1 is -1; allowed: a finite number of at least 0/
  ],
  [
    'no validation',
    { options: { iterations: 5 } },
    /options\.validateEvery is 10; allowed: at most options\.iterations, 5/
  ],
  ['a value for the task', { taskOptions: { cues: [1, 2] } }, /taskOptions\.cues\[1\] is 2; allowed: an odd number/],
  ['an unknown option of the task', { taskOptions: { hue: 1 } }, /taskOptions\.hue is 1; allowed: only 'types'/],
  ['what the name says', { taskOptions: { types: 'six' } }, /taskOptions\.types is 'six'; allowed: nothing: the name/],
  [
    'too many items',
    { seeds: '1-9999', taskOptions: { cues: [1, 3, 5, 7, 9, 11] } },
    /number of items is 239976; allowed: at most 100000/
  ]
] as const) {
  test(`a plan with ${what} is refused by its place in the file`, async t => {
    const { plan } = await planFile(t, typeof change === 'string' ? change : { ...PLAN, ...change })
    const { code, stdout, stderr } = await mdgl('sweep', plan, '--count')
    t.is(code, 1)
    t.is(stdout, '')
    t.regex(stderr, says)
    t.regex(stderr, /^mdgl: [^\n]*\n$/)
  })
}

test('what a sweep is called with is checked', async t => {
  const { plan } = await planFile(t)
  for (const [args, says] of [
    [[], /a plan is missing/],
    [[plan, '--index', '8'], /--index is 8; the plan has the items 0 to 7/],
    [[plan, '--index', '0', '--list'], /--index and --list exclude each other/],
    [[plan, '--index', '0', '--jobs', '2'], /--jobs cannot be combined with --index/],
    [[plan, '--jobs', '0'], /--jobs is '0'/]
  ] as const) {
    const { code, stderr } = await mdgl('sweep', ...args)
    t.is(code, 2)
    t.regex(stderr, says)
  }
  t.regex((await mdgl('compare', '--sweep', plan, '--seeds', '1')).stderr, /--seeds is set in the plan/)
  t.regex((await mdgl('sweep', `${plan}x`, '--count')).stderr, /^mdgl: .*plan\.jsonx.* cannot be read \(ENOENT/)
})

test('items are counted from 0; the seed changes fastest, then the rule, then the last axis', async t => {
  const { plan, out } = await planFile(t, {
    ...PLAN,
    seeds: [7, 3],
    options: { learningRate: [0.01, 0.001] },
    taskOptions: { cues: [1, 3], delay: 50 }
  })
  t.is((await mdgl('sweep', plan, '--count')).stdout, '16\n')
  const { stdout } = await mdgl('sweep', plan, '--list', '--out', out)
  const lines = stdout.split('\n')
  t.deepEqual(lines.slice(0, 5), [
    `0  eprop, seed 7, learningRate 0.01, task.cues 1  ${join(out, 'learningRate=0.01,task.cues=1', 'eprop-7')}`,
    `1  eprop, seed 3, learningRate 0.01, task.cues 1  ${join(out, 'learningRate=0.01,task.cues=1', 'eprop-3')}`,
    `2  mdgl, seed 7, learningRate 0.01, task.cues 1  ${join(out, 'learningRate=0.01,task.cues=1', 'mdgl-7')}`,
    `3  mdgl, seed 3, learningRate 0.01, task.cues 1  ${join(out, 'learningRate=0.01,task.cues=1', 'mdgl-3')}`,
    `4  eprop, seed 7, learningRate 0.01, task.cues 3  ${join(out, 'learningRate=0.01,task.cues=3', 'eprop-7')}`
  ])
  t.is(lines.at(-2), '16 items, --index 0 to 15')
})

test('a pool and one item after the other give the same bits; compare merges them', async t => {
  const { plan, out } = await planFile(t, { ...PLAN, rules: ['mdgl'] })
  const pool = await mdgl('sweep', plan, '--out', out, '--jobs', '2')
  t.is(pool.code, 0, pool.stderr)
  t.is(pool.stderr.match(/ {2}done, last validation loss 0\.\d{3}$/gm)?.length, 4)
  t.regex(pool.stdout, /^4 of 4 items are finished \(0 used again\)\. Together: mdgl compare --sweep /)

  const alone = join(out, '..', 'alone')
  for (let index = 0; index < 4; index++) {
    const { code, stdout, stderr } = await mdgl('sweep', plan, '--index', `${index}`, '--out', alone, '--threads', '2')
    t.is(code, 0, stderr)
    t.regex(stdout, /^Run folder: .*mdgl-[12]\n$/)
  }
  t.deepEqual(await results(plan, alone), await results(plan, out))

  const merged = await mdgl('compare', '--sweep', plan, '--out', alone)
  t.is(merged.code, 0, merged.stderr)
  t.regex(merged.stdout, /^ {2}learningRate {2}rule +seeds +final loss /m)
  t.is(merged.stdout.match(/^ {2}0\.0\d+ +mdgl +2 +\d\.\d{3} ± \d\.\d{3} /gm)?.length, 2)
  const { format, axes, cells, missing } = JSON.parse(await readFile(join(alone, 'sweep.json'), 'utf8'))
  t.is(format, 'mdgl-sweep-results/1')
  t.deepEqual([axes, missing, cells.length], [['learningRate'], [], 2])
  const metrics = jsonLines(await readFile(join(alone, 'learningRate=0.01', 'mdgl-2', 'metrics.jsonl'), 'utf8'))
  const losses = metrics.filter(({ split }) => split === 'validation').map(({ loss }) => Number(loss))
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length
  t.is(cells[1].rules[0].runs[1].final.loss, mean)
  const picture = await readFile(join(alone, 'learningRate=0.01', 'learning-curves.svg'), 'utf8')
  t.false(picture.includes('published'))

  // An item's run goes on, and is made again, with the task's options.
  const run = join(alone, 'learningRate=0.01', 'mdgl-2')
  const again = await mdgl('repeat', run, '--out', join(alone, 'again'))
  t.is(again.code, 0, again.stderr)
  t.deepEqual(
    await readFile(join(alone, 'again', 'weights.safetensors')),
    await readFile(join(run, 'weights.safetensors'))
  )
})

test('an item whose folder holds another run is missing; the others go on', async t => {
  const { plan, out } = await planFile(t, { ...PLAN, seeds: [1] })
  t.is((await mdgl('sweep', plan, '--out', out, '--index', '1')).code, 0)
  const config = join(out, 'learningRate=0.001', 'mdgl-1', 'config.json')
  await writeFile(config, (await readFile(config, 'utf8')).replace('"delay": 50', '"delay": 60'))
  const { code, stdout, stderr } = await mdgl('sweep', plan, '--out', out, '--jobs', '2')
  t.is(code, 1)
  t.regex(stdout, /^3 of 4 items are finished/)
  t.regex(
    stderr,
    /^mdgl: item 1 \(mdgl, seed 1, learningRate 0\.001\) is missing: .* finished run with another taskOptions/m
  )
})

posixTest('a killed worker is named, its item goes on from its checkpoint, and ends with the same bits', async t => {
  const { plan, out, gate, run } = await gatedPlan(t)
  const sweep = startMdgl(['sweep', plan, '--out', out, '--jobs', '2', '--json'])
  await atGate(run)
  const before = await readFile(join(run, 'metrics.jsonl'), 'utf8')
  process.kill(workerOf(sweep.stdout(), 1), 'SIGKILL')
  await rm(gate)
  const { code, stdout, stderr } = await sweep.outcome
  t.is(code, 0, stderr)
  t.is(
    afterWarning(stderr),
    'mdgl: item 1 (mdgl, seed 2, task.cells 20): its worker was killed by SIGKILL; it is tried again from its last checkpoint (--retries 1)\n'
  )
  const events = jsonLines(stdout).filter(({ item }) => item === 1)
  t.deepEqual(
    events.map(({ event }) => event),
    ['begun', 'again', 'begun', 'done']
  )
  // The times of the first six iterations are still those of the killed worker: nothing was trained twice.
  t.true((await readFile(join(run, 'metrics.jsonl'), 'utf8')).startsWith(before))
  const whole = join(out, '..', 'whole')
  t.is((await mdgl('sweep', plan, '--out', whole, '--jobs', '2')).code, 0)
  t.deepEqual(await results(plan, out), await results(plan, whole))
})

posixTest(
  'with its retries used up an item is missing, the others are there, and the same command completes it',
  async t => {
    const { plan, out, gate, run } = await gatedPlan(t)
    const sweep = startMdgl(['sweep', plan, '--out', out, '--jobs', '2', '--retries', '0', '--json'])
    await atGate(run)
    process.kill(workerOf(sweep.stdout(), 1), 'SIGKILL')
    const { code, stdout, stderr } = await sweep.outcome
    t.is(code, 1)
    t.is(
      afterWarning(stderr),
      'mdgl: item 1 (mdgl, seed 2, task.cells 20) is missing: its worker was killed by SIGKILL; its checkpoint after iteration 6 is kept\n' +
        'mdgl: not finished; the same command continues from here\n'
    )
    t.is(jsonLines(stdout).filter(({ event }) => event === 'done').length, 2)

    const partly = await mdgl('compare', '--sweep', plan, '--out', out)
    t.is(partly.code, 1)
    t.regex(partly.stdout, /^ {2}20 +mdgl +2 /m)
    t.regex(
      partly.stderr,
      /^mdgl: 1 of 3 items are not finished in .*: item 1 \(mdgl, seed 2, task\.cells 20\); `mdgl sweep /
    )

    await rm(gate)
    const again = await mdgl('sweep', plan, '--out', out, '--jobs', '2')
    t.is(again.code, 0, again.stderr)
    t.deepEqual(
      [...again.stderr.matchAll(/^item (\d) .* {2}(used again|done),/gm)]
        .map(([, item, end]) => `${item} ${end}`)
        .sort(),
      ['0 used again', '1 done', '2 used again']
    )
    t.is((await mdgl('compare', '--sweep', plan, '--out', out)).code, 0)
  }
)

posixTest('Ctrl-C ends every worker with a checkpoint, and the same command goes on', async t => {
  const { plan, out } = await planFile(t, {
    ...PLAN,
    rules: ['mdgl'],
    options: { iterations: 100_000, batchSize: 4, checkpointEvery: 0 }
  })
  const runs = ['mdgl-1', 'mdgl-2'].map(name => join(out, name))
  const { code, stdout, stderr } = await interruptedMdgl(['sweep', plan, '--out', out, '--jobs', '2'], async () =>
    (await Promise.all(runs.map(run => hasLine(join(run, 'metrics.jsonl'))))).every(Boolean)
  )
  t.is(code, 130, stderr)
  t.regex(stdout, /^0 of 2 items are finished/)
  t.true(stderr.endsWith('mdgl: interrupted; the same command continues from here\n'))
  for (const run of runs) t.is((await readdir(join(run, 'checkpoints'))).length, 1)
})

test('docs/scale.md shows the plan and the job array of the examples as they are', async t => {
  const root = new URL('../', import.meta.url)
  const document = await readFile(new URL('docs/scale.md', root), 'utf8')
  for (const name of ['sweep.json', 'sweep.sbatch']) {
    const text = await readFile(new URL(`examples/${name}`, root), 'utf8')
    t.true(document.includes(`\n${text}\`\`\`\n`), name)
  }
})
