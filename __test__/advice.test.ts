import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { COMMANDS } from '../src/cli/commands.js'
import { commandLines, documents, messages, namedOptions, problemOf } from './helpers/advice.js'
import { mdgl, type Outcome, temporaryFolder } from './helpers/cli.js'
import { limitedMdgl, tinyTask } from './helpers/faults.js'
import { ROOT } from './helpers/imports.js'

const posixTest = process.platform === 'win32' ? test.skip : test

const everything = [...messages(), ...documents()]

test('every mdgl command that a message, a help or a document names is one that mdgl takes', t => {
  const lines = everything.flatMap(advice => commandLines(advice, 'mdgl'))
  t.true(lines.filter(({ quoted }) => quoted).length > 150, `${lines.length} command lines`)
  t.deepEqual(
    lines.flatMap(line => {
      const problem = problemOf(line)
      return problem === undefined ? [] : [`${line.place}: ${problem}`]
    }),
    []
  )
})

/** The command lines that a command has written to be copied, as a shell takes them apart. */
async function copied(written: string): Promise<string[][]> {
  const lines = written.matchAll(/`(mdgl [^`]+)`|^ {2}(mdgl [a-z].+)$|Together: (mdgl .+)$|<pre>(mdgl .+)<.pre>/gm)
  const show = `mdgl() { '${process.execPath}' -e 'console.log(JSON.stringify(process.argv.slice(1)))' -- "$@"; }`
  return await Promise.all(
    [...lines].map(async ([, ...found]) => {
      const { stdout } = await promisify(execFile)('/bin/sh', ['-c', `${show}; ${found.find(Boolean)}`])
      return JSON.parse(stdout) as string[]
    })
  )
}

posixTest('commands with what a message fills in can be copied into a shell, from any folder', async t => {
  const folder = join(await temporaryFolder(t), "somebody's runs")
  await mkdir(folder)
  const task = await tinyTask(folder, {
    batch: `if (process.env.END && split === 'train' && iteration === 5) process.kill(process.pid, 'SIGTERM')`
  })
  const [run, ended, plan, sweep] = ['run 1', 'ended', 'a plan.json', 'sweep'].map(name => join(folder, name)) as [
    string,
    string,
    string,
    string
  ]
  const short = ['--iterations', '6', '--checkpoint-every', '2']
  t.is((await mdgl('train', task, ...short, '--learning-rate', '0.001', '--out', run)).code, 0)
  const options = { iterations: 6, batchSize: 2, validateEvery: 3 }
  await writeFile(plan, JSON.stringify({ schema: 'mdgl-sweep/1', task, rules: ['mdgl', 'eprop'], seeds: [1], options }))
  const none = join(folder, 'none')
  const first = join(none, 'first')
  const others = [['plot', 'run'], ['report'], ['dashboard']]
  const ofRun = (path: string) => [
    ...others.map(words => [...words, path]),
    ['export', path, '--metrics', 'metrics.csv']
  ]
  const again = ['--batch-size', '2', '--validate-every', '6', '--precision', 'f32', '--learning-rate', '0.001']
  const expected: [() => Promise<Outcome>, string[][]][] = [
    [() => mdgl('show', run), [['repeat', run], ['export', run, '--weights', 'weights.npz'], ...ofRun(run)]],
    [
      async () => ({ code: 0, stdout: await readFile(join(run, 'report.html'), 'utf8'), stderr: '' }),
      [['train', task, '--rule', 'mdgl', '--seed', '1', '--iterations', '6', ...again]]
    ],
    [() => limitedMdgl('export END=yes', ['train', task, ...short, '--out', ended]), [['resume', ended]]],
    [() => mdgl('show', ended), [['resume', ended], ...ofRun(ended)]],
    [() => mergedFirst(plan, sweep), [['sweep', plan, '--out', sweep]]],
    [() => mdgl('sweep', plan, '--out', sweep), [['compare', '--sweep', plan, '--out', sweep]]],
    [() => mdgl('export', sweep, '--weights', 'm.npz'), [['runs', sweep]]],
    [() => mdgl('runs', none), [['train', 'evidence-accumulation', '--out', first]]]
  ]
  for (const [write, lines] of expected) {
    const { stdout, stderr } = await write()
    const found = await copied(stdout + stderr)
    t.deepEqual(found, lines, stdout + stderr)
    for (const words of found) t.is(problemOf({ words, quoted: true, whole: true, place: '' }), undefined)
  }
})

/** One of two items of a sweep, and what there is of it merged. */
async function mergedFirst(plan: string, out: string): Promise<Outcome> {
  await mdgl('sweep', plan, '--index', '0', '--out', out)
  return await mdgl('compare', '--sweep', plan, '--out', out)
}

test('what is no run folder is not to be removed, and a run in it is named', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder)
  const sweep = join(folder, 'sweep')
  for (const name of ['mdgl-1', 'mdgl-2'])
    t.is(
      (await mdgl('train', task, '--iterations', '2', '--validate-every', '2', '--out', join(sweep, 'a=1', name))).code,
      0
    )
  const first = join(sweep, 'a=1', 'mdgl-1')
  for (const args of [
    ['export', sweep, '--weights', join(folder, 'm.npz')],
    ['show', sweep],
    ['resume', sweep],
    ['repeat', sweep],
    ['report', sweep],
    ['plot', 'run', sweep]
  ]) {
    const { code, stderr } = await mdgl(...args)
    t.is(code, 1)
    t.is(
      stderr,
      `mdgl: ${sweep} is not a run folder of format mdgl-run/1, but holds 2 runs: name one, such as ${first} (\`mdgl runs ${sweep}\` lists them)\n`
    )
  }
  for (const { file, text } of messages()) t.notRegex(text, /remove (?:this|that) (?:one|folder)/, file)
  t.regex(
    (await mdgl('train', task, '--out', sweep)).stderr,
    /sweep is not empty: choose another folder for the run\n$/
  )
})

