import { existsSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { hasLine, jsonLines, mdgl, type Outcome, temporaryFolder } from './helpers/cli.js'
import { limitedMdgl, tinyTask } from './helpers/faults.js'

/** Limits and signals are a shell's of POSIX. */
const posixTest = process.platform === 'win32' ? test.skip : test

const files = (folder: string) => readdir(folder, { recursive: true })
const weights = (run: string) => readFile(join(run, 'weights.safetensors'))
const iterationsOf = async (run: string) =>
  (await readdir(join(run, 'checkpoints'))).map(name => Number.parseInt(name, 10)).sort((a, b) => a - b)

/** A run of the tiny task that was never disturbed, and one that SIGTERM ended in its fifth iteration. */
async function runs(t: ExecutionContext, iterations = 12): Promise<{ whole: string; ended: string; outcome: Outcome }> {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder, {
    batch: `if (process.env.END && split === 'train' && iteration === 5) process.kill(process.pid, 'SIGTERM')`
  })
  const [whole, ended] = [join(folder, 'whole'), join(folder, 'ended')]
  const args = ['train', task, '--iterations', String(iterations), '--learning-rate', '1e-5', '--out']
  const reference = await mdgl(...args, whole)
  t.is(reference.code, 0, reference.stderr)
  const outcome = await limitedMdgl('export END=yes', [...args, ended, '--checkpoint-every', '2'])
  return { whole, ended, outcome }
}

/** The run goes on to the same end. */
async function goesOn(t: ExecutionContext, ended: string, whole: string): Promise<void> {
  const { code, stderr } = await mdgl('resume', ended)
  t.is(code, 0, stderr)
  t.true((await weights(ended)).equals(await weights(whole)))
}

posixTest('SIGTERM ends a run after the current iteration, with a checkpoint, and the exit code 143', async t => {
  const { whole, ended, outcome } = await runs(t)
  t.is(outcome.code, 143)
  t.regex(outcome.stderr, /^mdgl: interrupted after iteration \d+; `mdgl resume .*ended` continues from there\n$/)
  const [iteration] = /(?<=after iteration )\d+/.exec(outcome.stderr) ?? []
  t.is((await iterationsOf(ended)).at(-1), Number(iteration))
  await goesOn(t, ended, whole)
})

// A limit on the size of a file stands for a full disk: a write ends in the middle, with EFBIG in place of ENOSPC.
posixTest(
  'a disk that takes no checkpoint: the file is named, the one before it stays, no half one is left',
  async t => {
    const { whole, ended } = await runs(t)
    const before = await iterationsOf(ended)
    const [checkpoint = ''] = await readdir(join(ended, 'checkpoints'))
    const blocks = Math.floor((await stat(join(ended, 'checkpoints', checkpoint))).size / 512) - 1
    const { code, stderr } = await limitedMdgl(`ulimit -f ${blocks}`, ['resume', ended, '--checkpoint-every', '2'])
    t.is(code, 1)
    t.regex(
      stderr,
      /^mdgl: .*checkpoints\/\d+-[\da-f]{64}\.safetensors cannot be written: .* raise the limit; `mdgl resume .*` then continues from the last checkpoint .*\n$/
    )
    t.deepEqual(await iterationsOf(ended), before)
    t.deepEqual(
      (await files(ended)).filter(name => name.endsWith('.tmp')),
      []
    )
    await goesOn(t, ended, whole)
  }
)

posixTest(
  'a disk that takes no more metrics: the file is named, and the run goes on from its last checkpoint',
  async t => {
    const { whole, ended } = await runs(t, 60)
    const [checkpoint = ''] = await readdir(join(ended, 'checkpoints'))
    const blocks = Math.ceil((await stat(join(ended, 'checkpoints', checkpoint))).size / 512) + 4
    const { code, stderr } = await limitedMdgl(`ulimit -f ${blocks}`, ['resume', ended, '--checkpoint-every', '2'])
    t.is(code, 1)
    t.regex(
      stderr,
      /^mdgl: .*metrics\.jsonl cannot be written: .*; `mdgl resume .*` then continues from the last checkpoint .*\n$/
    )
    t.true(((await iterationsOf(ended)).at(-1) ?? 0) > 6)
    await goesOn(t, ended, whole)
    const lines = jsonLines(await readFile(join(ended, 'metrics.jsonl'), 'utf8'))
    t.is(lines.length, 60 + 10)
  }
)

posixTest('standard output that takes nothing ends the command with one line', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder)
  const args = ['train', task, '--json', '--out', join(folder, 'run')]
  const { code, stderr } = await limitedMdgl('exec >/dev/full', args)
  t.is(code, 1)
  t.regex(stderr, /^mdgl: standard output cannot be written: ENOSPC[^\n]*\n$/)
})

// A path below a file and the kernel's own folder refuse root too, as a read-only folder does not.
posixTest('a folder that cannot be made is said before training, and nothing is half made', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder)
  await writeFile(join(folder, 'runs'), '')
  const before = await files(folder)
  for (const out of [join(folder, 'runs', 'run'), '/sys/mdgl-run']) {
    const { code, stdout, stderr } = await mdgl('train', task, '--json', '--out', out)
    t.is(code, 1)
    t.is(stdout, '')
    t.regex(stderr, new RegExp(`^mdgl: ${out} cannot be written: .*\\n$`))
  }
  const { code, stderr } = await limitedMdgl(`cd '${folder}'`, ['train', task])
  t.is(code, 1)
  t.regex(stderr, /^mdgl: runs cannot be written: .*\n$/)
  t.deepEqual(await files(folder), before)
})

