import { appendFile, copyFile, cp, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { hasLine, interruptedMdgl, jsonLines, killedMdgl, mdgl, temporaryFolder } from './helpers/cli.js'

/** How often a run is killed. */
const KILLS = Number(process.env.MDGL_KILLS ?? 20)
const posixTest = process.platform === 'win32' ? test.skip : test
const TASK = ['evidence-accumulation', '--rule', 'mdgl-membrane', '--batch-size', '4', '--iterations', '24']
const OFTEN = ['--validate-every', '4', '--checkpoint-every', '3', '--alignment-every', '8']
const RUN = [...TASK, ...OFTEN]

/** The metrics or the alignment of a run, without the times. */
async function linesOf(run: string, file: string): Promise<object[]> {
  const text = await readFile(join(run, file), 'utf8').catch(() => '')
  return jsonLines(text).map(({ msPerIteration: _, ...rest }) => rest)
}

const weights = (run: string) => readFile(join(run, 'weights.safetensors'))
const checkpoints = async (run: string) =>
  (await readdir(join(run, 'checkpoints'))).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))

/** A run that was never interrupted, trained once for all tests, and how long that took in ms. */
let whole: { readonly out: string; readonly ms: number }

test.before(async () => {
  const out = join(await mkdtemp(join(tmpdir(), 'mdgl-test-')), 'whole')
  const begin = performance.now()
  await mdgl('train', ...RUN, '--out', out)
  whole = { out, ms: performance.now() - begin }
})

test.after.always(() => rm(join(whole.out, '..'), { recursive: true, force: true }))

/** A copy of a run; by default of the one that was never interrupted. */
async function copied(to: string, from = whole.out): Promise<string> {
  await cp(from, to, { recursive: true })
  return to
}

posixTest(`a run killed ${KILLS} times at random moments ends with the same weights`, async t => {
  t.timeout(600_000)
  const folder = await temporaryFolder(t)
  const out = join(folder, 'killed')
  const reference = whole.out
  let kills = 0
  let seed = 12_345
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed / 2 ** 31
  }
  for (let begun = false; ; ) {
    const kept = await readdir(join(out, 'checkpoints')).catch(() => [])
    const begin = !begun || !kept.some(name => name.endsWith('.safetensors'))
    if (begin) await rm(out, { recursive: true, force: true })
    // Checkpoints and alignment go on as the run had them.
    const args = begin ? ['train', ...RUN, '--out', out] : ['resume', out]
    begun = true
    if (kills >= KILLS) {
      const { code, stderr } = await mdgl(...args)
      t.is(code, 0, stderr)
      break
    }
    const signal = kills % 3 === 2 ? 'SIGINT' : 'SIGKILL'
    const { code, stderr } = await killedMdgl(args, whole.ms * (0.2 + 0.8 * random()), signal)
    // One that was faster than its killer has reached its end, and begins anew.
    const ended = (await readdir(out).catch((): string[] => [])).includes('weights.safetensors')
    if (ended) await rm(out, { recursive: true, force: true })
    else t.true(code === null || code === 130, stderr)
    kills += 1
  }
  t.true((await weights(out)).equals(await weights(reference)))
  t.deepEqual(await linesOf(out, 'metrics.jsonl'), await linesOf(reference, 'metrics.jsonl'))
  t.deepEqual(await linesOf(out, 'alignment.jsonl'), await linesOf(reference, 'alignment.jsonl'))
})

posixTest('Ctrl-C ends a run after the current iteration, with a checkpoint, and says how to go on', async t => {
  const out = join(await temporaryFolder(t), 'run')
  const { code, stdout, stderr } = await interruptedMdgl(
    [
      'train',
      'evidence-accumulation',
      '--iterations',
      '100000',
      '--batch-size',
      '4',
      '--checkpoint-every',
      '0',
      '--out',
      out
    ],
    () => hasLine(join(out, 'metrics.jsonl'))
  )
  t.is(code, 130)
  t.is(stdout, '')
  const [, iteration] =
    /^mdgl: interrupted after iteration (\d+); `mdgl resume .*run` continues from there\n$/.exec(stderr) ?? []
  t.deepEqual((await readdir(out)).sort(), ['checkpoints', 'config.json', 'metrics.jsonl'])
  t.deepEqual(
    (await checkpoints(out)).map(name => name.split('-')[0]),
    [iteration]
  )
  t.is((await linesOf(out, 'metrics.jsonl')).length >= Number(iteration), true)
})

