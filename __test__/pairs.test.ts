import { join } from 'node:path'
import test from 'ava'
import { gradients, loadNir, Model, network, saveNir, simulate } from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { invalidAt } from './helpers/expect.js'

const loss = { kind: 'cross-entropy', window: 10 } as const
const batch = {
  length: 80,
  inputs: { in: { rates: [{ trial: 0, units: [0, 6] as const, from: 0, to: 80, rate: 300 }] } },
  targets: [1]
}
/** Two synapses from neuron 0 to 1, and one of neuron 2 with itself. */
const connections = { pre: [0, 0, 1, 2], post: [1, 1, 2, 2], values: [0.03, 0.05, 0.02, -0.01] }

const crowded = (delay: number | number[] = 1) =>
  network({ seed: 2 })
    .input('in', 6)
    .lif('cells', 3, { refractoryPeriod: 0 })
    .readout('out', 2)
    .project('in', 'cells', { density: 1 })
    .project('cells', 'cells', { connections, autapses: true, multapses: true, delay })
    .project('cells', 'out', { density: 1 })
    .build()

test('two synapses of a pair act as one of their sum, each with a gradient of its own', async t => {
  const twice = Model.create(crowded(), { precision: 'f64' })
  const { pre, post, values } = twice.weights.get('cells->cells')
  t.deepEqual(
    [[...pre], [...post], [...values]],
    [
      [0, 0, 1, 2],
      [1, 1, 2, 2],
      [0.03, 0.05, 0.02, -0.01]
    ]
  )
  t.deepEqual([...twice.weights.get('cells->cells').dense()], [0, 0.08, 0, 0, 0, 0.02, 0, 0, -0.01])
  const summed = { pre: [0, 1, 2], post: [1, 2, 2], values: [0.08, 0.02, -0.01] }
  const { projections, ...rest } = crowded()
  const once = Model.create(
    {
      ...rest,
      projections: projections.map(own =>
        own.name === 'cells->cells' ? { ...own, multapses: false, connections: summed } : own
      )
    },
    { precision: 'f64' }
  )
  t.deepEqual((await simulate(twice, batch)).spikes, (await simulate(once, batch)).spikes)
  const [found, expected] = await Promise.all([twice, once].map(own => gradients(own, batch, { rule: 'bptt', loss })))
  const [both = [], single = []] = [found, expected].map(own => [...(own?.projections['cells->cells']?.values ?? [])])
  const pairs = [
    [0, 0],
    [1, 0],
    [2, 1],
    [3, 2]
  ] as const
  for (const [own, other] of pairs) t.true(Math.abs((both[own] ?? 0) - (single[other] ?? 1)) < 1e-12)
  t.true(single.some(value => value !== 0))
})

test('what is asked for stays in the description, and what is usual leaves no mark', t => {
  const [, own, out] = crowded().projections
  t.like(own, { autapses: true, multapses: true })
  t.false(out !== undefined && ('autapses' in out || 'multapses' in out))
  const draft = network().input('in', 3).lif('a', 3)
  const usual = draft.project('a', 'a', { density: 1, autapses: false, multapses: false }).build().projections[0]
  t.false(usual !== undefined && ('autapses' in usual || 'multapses' in usual))
  const drawn = draft.project('a', 'a', { density: 1, autapses: true, multapses: true }).build()
  t.is(Model.create(drawn).weights.get('a->a').values.length, 9)
})

test('autapses and several synapses of a pair are refused where they mean nothing', t => {
  const draft = network().input('in', 3).lif('a', 3).lif('b', 3)
  const list = (pre: number[], post: number[]) => ({ connections: { pre, post, values: pre.map(() => 0.1) } })
  invalidAt(t, 'projections.a->b.autapses', () => draft.project('a', 'b', { density: 1, autapses: true }).build())
  invalidAt(t, 'projections.in->a.multapses', () =>
    draft.project('in', 'a', { probability: 0.5, multapses: true }).build()
  )
  invalidAt(t, 'projections.a->a.autapses', () => draft.project('a', 'a', { density: 1, autapses: 1 as never }))
  invalidAt(t, 'projections.a->a.connections.post[0]', () => draft.project('a', 'a', list([1], [1])).build())
  invalidAt(t, 'projections.a->b.connections.pre[1]', () => draft.project('a', 'b', list([1, 1], [2, 2])).build())
})

test('NIR has a matrix for each synapse of a pair, and loops, and they are one projection again', async t => {
  const path = join(await temporaryFolder(t), 'crowded.nir')
  const model = Model.create(crowded([1, 1, 2, 3]), { precision: 'f64' })
  await saveNir(model, path)
  const again = await loadNir(path, { precision: 'f64' })
  t.deepEqual((await simulate(again, batch)).spikes, (await simulate(model, batch)).spikes)
  const own = (again.description.projections ?? []).filter(({ from }) => from === 'cells')
  t.deepEqual(
    own
      .filter(({ to }) => to === 'cells')
      .map(({ name, delay, autapses, multapses }) => [name, delay, autapses, multapses]),
    [['cells->cells', [1, 1, 2, 3], true, true]]
  )
})