// No block may be written: lock.json is the first file of a run.
posixTest('a disk that is full from the start leaves no folder behind', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder)
  for (const args of [
    ['train', task],
    ['train', task, '--out', join(folder, 'deep', 'run')]
  ]) {
    const { code, stderr } = await limitedMdgl(`cd '${folder}'; ulimit -f 0`, args)
    t.is(code, 1)
    t.regex(stderr, /lock\.json cannot be written: /)
  }
  t.deepEqual((await files(folder)).filter(name => name !== 'tiny.mjs').sort(), ['deep', 'runs'])
})

for (const every of ['2', '0'])
  posixTest(
    `a run folder removed while running ends the run and is not made again, with --checkpoint-every ${every}`,
    async t => {
      const folder = await temporaryFolder(t)
      const run = join(folder, 'run')
      const remove = `if (iteration === 6) (await import('node:fs')).rmSync(${JSON.stringify(run)}, { recursive: true })`
      const task = await tinyTask(folder, { batch: remove.replace('6)', `6 && split === 'train')`) })
      const { code, stderr } = await mdgl('train', task, '--checkpoint-every', every, '--out', run)
      t.is(code, 1)
      t.regex(stderr, /^mdgl: .*(was removed while the run went on|its folder is not there).*\n$/)
      t.false(existsSync(run))
    }
  )

const CLOCK = `
const now = Date.now
let calls = 0
const jump = () => (calls++ % 2 === 0 ? 1 : -1) * calls * 3_600_000
globalThis.Date = class extends Date {
  constructor(...given) {
    super(...(given.length > 0 ? given : [Date.UTC(2030, 0, 1)]))
  }
  static now() {
    return now() + jump()
  }
}
`

posixTest('a clock that jumps changes nothing but names, and no name is taken twice', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder)
  const clock = join(folder, 'clock.mjs')
  await writeFile(clock, CLOCK)
  const names = ['2030-01-01T00-00-00-tiny-mdgl-1', '2030-01-01T00-00-00-tiny-mdgl-1-2']
  for (const _ of names) {
    const { code, stderr } = await limitedMdgl(
      `cd '${folder}'`,
      ['train', task, '--checkpoint-every', '4'],
      ['--import', clock]
    )
    t.is(code, 0, stderr)
  }
  t.deepEqual((await readdir(join(folder, 'runs'))).sort(), names)
  const whole = join(folder, 'whole')
  await mdgl('train', task, '--out', whole)
  for (const name of names) {
    const run = join(folder, 'runs', name)
    t.deepEqual(await iterationsOf(run), [4, 8])
    t.true((await weights(run)).equals(await weights(whole)))
  }
  // Progress without a terminal is a line every ten seconds, whatever the clock says.
  const compare = [
    'compare',
    'evidence-accumulation',
    '--rules',
    'eprop',
    '--iterations',
    '4',
    '--validate-every',
    '2',
    '--batch-size',
    '2'
  ]
  const { code, stderr } = await limitedMdgl(`cd '${folder}'`, compare, ['--import', clock])
  t.is(code, 0, stderr)
  t.notRegex(stderr, / left/)
})

test('a run that meets numbers that are not finite names the iteration, and keeps the weights before it', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder)
  const out = join(folder, 'run')
  const { code, stderr } = await mdgl(
    'train',
    task,
    '--learning-rate',
    '1e38',
    '--precision',
    'f32',
    '--rule',
    'bptt',
    '--out',
    out
  )
  t.is(code, 1)
  const { iteration } = JSON.parse(await readFile(join(out, 'diverged.json'), 'utf8'))
  t.true(iteration >= 1)
  t.true(stderr.includes(`the run diverged: in iteration ${iteration + 1} `), stderr)
  t.is(jsonLines(await readFile(join(out, 'metrics.jsonl'), 'utf8')).at(-1)?.iteration, iteration)
  t.true((await stat(join(out, 'weights.safetensors'))).size > 0)
})

for (const [activity, scale] of [
  ['silent', '1e-9'],
  ['epileptic', '1e3']
] as const)
  test(`a run of a network that is ${activity} says so once and goes on`, async t => {
    const folder = await temporaryFolder(t)
    const task = await tinyTask(folder, {
      input: `, { sign: 'excitatory' }`,
      projection: `, initialise: { scheme: 'normal', standardDeviation: ${scale} }`
    })
    const out = join(folder, 'run')
    const { code, stderr } = await mdgl('train', task, '--out', out)
    t.is(code, 0, stderr)
    t.regex(stderr, new RegExp(`^mdgl: the network is ${activity} in iteration 1; [^\\n]* The run continues\\n$`))
    t.true(await hasLine(join(out, 'metrics.jsonl')))
  })

posixTest(
  "files whose sync is not implemented, as in Yarn's Plug'n'Play, are saved and flushed by their descriptors",
  async t => {
    const folder = await temporaryFolder(t)
    const out = join(folder, 'run')
    const preload = fileURLToPath(new URL('helpers/no-sync.mjs', import.meta.url))
    const args = ['train', await tinyTask(folder), '--iterations', '3', '--checkpoint-every', '1', '--out', out]
    const { code, stderr } = await limitedMdgl(`export NODE_OPTIONS="--import ${preload}"`, args)
    t.is(code, 0, stderr)
    t.deepEqual(await iterationsOf(out), [1, 2])
    // Each checkpoint, the configuration, the weights.
    t.true(Number(/flushed: (\d+)/.exec(stderr)?.[1]) >= 4, stderr)
  }
)
