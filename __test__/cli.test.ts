import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { timeLeft } from '../src/cli/progress.js'
import { Model } from '../src/index.js'
import { jsonLines, mdgl, temporaryFolder } from './helpers/cli.js'

const SHORT = ['--iterations', '2', '--batch-size', '4', '--validate-every', '2']

for (const [what, args, says] of [
  ['no command', [], /a command is missing/],
  ['an unknown command', ['learn'], /there is no command 'learn'/],
  ['an unknown option', ['train', 'evidence-accumulation', '--speed', '9'], /--speed/],
  ['an option without its value', ['train', 'evidence-accumulation', '--rule'], /--rule/],
  ['no task', ['train'], /a task is missing.*evidence-accumulation/],
  ['an unknown task', ['train', 'juggling'], /'juggling'.*evidence-accumulation/],
  ['two tasks', ['train', 'evidence-accumulation', 'juggling'], /'juggling' is one argument too many/],
  ['an unknown rule', ['train', 'evidence-accumulation', '--rule', 'magic'], /--rule is 'magic'.*eprop, mdgl/],
  ['a negative number', ['train', 'evidence-accumulation', '--iterations=-3'], /--iterations is '-3'/],
  ['a value that looks like an option', ['train', 'evidence-accumulation', '--batch-size', '-3'], /--batch-size/],
  ['validations after the end', ['compare', 'evidence-accumulation', '--iterations', '5'], /--validate-every is 10/],
  ['a fraction of a trial', ['train', 'evidence-accumulation', '--batch-size', '1.5'], /--batch-size is '1.5'/],
  ['no iterations', ['train', 'evidence-accumulation', '--iterations', '0'], /at least 1/],
  ['a learning rate of 0', ['train', 'evidence-accumulation', '--learning-rate', '0'], /number above 0/],
  ['an unknown precision', ['train', 'evidence-accumulation', '--precision', 'f16'], /f32, f64/],
  ['descending seeds', ['compare', 'evidence-accumulation', '--seeds', '3-1'], /--seeds has '3-1'/],
  ['an unknown rule in a list', ['compare', 'evidence-accumulation', '--rules', 'mdgl,magic'], /--rules is 'magic'/],
  [
    'a negative learning rate',
    ['train', 'delayed-xor', '--learning-rate', '-1'],
    /--learning-rate is missing, or begins/
  ],
  ['a setting of nothing', ['train', 'delayed-xor', '--set', 'l1=1'], /--set is 'l1=1'; it must be PATH=VALUE/],
  ['an unknown setting', ['train', 'delayed-xor', '--set', 'optimiser.no=1'], /optimiser\.no is 1; .*'clipNorm'/],
  ['a wrong setting', ['compare', 'delayed-xor', '--set', 'optimiser.l1=-1'], /--set: optimiser\.l1 is -1; allowed: /],
  ['a setting twice', ['train', 'delayed-xor', '--set', 'optimiser.l1=0', '--set', 'optimiser.l1=1'], /l1 twice/],
  [
    'two learning rates',
    ['train', 'delayed-xor', '--learning-rate', '1', '--set', 'optimiser.learningRate=2'],
    /--learning-rate and --set optimiser\.learningRate exclude/
  ],
  ['too many threads', ['train', 'delayed-xor', '--threads', '5000'], /--threads is '5000'; it must be at most 1024/],
  ['a port that is none', ['dashboard', '.', '--port', '99999'], /--port is '99999'/],
  [
    'alignment after the end',
    ['train', 'delayed-xor', '--iterations', '3', '--alignment-every', '9'],
    /at most --iter/
  ],
  ['a trial of a network', ['plot', 'network', 'delayed-xor', '--raster'], /--raster requires plot run/],
  ['a seed for a run', ['plot', 'run', 'runs/x', '--seed', '7'], /--seed requires plot network/],
  ['a file for a time', ['bench', 'W', '--out', 'f'], /--out requires --export/],
  ['nothing to verify', ['verify'], /a file to verify is missing/]
] as const) {
  test(`usage: ${what} is one line on standard error and exit code 2`, async t => {
    const { code, stdout, stderr } = await mdgl(...args)
    t.is(code, 2)
    t.is(stdout, '')
    t.regex(stderr, says)
    t.regex(stderr, /^mdgl: [^\n]*--help`\)\n$/)
  })
}

test('help of every command has its examples', async t => {
  for (const args of [
    ['--help'],
    ['train', '--help'],
    ['help', 'sweep'],
    ['verify', '-h'],
    ['compare', '--help'],
    ['bench', '--help']
  ]) {
    const { code, stdout } = await mdgl(...args)
    t.is(code, 0)
    t.regex(stdout, /Usage: mdgl[\s\S]*Examples:\n {2}mdgl /)
  }
})

test('train --json prints every metrics line, the same as in the run folder', async t => {
  const out = join(await temporaryFolder(t), 'run')
  const { code, stdout, stderr } = await mdgl('train', 'evidence-accumulation', '--json', '--out', out, ...SHORT)
  t.is(code, 0, stderr)
  const lines = jsonLines(stdout)
  t.deepEqual(
    lines.map(({ iteration, split }) => [iteration, split]),
    [
      [1, 'train'],
      [2, 'train'],
      [2, 'validation']
    ]
  )
  for (const line of lines) {
    t.deepEqual(Object.keys(line).slice(0, 6), [
      'iteration',
      'split',
      'loss',
      'accuracy',
      'gradientNorm',
      'msPerIteration'
    ])
    t.true(Number.isFinite(line.loss) && Number.isFinite(line.gradientNorm))
  }
  t.is(await readFile(join(out, 'metrics.jsonl'), 'utf8'), stdout)
})

test('train writes a run folder with everything that decides the result', async t => {
  const out = join(await temporaryFolder(t), 'run')
  const options = ['--rule', 'eprop', '--seed', '7', '--precision', 'f64', '--learning-rate', '0.01', '--out', out]
  const { code, stdout, stderr } = await mdgl('train', 'evidence-accumulation', ...options, ...SHORT)
  t.is(code, 0, stderr)
  t.true(stdout.includes(out))
  t.deepEqual((await readdir(out)).sort(), [
    'config.json',
    'finished.json',
    'metrics.jsonl',
    'report.html',
    'weights.safetensors'
  ])
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
  t.is(config.format, 'mdgl-run/1')
  t.is(config.task, 'evidence-accumulation')
  t.is(config.precision, 'f64')
  t.is(config.seed, 7)
  t.is(config.rule.hops, 0)
  t.is(config.network.schema, 'mdgl-network/1')
  t.is(config.network.seed, 7)
  t.is(config.training.iterations, 2)
  t.is(config.training.batchSize, 4)
  t.is(config.training.optimiser.learningRate, 0.01)
  t.regex(config.instructionSetClass, /^(?:un)?fused$/)
  t.regex(config.versions.mdgl, /^\d+\.\d+\.\d+/)
})

test('train: threads change nothing, seeds do', async t => {
  const folder = await temporaryFolder(t)
  const weights = async (name: string, ...args: string[]) => {
    const out = join(folder, name)
    const { code, stderr } = await mdgl(
      'train',
      'evidence-accumulation',
      '--out',
      out,
      '--iterations',
      '2',
      '--batch-size',
      '20',
      ...args
    )
    t.is(code, 0, stderr)
    return readFile(join(out, 'weights.safetensors'))
  }
  const one = await weights('one', '--threads', '1')
  t.deepEqual(await weights('three', '--threads', '3'), one)
  t.notDeepEqual(await weights('other', '--threads', '1', '--seed', '2'), one)
})

test('train leaves no folder behind when its options are refused', async t => {
  const out = join(await temporaryFolder(t), 'run')
  const { code, stderr } = await mdgl(
    'train',
    'evidence-accumulation',
    '--out',
    out,
    ...SHORT,
    '--batch-size',
    '9999999'
  )
  t.is(code, 1)
  t.regex(stderr, /^mdgl: options\.batchSize is 9999999[^\n]*\n$/)
  await t.throwsAsync(readdir(out), { code: 'ENOENT' })
})

test('train does not write over what a folder holds', async t => {
  const out = join(await temporaryFolder(t), 'run')
  t.is((await mdgl('train', 'evidence-accumulation', '--out', out, ...SHORT)).code, 0)
  const before = await readFile(join(out, 'metrics.jsonl'), 'utf8')
  const { code, stderr } = await mdgl('train', 'evidence-accumulation', '--out', out, ...SHORT)
  t.is(code, 1)
  t.regex(stderr, /^mdgl: .*run is not empty: choose another folder[^\n]*\n$/)
  t.is(await readFile(join(out, 'metrics.jsonl'), 'utf8'), before)
})

test('a run that diverges says so, and keeps the weights of the last completed iteration', async t => {
  const out = join(await temporaryFolder(t), 'run')
  const args = [
    'train',
    'evidence-accumulation',
    '--rule',
    'bptt',
    '--iterations',
    '9',
    '--batch-size',
    '4',
    '--out',
    out
  ]
  const { code, stderr } = await mdgl(...args, '--learning-rate', '1e38')
  t.is(code, 1)
  t.regex(
    stderr,
    /^(mdgl: the network is epileptic [^\n]*\n)?mdgl: the run diverged: in iteration \d+ .* is not a finite number; .*last completed iteration are in /
  )
  const { iteration, message } = JSON.parse(await readFile(join(out, 'diverged.json'), 'utf8'))
  t.true(iteration >= 1 && iteration < 9)
  t.true(stderr.includes(message))
  const lines = jsonLines(await readFile(join(out, 'metrics.jsonl'), 'utf8'))
  t.is(lines.at(-1)?.iteration, iteration)
  using model = await Model.load(join(out, 'weights.safetensors'))
  t.true(model.weights.get('cells->cells').values.every(Number.isFinite))
})

test('every command has a help with examples, and the completion knows its options', async t => {
  const main = (await mdgl('--help')).stdout
  const names = [...main.matchAll(/^ {2}([a-z]+) (?:<|\[)/gm)].map(([, name = '']) => name)
  t.true(names.length >= 13)
  const { stdout: script } = await mdgl('completion', 'bash')
  for (const name of names) {
    const { code, stdout } = await mdgl(name, '--help')
    t.is(code, 0)
    t.regex(stdout, new RegExp(`^mdgl ${name}: .*\\n\\nUsage: mdgl ${name}[^]*\\nExamples:\\n {2}`))
    const words = new RegExp(`^ +${name}\\) words="(.*)" ;;$`, 'm').exec(script)?.[1]?.split(' ') ?? []
    for (const [option] of stdout.matchAll(/(?<=^ {2})--[a-z-]+/gm)) t.true(words.includes(option), `${name} ${option}`)
  }
  t.regex((await mdgl('completion', 'zsh')).stdout, /^autoload -Uz bashcompinit/)
  t.is((await mdgl('completion', 'fish')).code, 2)
})

test('the time left is that of the iterations which this process has done', t => {
  t.is(timeLeft(10_000, { before: 0, iteration: 500, iterations: 2000 }), 30_000)
  t.is(timeLeft(10_000, { before: 1000, iteration: 1500, iterations: 2000 }), 10_000)
  t.is(timeLeft(50, { before: 0, iteration: 0, iterations: 100 }), 5000)
})
