import { join } from 'node:path'
import test from 'ava'
import { expandRule, gradients, type Kernel, Model, network, type Rule, rules, train } from '../src/index.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy' } as const
/** Values that come from JavaScript, where the compiler is not looking. */
const loose = (value: unknown) => value as never

const through = (kernel: Kernel): Rule => ({
  ...rules.mdgl,
  channels: { gain: 'mean-weight', reach: 'synaptic', kernel }
})

async function recurrent(model: Model, rule: Rule): Promise<number[]> {
  const { projections } = await gradients(model, smallBatch(), { rule, loss })
  return Object.values(projections).flatMap(({ values }) => [...values])
}

function distance(a: readonly number[], b: readonly number[]): number {
  const largest = Math.max(...b.map(Math.abs))
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? 0)))) / largest
}

test('a kernel is written out, and what is usual goes by its name', t => {
  const kernelOf = (kernel: Kernel) => {
    const { channels } = expandRule(through(kernel))
    return typeof channels === 'object' && 'kernel' in channels ? channels.kernel : undefined
  }
  t.is(kernelOf({ membrane: {} }), 'membrane')
  t.deepEqual(kernelOf({ membrane: { mean: 'batch' } }), { membrane: { mean: 'batch', initial: 0.1 } })
  t.deepEqual(kernelOf({ tauRise: 0, tauDecay: 20 }), { tauRise: 0, tauDecay: 20 })
  t.is(expandRule('mdgl-membrane'), rules.mdglMembrane)
  t.deepEqual(expandRule(through('membrane')), rules.mdglMembrane)
})

test('a channel of a network keeps its kernel', t => {
  const kernel = { membrane: { mean: 'running', initial: 0.5 } } as const
  const description = network()
    .lif('cells', 4)
    .channel({ from: 'cells', to: 'cells', kernel })
    .channel({ from: 'cells', to: 'cells', name: 'slow', kernel: { tauRise: 2, tauDecay: 8 } })
    .build()
  const kernels = Model.create(description).description.channels?.map(channel => channel.kernel)
  t.deepEqual(kernels, [kernel, { tauRise: 2, tauDecay: 8 }])
})

test('backward and online forms agree', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  for (const rule of [rules.mdglMembrane, through({ tauRise: 3, tauDecay: 12 })]) {
    const backward = await recurrent(model, rule)
    t.true(distance(await recurrent(model, { ...rule, estimator: 'online' }), backward) < 1e-11)
    t.true(distance(backward, await recurrent(model, rules.mdgl)) > 1e-3)
  }
})

test('the mean of ψ follows training, not gradients, and a file keeps it', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const before = await recurrent(model, rules.mdglMembrane)
  t.deepEqual(await recurrent(model, rules.mdglMembrane), before)
  const still = { kind: 'gradient-descent', learningRate: 1e-30, l1: 0, rewiring: false } as const
  await collect(train(model, sides, { rule: 'mdgl', optimiser: still }))
  t.deepEqual(await recurrent(model, rules.mdglMembrane), before)
  await collect(train(model, sides, { rule: 'mdgl-membrane', optimiser: still }))
  const after = await recurrent(model, rules.mdglMembrane)
  t.true(distance(after, before) > 1e-6)
  t.deepEqual(await recurrent(model.clone(), rules.mdglMembrane), after)
  const path = join(await temporaryFolder(t), 'weights.safetensors')
  await model.save(path)
  t.deepEqual(await recurrent(await Model.load(path), rules.mdglMembrane), after)
})

test('a session runs by a kernel with memory', t => {
  using session = Model.create(smallNetwork()).session({ rule: 'mdgl-membrane-online' })
  session.step({ cues: Uint32Array.of(1, 2, 3) })
  session.addLoss({ choice: { target: 1 } })
  t.is(session.update().steps, 1)
})