test('torn, cut and foreign checkpoints are named, and the one before them is used', async t => {
  const folder = await temporaryFolder(t)
  const base = await copied(join(folder, 'base'))
  await rename(join(base, 'weights.safetensors'), join(folder, 'weights.safetensors'))
  for (const name of ['report.html', 'finished.json']) await rm(join(base, name))
  const [earlier = '', last = ''] = await checkpoints(base)
  t.regex(last, /^21-[\da-f]{64}\.safetensors$/)
  const spoil = {
    cut: (path: string) => truncate(path, 100),
    empty: (path: string) => truncate(path, 0),
    longer: (path: string) => appendFile(path, 'x'),
    foreign: (path: string) => writeFile(path, 'not a checkpoint'),
    another: (path: string) => copyFile(join(folder, 'weights.safetensors'), path)
  }
  for (const [name, damage] of Object.entries(spoil)) {
    const run = await copied(join(folder, name), base)
    await damage(join(run, 'checkpoints', last))
    const { code, stderr } = await mdgl('resume', run, '--checkpoint-every', '3', '--alignment-every', '8')
    t.is(code, 0, stderr)
    t.regex(stderr, new RegExp(`^mdgl: the checkpoint .*${last} .*left aside\n$`), name)
    t.true(
      (await readFile(join(run, 'weights.safetensors'))).equals(await readFile(join(folder, 'weights.safetensors')))
    )
  }
  const lost = await copied(join(folder, 'lost'), base)
  for (const name of [earlier, last]) await truncate(join(lost, 'checkpoints', name), 1000)
  const before = await linesOf(lost, 'metrics.jsonl')
  const { code, stderr } = await mdgl('resume', lost)
  t.is(code, 1)
  t.regex(stderr, /no whole checkpoint is left/)
  t.deepEqual(await linesOf(lost, 'metrics.jsonl'), before)
  t.deepEqual((await readdir(lost)).sort(), ['alignment.jsonl', 'checkpoints', 'config.json', 'metrics.jsonl'])
})

test('what cannot go on says why', async t => {
  const folder = await temporaryFolder(t)
  const out = join(folder, 'run')
  t.is((await mdgl('train', 'evidence-accumulation', '--batch-size', '4', '--iterations', '3', '--out', out)).code, 0)
  t.regex((await mdgl('resume', out)).stderr, /is finished; there is nothing to continue/)
  await rm(join(out, 'weights.safetensors'))
  const none = await mdgl('resume', out)
  t.is(none.code, 1)
  t.regex(none.stderr, /cannot go on: it has no checkpoint/)
  const config = await readFile(join(out, 'config.json'), 'utf8')
  await writeFile(join(out, 'config.json'), config.replace('"kind": "cross-entropy"', '"kind": "squared-error"'))
  t.regex((await mdgl('resume', out)).stderr, /since the run in .* was made, its loss changed/)
  await writeFile(join(out, 'config.json'), config.replace('"task": "evidence-accumulation"', '"task": "juggling"'))
  t.regex((await mdgl('resume', out)).stderr, /of the task 'juggling', which mdgl does not know/)
  t.is((await mdgl('resume', folder)).code, 1)
  t.is((await mdgl('resume')).code, 2)
})

