import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { expandRule, gradients, Model, network, perturbChannels, train } from '../src/index.js'
import { reportTables } from '../src/plots/report-tables.js'
import { RunControl } from '../src/runs/control.js'
import { readInterventions } from '../src/runs/interventions.js'
import { RunFolder, readRunFolder } from '../src/runs/run-folder.js'
import { builtInTask } from '../src/runs/tasks.js'
import { trainRun } from '../src/runs/train-run.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'
import { invalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

test('a frozen bias keeps its value, and a factor of 0 keeps it too', async t => {
  const optimiser = { kind: 'adam', learningRate: 0.1, l1: 0, rewiring: false } as const
  const bias = async (options: { readonly freeze?: readonly 'choice.bias'[] }, factors = {}) => {
    const model = Model.create(smallNetwork())
    await collect(
      train(model, sides, { rule: 'eprop', optimiser: { ...optimiser, learningRateFactors: factors }, ...options })
    )
    return [model.bias.get('choice'), model.weights.get('cells->choice').values] as const
  }
  const [free, frozen, still] = [
    await bias({}),
    await bias({ freeze: ['choice.bias'] }),
    await bias({}, { 'choice.bias': 0 })
  ]
  t.true(free[0].every(value => value !== 0))
  t.deepEqual([...frozen[0]], [0, 0])
  t.deepEqual([...still[0]], [0, 0])
  t.true(frozen[1].some((value, i) => value !== Model.create(smallNetwork()).weights.get('cells->choice').values[i]))
  const unbiased = network({ seed: 1 })
    .input('cues', 20)
    .lif('cells', 5)
    .readout('choice', 2, { bias: false })
    .project('cues', 'cells', { probability: 1 })
    .project('cells', 'choice', { probability: 1 })
    .build()
  invalidAt(t, 'options.freeze', () => train(Model.create(unbiased), sides, { rule: 'eprop', freeze: ['choice.bias'] }))
  invalidAt(t, 'optimiser.frozen', () =>
    train(Model.create(unbiased), sides, { rule: 'eprop', optimiser: { ...optimiser, frozen: ['choice.bias'] } })
  )
})

test('a session keeps a frozen bias', t => {
  const model = Model.create(smallNetwork())
  const optimiser = {
    kind: 'gradient-descent',
    learningRate: 0.1,
    l1: 0,
    rewiring: false,
    frozen: ['choice.bias']
  } as const
  using session = model.session({ rule: 'eprop-online', optimiser })
  for (let step = 0; step < 20; step++) {
    session.step({ cues: Uint32Array.of(step % 20) })
    session.addLoss({ choice: { target: 1 } })
  }
  t.true(session.update().gradientNorm > 0)
  t.deepEqual([...model.bias.get('choice')], [0, 0])
})

test('a channel is perturbed by name: its part of the gradient is linear in the factor', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const of = async (factor: number) => {
    const rule = perturbChannels('mdgl', model.description, { 'excitatory->inhibitory': factor })
    return (await gradients(model, smallBatch(), { rule, loss: sides.loss })).projections['cells->cells'].values
  }
  const [none, one, two] = [await of(0), await of(1), await of(2)]
  t.deepEqual(
    one,
    (await gradients(model, smallBatch(), { rule: 'mdgl', loss: sides.loss })).projections['cells->cells'].values
  )
  const largest = Math.max(...one.map((value, i) => Math.abs(value - (none[i] ?? 0))))
  t.true(largest > 0)
  one.forEach((value, i) => {
    t.true(Math.abs((two[i] ?? 0) + (none[i] ?? 0) - 2 * value) < 1e-12 * largest + 1e-15)
  })
  const twice = perturbChannels(
    perturbChannels('mdgl', model.description, { 'excitatory->inhibitory': 3 }),
    model.description,
    {
      'excitatory->inhibitory': 0.5
    }
  )
  t.like((twice.channels as readonly object[])[1], { name: 'excitatory->inhibitory', factor: 1.5 })
})

