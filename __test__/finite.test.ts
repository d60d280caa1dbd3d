import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { evaluate, MdglError, Model, network, train } from '../src/index.js'
import { jsonLines, mdgl, temporaryFolder } from './helpers/cli.js'

const STEPS = 2000

/** Nothing drives the cells, so that the readout is its bias. */
const silent = () =>
  network({ seed: 1 })
    .input('in', 2)
    .lif('cells', 20)
    .readout('o', 1, { bias: true })
    .project('in', 'cells', { density: 1 })
    .project('cells', 'o', { density: 1 })
    .build()

const batch = (trials = 1) => ({
  length: STEPS,
  trials,
  inputs: {},
  targets: new Float64Array(trials * STEPS).fill(1)
})
const loss = { kind: 'squared-error' } as const
const task = { name: 'silent', loss, batch: ({ size }: { readonly size: number }) => batch(size) }
const finite = (values: Iterable<number>) => [...values].every(Number.isFinite)

for (const optimiser of [
  { kind: 'gradient-descent', learningRate: 0.01 },
  { kind: 'gradient-descent', learningRate: 10, clipNorm: 1e37 },
  { kind: 'adam', learningRate: 1e36 }
] as const) {
  const named = `${optimiser.kind}${'clipNorm' in optimiser ? ', clipped' : ''}`
  test(`a bias that grows without bound ends training with not-finite and the weights before it (${named})`, async t => {
    const model = Model.create(silent())
    const held = () => [
      model.bias.get('o'),
      model.weights.get('cells->o').values,
      model.weights.get('in->cells').values
    ]
    let before = held()
    const error = await t.throwsAsync(
      async () => {
        const options = { rule: 'mdgl', iterations: 500, batchSize: 1, validateEvery: 0, optimiser } as const
        for await (const { loss, gradientNorm } of train(model, task, options)) {
          t.true(finite([loss, gradientNorm]))
          before = held()
          t.true(finite(before.flatMap(values => [...values])))
        }
      },
      { instanceOf: MdglError }
    )
    t.is((error as MdglError).code, 'not-finite')
    t.deepEqual(held(), before)
    const file = join(await temporaryFolder(t), 'weights.safetensors')
    await model.save(file, { optimiser: true })
    t.deepEqual((await Model.load(file)).bias.get('o'), model.bias.get('o'))
  })
}

test('a run that diverged keeps finite weights, and resume says how to go on, which works', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'silent.mjs')
  const library = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
  await writeFile(
    file,
    `import { network } from ${library}
export default {
  name: 'silent', loss: { kind: 'squared-error' }, iterations: 60, batchSize: 1, validateEvery: 60,
  optimiser: { kind: 'gradient-descent', learningRate: 0.01 },
  network: ({ seed }) => network({ seed }).input('in', 2).lif('cells', 20).readout('o', 1, { bias: true })
    .project('in', 'cells', { density: 1 }).project('cells', 'o', { density: 1 }).build(),
  batch: ({ size }) => ({ length: ${STEPS}, trials: size, inputs: {}, targets: new Float64Array(size * ${STEPS}).fill(1) })
}
`
  )
  const out = join(folder, 'run')
  const trained = await mdgl('train', file, '--checkpoint-every', '5', '--out', out)
  t.is(trained.code, 1)
  const { iteration } = JSON.parse(await readFile(join(out, 'diverged.json'), 'utf8'))
  t.true(trained.stderr.includes(`in iteration ${iteration + 1} `), trained.stderr)
  t.true(trained.stderr.endsWith(`; \`mdgl resume ${out}\` prints how to continue\n`), trained.stderr)
  const weights = join(folder, 'weights.safetensors')
  t.is((await mdgl('export', out, '--weights', weights)).code, 0)
  t.true(finite((await Model.load(weights)).bias.get('o')))

  const { code, stderr } = await mdgl('resume', out)
  t.is(code, 1)
  const [last, earlier] = [5 * Math.floor(iteration / 5), 5 * Math.floor(iteration / 5) - 5]
  t.regex(
    stderr,
    new RegExp(`diverged in iteration ${iteration + 1} \\(.*is not a finite number; .*\\); \`mdgl resume `)
  )
  t.true(stderr.includes(`checkpoint of iteration ${last}, with \`--from ${earlier}\``), stderr)
  const [, command = ''] = /`mdgl ([^`]+)` continues/.exec(stderr) ?? []
  t.is(command, `resume ${out} --learning-rate 0.001`)
  t.is((await mdgl(...command.split(' '), '--from', '3')).code, 1, 'no checkpoint is as early')
  const resumed = await mdgl(...command.split(' '), '--from', String(earlier))
  t.is(resumed.code, 0, resumed.stderr)
  const lines = jsonLines(await readFile(join(out, 'metrics.jsonl'), 'utf8'))
  t.deepEqual(
    lines.filter(({ split }) => split === 'train').map(line => line.iteration),
    Array.from({ length: 60 }, (_, i) => i + 1)
  )
  t.deepEqual(jsonLines(await readFile(join(out, 'interventions.jsonl'), 'utf8')), [
    { iteration: earlier + 1, learningRate: 0.001 }
  ])
  t.true(finite((await Model.load(join(out, 'weights.safetensors'))).bias.get('o')))
  await t.throwsAsync(readFile(join(out, 'diverged.json')), { code: 'ENOENT' })
  t.regex((await mdgl('resume', out)).stderr, /is finished; there is nothing to continue/)
  // Made again with its changes, it is the same run.
  const again = join(folder, 'again')
  t.is((await mdgl('repeat', out, '--out', again)).code, 0)
  const bytes = (run: string) => readFile(join(run, 'weights.safetensors'))
  t.true((await bytes(again)).equals(await bytes(out)))
})

test('a run that diverged without a checkpoint can be begun anew, as resume says', async t => {
  const folder = await temporaryFolder(t)
  const out = join(folder, 'run')
  const args = ['--iterations', '30', '--batch-size', '2', '--validate-every', '30']
  const diverging = await mdgl('train', 'evidence-accumulation', ...args, '--learning-rate', '1e37', '--out', out)
  t.is(diverging.code, 1, diverging.stderr)
  const { stderr } = await mdgl('resume', out)
  const [, command = ''] = /no whole checkpoint to continue from; `mdgl ([^`]+)` begins anew/.exec(stderr) ?? []
  t.is(command, 'train evidence-accumulation --learning-rate 1e+36')
  t.is((await mdgl(...command.split(' '), '--help')).code, 0)
})