test('changes made while a run went on come again when it is resumed', async t => {
  const folder = await temporaryFolder(t)
  const out = await copied(join(folder, 'run'))
  const untouched = await weights(out)
  await rm(join(out, 'weights.safetensors'))
  await writeFile(join(out, 'interventions.jsonl'), '{"iteration":23,"learningRate":0.01}\n')
  const changed = await mdgl('resume', out, '--checkpoint-every', '0')
  t.is(changed.code, 0, changed.stderr)
  t.false((await weights(out)).equals(untouched))
  await rm(join(out, 'weights.safetensors'))
  await appendFile(join(out, 'interventions.jsonl'), '{"iteration":24,"stop":true}\n')
  const end = await mdgl('resume', out, '--checkpoint-every', '0')
  t.is(end.code, 0)
  t.regex(end.stderr, /^mdgl: stopped after iteration 23; `mdgl resume /)
  const again = join(folder, 'again')
  const repeated = await mdgl('repeat', out, '--out', again)
  t.is(repeated.code, 0)
  t.regex(repeated.stderr, /stopped after iteration 23/)
  t.deepEqual(await linesOf(again, 'metrics.jsonl'), await linesOf(out, 'metrics.jsonl'))
  const on = await mdgl('resume', out)
  t.is(on.code, 0, on.stderr)
  t.is(on.stderr, '')
})

test('runs and show tell what there is, export writes it for others', async t => {
  const folder = await temporaryFolder(t)
  const out = await copied(join(folder, 'deep', 'run'))
  const listed = await mdgl('runs', folder)
  t.regex(
    listed.stdout,
    /deep\/run +evidence-accumulation +mdgl-membrane +1 +24\/24 +0\.\d{4} +[01]\.\d{3} +finished$/m
  )
  t.like(JSON.parse((await mdgl('runs', folder, '--json')).stdout), {
    iteration: 24,
    state: 'finished',
    rule: 'mdgl-membrane'
  })
  const shown = (await mdgl('show', out)).stdout
  t.regex(shown, /100 alif \(cells\); 3 projections/)
  t.regex(shown, /validation loss {2}[▁▂▃▄▅▆▇█]{6} {2}0\.\d{4}/)
  t.regex(shown, new RegExp(`mdgl export ${out} --weights`))
  t.regex((await mdgl('runs', join(folder, 'none'))).stdout, /There is no run in .*none/)

  const csv = join(folder, 'metrics.csv')
  t.is((await mdgl('export', out, '--metrics', csv)).code, 0)
  const rows = (await readFile(csv, 'utf8')).trimEnd().split('\n')
  t.is(
    rows[0],
    'iteration,split,loss,accuracy,gradientNorm,msPerIteration,regulariser,rate,living.cues->cells,living.cells->cells,living.cells->choice'
  )
  t.is(rows.length, 1 + 24 + 6)
  const parquet = join(folder, 'metrics.parquet')
  const npz = join(folder, 'weights.npz')
  t.is((await mdgl('export', out, '--metrics', parquet, '--weights', npz)).code, 0)
  t.is((await readFile(parquet)).toString('latin1', 0, 4), 'PAR1')
  t.is((await readFile(npz)).toString('latin1', 0, 2), 'PK')
  t.regex(
    (await readFile(npz)).toString('latin1'),
    /cells->cells\.pre\.npy.*NUMPY.*'descr': '<u4', 'fortran_order': False, 'shape': \(\d+,\)/s
  )
  const npy = join(folder, 'cells.npy')
  t.is((await mdgl('export', out, '--weights', npy, '--projection', 'cells->cells')).code, 0)
  const matrix = await readFile(npy)
  t.regex(matrix.toString('latin1', 0, 128), /NUMPY.*'<f4', 'fortran_order': False, 'shape': \(100, 100\), \} *\n/s)
  t.is(matrix.length % 64, 0)
  t.is(matrix.length, 128 + 4 * 100 * 100)
  t.is((await mdgl('export', out, '--weights', npy)).code, 2)
  t.is((await mdgl('export', out, '--weights', npy, '--projection', 'nothing')).code, 2)
  t.is((await mdgl('export', out)).code, 2)
  t.is((await mdgl('export', out, '--weights', 'w.txt')).code, 2)
})

test('a finished run has its report, and pictures of a run are drawn from its folder', async t => {
  const folder = await temporaryFolder(t)
  const out = await copied(join(folder, 'run'))
  const report = await readFile(join(out, 'report.html'), 'utf8')
  t.regex(report, /<h1>evidence-accumulation, mdgl-membrane, seed 1<\/h1>/)
  t.is(report.match(/<svg role="img"/g)?.length, 5)
  t.regex(report, /mdgl train evidence-accumulation --rule mdgl-membrane --seed 1 --iterations 24 --batch-size 4/)
  t.notRegex(report, /<script|src=|href=|\{&quot;/)
  for (const part of [
    'Gradients are estimated by multidigraph learning (Liu et al. 2021; Bellec et al. 2020)',
    'Γ_p,t = Σ_j g_pj (1−α_j) u_j,t',
    '\\begin{align}',
    '\\citealp{Liu2021}',
    'doi     = {10.1073/pnas.2111821118}',
    '<th scope="row">optimiser.learningRate</th><td>0.0025</td>'
  ])
    t.true(report.includes(part), part)
  await rm(join(out, 'report.html'))
  t.is((await mdgl('report', out)).stdout, `${join(out, 'report.html')}\n`)
  t.is(await readFile(join(out, 'report.html'), 'utf8'), report)

  const sizes = new Set<number>()
  for (const picture of ['--curves', '--raster', '--signals', '--weights', '--neuron=7']) {
    const svg = join(folder, `${picture}.svg`)
    const { code, stdout, stderr } = await mdgl('plot', 'run', out, picture, '--out', svg)
    t.is(code, 0, stderr)
    t.is(stdout, `${svg}\n`)
    const drawing = await readFile(svg, 'utf8')
    t.regex(drawing, /^<svg /)
    sizes.add(drawing.length)
  }
  t.is(sizes.size, 5)
  const raster = await readFile(join(folder, '--raster.svg'), 'utf8')
  for (const word of ['inputs', 'inhibitory', 'excitatory', 'time (ms)', 'readout', 'choice 1'])
    t.true(raster.includes(word), word)
  t.regex(await readFile(join(folder, '--neuron=7.svg'), 'utf8'), /v of neuron 7 \(inhibitory\)/)
  const png = join(folder, 'raster.png')
  t.is((await mdgl('plot', 'run', out, '--raster', '--out', png)).code, 0)
  t.is((await readFile(png)).toString('latin1', 1, 4), 'PNG')
  for (const wrong of [
    ['--raster', '--signals'],
    ['--neuron', '100'],
    ['--neuron', 'x'],
    ['--out', 'a.gif']
  ]) {
    t.is((await mdgl('plot', 'run', out, ...wrong)).code, 2, wrong.join(' '))
  }
})

const TASK_FILE = `
import { network, poissonRates, type Task } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}

const first: Task = {
  name: 'which-first',
  loss: { kind: 'cross-entropy', window: 50 },
  optimiser: { kind: 'adam', l1: 0.01, rewiring: true },
  iterations: 6,
  batchSize: 4,
  validateEvery: 3,
  network: ({ seed }: { seed: number }) =>
    network({ seed })
      .input('cues', 20)
      .lif('cells', 20)
      .readout('first', 2)
      .project('cues', 'cells', { density: 0.5 })
      .project('cells', 'first', { density: 1 })
      .build(),
  batch: ({ size, rng }) => {
    const targets = Array.from({ length: size }, (_, trial) => rng.trial(trial).integer(2))
    const rates = targets.flatMap((side, trial) => poissonRates(side === 0 ? [60, 0] : [0, 60], { trial, from: 0, to: 80, unitsEach: 10 }))
    return { length: 100, inputs: { cues: { rates } }, targets }
  }
}
export default first
`

test('a task of ones own is trained from its file, and goes on while the file is the same', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'which-first.ts')
  await writeFile(file, TASK_FILE)
  const out = join(folder, 'run')
  const trained = await mdgl('train', file, '--rule', 'mdgl', '--checkpoint-every', '2', '--out', out)
  t.is(trained.code, 0, trained.stderr)
  t.is(trained.stderr, '')
  const { task, taskFile } = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
  t.is(task, 'which-first')
  t.is(taskFile.path, file)
  const before = await weights(out)
  await rm(join(out, 'weights.safetensors'))
  t.is((await mdgl('resume', out)).code, 0)
  t.true((await weights(out)).equals(before))
  await rm(join(out, 'weights.safetensors'))
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
  t.deepEqual(config.recording, { checkpointEvery: 2 })
  const elsewhere = join(folder, 'elsewhere.ts')
  await rename(file, elsewhere)
  t.regex((await mdgl('resume', out)).stderr, /the task file of the run in .*run cannot be taken: ENOENT/)
  await rename(elsewhere, file)
  await appendFile(file, '// changed\n')
  t.regex((await mdgl('resume', out)).stderr, /its task file changed/)
  t.is((await mdgl('plot', 'network', file, '--out', join(folder, 'n.svg'))).code, 0)

  for (const [code, says] of [
    ['export default 7', /has no task: its default export must be an object/],
    ['export default { name: "x", loss: {} }', /task\.batch is undefined/],
    ['export default { name: "x", loss: {}, batch() {} }', /has no network/],
    ['export default () => { throw new Error("mine") }', /^mdgl: mine\n$/]
  ] as const) {
    const wrong = join(folder, `wrong-${says.source.length}.mjs`)
    await writeFile(wrong, code)
    const { code: exit, stderr } = await mdgl('train', wrong, '--out', join(folder, 'none'))
    t.is(exit, 1)
    t.regex(stderr, says)
  }
  t.is((await mdgl('train', join(folder, 'missing.ts'))).code, 1)
})