test('the report of a run names a command that makes it, whatever was changed', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder)
  const short = ['--iterations', '4', '--validate-every', '2']
  const [plain, changed] = [join(folder, 'plain'), join(folder, 'changed')]
  const command = async (run: string) => (await copied(await readFile(join(run, 'report.html'), 'utf8')))[0] ?? []
  t.is((await mdgl('train', task, ...short, '--learning-rate', '0.0007', '--out', plain)).code, 0)
  const again = await command(plain)
  t.is((await mdgl(...again, '--out', join(folder, 'again'))).code, 0)
  const weights = (run: string) => readFile(join(run, 'weights.safetensors'))
  t.true((await weights(join(folder, 'again'))).equals(await weights(plain)))
  // What no option says: a change while the run went on.
  t.is((await mdgl('train', task, ...short, '--out', changed)).code, 0)
  await writeFile(join(changed, 'interventions.jsonl'), '{"iteration":3,"learningRate":0.01}\n')
  await mdgl('report', changed)
  t.deepEqual(await command(changed), ['repeat', changed])
})

test('the check of command lines finds what is wrong with one', t => {
  const problem = (text: string) => commandLines({ file: 'x', text }, 'mdgl').map(problemOf)[0]
  for (const [text, says] of [
    ['go on by `mdgl continue runs/x`', /no command 'continue'/],
    ['mdgl train evidence-accumulation --alignment', /--alignment/],
    ['steered where they run (mdgl train … --alive)', /--alive/],
    ['`mdgl train juggling`', /the task is 'juggling'/],
    ['mdgl compare evidence-accumulation --rules bptt,magic', /--rules is 'magic'/],
    ['mdgl compare delayed-xor --seeds 3-1', /--seeds has '3-1'/],
    ['mdgl train delayed-xor --learning-rate 0', /number above 0/],
    ['mdgl resume', /an argument is missing/],
    ['mdgl resume a b', /'b' is one argument too many/],
    ['mdgl plot run x --out a.gif', /it must end in .svg or .png/],
    ["  mdgl train delayed-xor --json | jq 'select(.a)' --live", undefined],
    ['which mdgl does not know', undefined],
    ['`mdgl compare --sweep`', undefined]
  ] as const) {
    if (says === undefined) t.is(problem(text), undefined, text)
    else t.regex(problem(text) ?? '', says, text)
  }
})

test('an option that a sentence names after a command is one of that command', t => {
  const named = everything.flatMap(namedOptions)
  t.true(named.length > 20, `${named.length} options`)
  const wrong = named.filter(({ command, option }) => !Object.hasOwn(COMMANDS[command]?.options ?? {}, option))
  t.deepEqual(
    wrong.map(({ place }) => place),
    []
  )
  const [found] = namedOptions({ file: 'x', text: 'not recorded: train with --alignment.' })
  t.like(found, { command: 'train', option: 'alignment' })
})

/** Options of other programs that a string names: npm's, Node's, those of sbatch and perf. */
const FOREIGN = [
  ...['omit', 'input-type', 'disable-warning', 'array', 'wrap'],
  ...['call-graph', 'no-children', 'sort', 'stdio', 'no-inline']
]

test('every option that a message names is one of a command', t => {
  const known = new Set([
    ...Object.values(COMMANDS).flatMap(({ options }) => Object.keys(options)),
    'version',
    ...FOREIGN
  ])
  const named = messages().flatMap(({ file, text }) =>
    [...text.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)].map(([, option = '']) => ({
      option,
      place: `${file}: --${option}`
    }))
  )
  t.true(named.length > 100, `${named.length} options`)
  t.deepEqual(
    named.filter(({ option }) => !known.has(option)).map(({ place }) => place),
    []
  )
})

test('every script that a message or a document names is there, with the options that it is given', t => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const wrong: string[] = []
  let named = 0
  for (const advice of everything) {
    for (const { words, place, quoted } of commandLines(advice, 'npm')) {
      const name = words[0] === 'run' ? words[1] : ['start', 'test'].find(known => known === words[0])
      if (name === undefined || !quoted || /[…A-Z]/.test(name)) continue
      named += 1
      const file = /scripts\/[\w-]+\.mjs/.exec(scripts[name] ?? '')?.[0]
      const program = file === undefined ? (scripts[name] ?? '') : readFileSync(join(ROOT, file), 'utf8')
      if (scripts[name] === undefined) wrong.push(`${place}: there is no such script`)
      // Those of `npm test` go to ava.
      const options = name === 'test' ? [] : words.flatMap(word => /^--([a-z-]+)/.exec(word)?.[1] ?? [])
      for (const option of options) {
        if (!new RegExp(`\\b${option}\\b`).test(program)) wrong.push(`${place}: --${option}`)
      }
    }
    for (const [, file = ''] of advice.text.matchAll(/\bnode ((?:scripts|examples|dist)\/[a-z\d./-]+js)\b/g)) {
      named += 1
      if (!existsSync(join(ROOT, file))) wrong.push(`${advice.file}: node ${file}`)
    }
  }
  t.true(named > 60, `${named} scripts`)
  t.deepEqual(wrong, [])
})