test('kernels that have no equation are refused by name', async t => {
  const bad: [string, () => unknown][] = [
    ['rule.channels.kernel', () => expandRule(through(loose('membrain')))],
    ['rule.channels.kernel', () => expandRule(through(loose(null)))],
    ['rule.channels.kernel.tauRise', () => expandRule(through({ tauRise: 3, tauDecay: 2 }))],
    ['rule.channels.kernel.tauRise', () => expandRule(through({ tauRise: -1, tauDecay: 2 }))],
    ['rule.channels.kernel.tauDecay', () => expandRule(through({ tauRise: 0, tauDecay: 0 }))],
    ['rule.channels.kernel.tauFall', () => expandRule(through(loose({ tauRise: 0, tauFall: 3 })))],
    ['rule.channels.kernel.membrane.initial', () => expandRule(through({ membrane: { initial: 2 } }))],
    ['rule.channels.kernel.membrane.mean', () => expandRule(through({ membrane: { mean: loose('mean') } }))],
    ['rule.channels.kernel', () => expandRule({ ...through({ tauRise: 1, tauDecay: 4 }), hops: 2 })],
    ['rule.channels.kernel', () => expandRule({ ...through('membrane'), readoutFilter: 'separate' })],
    ['rule.channels.kernel', () => expandRule({ ...rules.mdglExact, estimator: 'online' })],
    [
      'rule.channels.kernel.membrane.mean',
      () => expandRule({ ...through({ membrane: { mean: 'batch' } }), estimator: 'online' })
    ]
  ]
  for (const [path, build] of bad) invalidAt(t, path, build)
  const description = network()
    .lif('cells', 4)
    .readout('out', 2)
    .channel({ from: 'cells', to: 'cells', kernel: { tauRise: 1, tauDecay: 4 } })
    .build()
  const batch = { length: 5, inputs: {}, targets: [0] }
  await rejectsInvalidAt(t, 'rule.channels.kernel', () =>
    gradients(Model.create(description), batch, { rule: 'on-mdgl', loss })
  )
})

test('several hops and strong synapses: backward is online, and each differs from the kernel alone', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const one = await recurrent(model, rules.mdglMembrane)
  for (const rule of [rules.mdglMembrane2, rules.mdglMembrane3, rules.mdglAbove]) {
    const backward = await recurrent(model, rule)
    t.true(distance(await recurrent(model, { ...rule, estimator: 'online' }), backward) < 1e-10)
    t.true(distance(backward, one) > 1e-6)
  }
  t.is(expandRule('mdgl-membrane-2').hops, 2)
  t.deepEqual(expandRule({ ...rules.mdglMembrane, hops: 3 }), rules.mdglMembrane3)
  using session = model.session({ rule: { ...rules.mdglMembrane2, estimator: 'online' } })
  session.step({ cues: Uint32Array.of(1, 2, 3) })
  session.addLoss({ choice: { target: 1 } })
  t.is(session.update().steps, 1)
})

test('a share of the mean weight is part of a channel, and of a receptor', t => {
  const channel = { gain: 'mean-weight', reach: 'synaptic', kernel: 'membrane', above: 0.3 } as const
  t.deepEqual(expandRule({ ...rules.mdgl, channels: channel }), rules.mdglAbove)
  t.deepEqual(expandRule({ ...rules.mdgl, channels: { ...channel, above: 0 } }), rules.mdglMembrane)
  const built = network()
    .lif('cells', 4)
    .modulation({ ligands: { cells: 'A' }, receptors: { cells: { A: { above: 0.5 } } } })
    .build()
  t.is(built.channels?.[0]?.above, 0.5)
  invalidAt(t, 'rule.channels.above', () => expandRule({ ...rules.mdgl, channels: { ...channel, above: -1 } }))
  invalidAt(t, 'rule.channels.above', () => expandRule({ ...rules.mdgl, channels: { ...channel, reach: 'nonlocal' } }))
})

test('mdgl compare knows the kernel', async t => {
  const out = join(await temporaryFolder(t), 'compare')
  const { code, stdout } = await mdgl(
    'compare',
    'evidence-accumulation',
    '--rules',
    'mdgl-membrane,mdgl-membrane-online,mdgl-above,mdgl-membrane-2,mdgl-membrane-3',
    ...['--iterations', '1', '--validate-every', '1', '--batch-size', '4', '--out', out]
  )
  t.is(code, 0)
  t.regex(stdout, /mdgl-membrane-online +1 /)
  t.regex(stdout, /mdgl-membrane-3 +1 /)
})