test('channels of the description have factors and are perturbed by their own names', async t => {
  const channel = {
    name: 'dopamine',
    from: 'cells',
    to: 'cells',
    gain: 0.4,
    reach: 'nonlocal',
    kernel: 'none',
    factor: 0.5
  } as const
  const build = (more: object) =>
    network({ seed: 2 })
      .input('cues', 20)
      .lif('cells', 10)
      .readout('choice', 2)
      .project('cues', 'cells', { probability: 1 })
      .project('cells', 'cells', { probability: 0.3 })
      .project('cells', 'choice', { probability: 1 })
      .channel({ ...channel, ...more })
      .build()
  const [half, whole] = [Model.create(build({})), Model.create(build({ gain: 0.2, factor: 1 }))]
  t.is(half.description.channels?.[0]?.factor, 0.5)
  t.false('factor' in (whole.description.channels?.[0] ?? {}))
  const of = (model: Model, rule: Parameters<typeof gradients>[2]) => gradients(model, smallBatch(), rule as never)
  const loss = sides.loss
  t.deepEqual(
    (await of(half, { rule: 'mdgl', loss } as never)).projections,
    (await of(whole, { rule: 'mdgl', loss } as never)).projections
  )
  const reloaded = await Model.fromBytes(await half.toBytes())
  t.deepEqual(reloaded.description, half.description)
  const blocked = perturbChannels('mdgl', half.description, { dopamine: 0 })
  t.deepEqual(
    (await of(half, { rule: blocked, loss } as never)).projections,
    (await of(half, { rule: 'eprop', loss } as never)).projections
  )
  invalidAt(t, 'channels.dopamine.factor', () => Model.create(build({ factor: Number.NaN })))
})

test('what is no perturbation is refused by its path', t => {
  const description = smallNetwork()
  invalidAt(t, 'factors.typo', () => perturbChannels('mdgl', description, { typo: 1 }))
  invalidAt(t, 'factors.excitatory->inhibitory', () =>
    perturbChannels('mdgl', description, { 'excitatory->inhibitory': Number.POSITIVE_INFINITY })
  )
  invalidAt(t, 'rule', () => perturbChannels('eprop', description, {}))
  t.deepEqual(perturbChannels('mdgl', description, {}).hops, expandRule('mdgl').hops)
})

test('a channel perturbed while a run goes on is recorded, told, and comes again when the run is resumed or repeated', async t => {
  const folder = await temporaryFolder(t)
  const task = builtInTask('evidence-accumulation')
  const settings = {
    ...task,
    task,
    rule: 'mdgl',
    seed: 1,
    precision: 'f32',
    iterations: 6,
    batchSize: 4,
    validateEvery: 2,
    checkpointEvery: 2
  } as const
  const run = async (name: string, perturbed: boolean) => {
    const [path, control] = [join(folder, name), new RunControl()]
    const between = async (iteration: number) => {
      if (iteration === 3 && perturbed) control.perturbChannel('inhibitory->excitatory', 0)
    }
    await trainRun(settings, config => RunFolder.create(path, config), { control, between })
    return path
  }
  const [perturbed, plain] = [await run('perturbed', true), await run('plain', false)]
  const weights = (path: string) => readFile(join(path, 'weights.safetensors'))
  t.notDeepEqual(await weights(perturbed), await weights(plain))
  const changes = await readInterventions(perturbed)
  t.deepEqual(changes, [{ iteration: 4, channel: 'inhibitory->excitatory', factor: 0 }])
  t.regex((await mdgl('show', perturbed)).stdout, /from iteration 4 on: gain of channel inhibitory->excitatory × 0/)
  const stored = await readRunFolder(perturbed)
  if (stored === undefined) throw new Error('no run')
  const { settings: tables } = reportTables(stored, changes, [], 'finished')
  t.deepEqual(tables[0]?.rows, [['4', 'gain of channel inhibitory->excitatory × 0']])
  const living = tables.find(({ title }) => title === 'Projections')
  t.is(living?.head?.[2], 'living at the end')
  t.true(living?.rows.every(([, , count]) => Number(count) > 0))
  const again = join(folder, 'again')
  const { code, stderr } = await mdgl('repeat', perturbed, '--out', again)
  t.is(code, 0, stderr)
  t.deepEqual(await weights(again), await weights(perturbed))
})