test('the outputs of a session that would not be finite take the step back', t => {
  const model = Model.create(silent())
  const weights = model.weights.get('in->cells').values
  model.weights.set('in->cells', weights.fill(1))
  model.weights.set('cells->o', model.weights.get('cells->o').values.fill(3e37))
  model.bias.set('o', [3e38])
  using session = model.session({ rule: 'mdgl-online' })
  const drive = { in: Float64Array.of(1000, 1000) }
  let before = session.state()
  const error = t.throws(
    () => {
      for (let step = 0; step < 100; step++) {
        before = session.state()
        const { outputs } = session.step(drive)
        t.true(finite(outputs.o))
      }
    },
    { instanceOf: MdglError }
  )
  t.is((error as MdglError).code, 'not-finite')
  t.deepEqual(session.state(), before)
  session.reset()
  t.true(finite(session.step().outputs.o))
})

test('targets of a session that add up to infinity are refused, and an update leaves the bias finite', t => {
  const model = Model.create(silent())
  using session = model.session({ rule: 'mdgl-online', optimiser: { kind: 'gradient-descent', learningRate: 10 } })
  session.step()
  session.addLoss({ o: { error: [3e38] } })
  t.like(
    t.throws(() => session.addLoss({ o: { error: [3e38] } })),
    { code: 'not-finite' }
  )
  t.like(
    t.throws(() => session.update()),
    { code: 'not-finite' }
  )
  t.deepEqual([...model.bias.get('o')], [0])
  session.step()
  session.addLoss({ o: { error: [1] } })
  t.deepEqual(session.update(), { gradientNorm: 1, steps: 1 })
  t.deepEqual([...model.bias.get('o')], [-10])
})

test('custom losses that add up to infinity are not a number', async t => {
  const description = network()
    .lif('cells', 1)
    .readout('a', 1)
    .readout('b', 1)
    .project('cells', 'a', { density: 1 })
    .project('cells', 'b', { density: 1 })
    .build()
  const large = {
    kind: 'custom',
    evaluate: ({ values }: { values: ArrayLike<number> }) => ({ loss: 1e308, delta: Float64Array.from(values) })
  } as const
  const both = { length: 5, trials: 1, inputs: {} }
  const error = await t.throwsAsync(evaluate(Model.create(description), both, { loss: { a: large, b: large } }))
  t.like(error, { code: 'not-finite' })
})

test('an analogue value that the precision does not hold is refused', async t => {
  const inputs = { in: { analogue: new Float64Array(2 * STEPS).fill(1e300) } }
  const given = { ...batch(), inputs }
  const error = await t.throwsAsync(evaluate(Model.create(silent()), given, { loss }))
  t.like(error, { code: 'invalid', path: 'batch.inputs.in[0]' })
  t.true(Number.isFinite((await evaluate(Model.create(silent(), { precision: 'f64' }), given, { loss })).loss))
})
