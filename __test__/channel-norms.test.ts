import test from 'ava'
import { channelNorms, Model, network, type Rule, rules, simulate } from '../src/index.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { STEPS, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy' } as const
const close = (a: number, b: number) => Math.abs(a - b) <= 1e-12 * Math.abs(b)

/** Two channels to two types, whose cells are 0 to 5 and 6 to 39. */
const twoChannels = {
  ...smallNetwork(),
  channels: [channel('excitatory', 'inhibitory', 0.5), channel('inhibitory', 'excitatory', -0.25)]
}

function channel(from: 'inhibitory' | 'excitatory', to: 'inhibitory' | 'excitatory', gain: number) {
  return { name: `${from}->${to}`, from, to, gain, reach: 'synaptic', kernel: 'none' } as const
}

test('two channels: the norm of each is that of Γ in the cells that receive it', async t => {
  const model = Model.create(twoChannels, { precision: 'f64' })
  const batch = { ...smallBatch([0, 1]), length: [STEPS, STEPS / 2] }
  batch.inputs = {
    cues: {
      rates: [
        { trial: 0, units: [0, 20], from: 0, to: 30, rate: 200 },
        { trial: 1, units: [0, 20], from: 0, to: 30, rate: 200 }
      ]
    }
  }
  const { modulatorySignal = new Float64Array(), shape } = await simulate(model, batch, { rule: 'mdgl', loss })
  const normOf = (from: number, to: number) => {
    let sum = 0
    for (const [trial, length] of shape.lengths.entries()) {
      for (let step = 0; step < length; step++) {
        const row = (trial * shape.steps + step) * shape.neurons
        for (const value of modulatorySignal.subarray(row + from, row + to)) sum += value * value
      }
    }
    return Math.sqrt(sum)
  }
  const { pairs, norm } = await channelNorms(model, batch, { rule: 'mdgl', loss })
  t.deepEqual(
    pairs.map(({ to, from }) => [to, from]),
    [
      ['inhibitory', 'excitatory'],
      ['excitatory', 'inhibitory']
    ]
  )
  const [first, second] = [pairs[0]?.norm ?? 0, pairs[1]?.norm ?? 0]
  t.true(first > 0 && second > 0)
  t.true(close(first, normOf(0, 6)))
  t.true(close(second, normOf(6, 40)))
  t.true(close(norm, Math.hypot(first, second)))
  t.true(close(pairs[0]?.rootMeanSquare ?? 0, first / Math.sqrt(6 * 1.5 * STEPS)))
})

test('a channel twice as strong has twice the norm, and the others theirs', async t => {
  const model = Model.create(twoChannels, { precision: 'f64' })
  const strong: Rule = {
    ...rules.mdgl,
    channels: [channel('excitatory', 'inhibitory', 1), channel('inhibitory', 'excitatory', -0.25)]
  }
  const [one, two] = [
    await channelNorms(model, smallBatch(), { rule: 'mdgl', loss }),
    await channelNorms(model, smallBatch(), { rule: strong, loss })
  ]
  t.true(close(two.pairs[0]?.norm ?? 0, 2 * (one.pairs[0]?.norm ?? 0)))
  t.is(two.pairs[1]?.norm, one.pairs[1]?.norm)
})

test("the network's default, one channel for all pairs, and a list of the same agree", async t => {
  const model = Model.create(smallNetwork())
  const byDefault = await channelNorms(model, smallBatch(), { rule: 'mdgl', loss })
  const uniform: Rule = { ...rules.mdgl, channels: { gain: 'mean-weight', reach: 'synaptic', kernel: 'none' } }
  t.deepEqual(await channelNorms(model, smallBatch(), { rule: uniform, loss }), byDefault)
  t.deepEqual(
    byDefault.pairs.map(({ to, from }) => `${to} <- ${from}`),
    ['inhibitory', 'excitatory'].flatMap(to => ['inhibitory', 'excitatory'].map(from => `${to} <- ${from}`))
  )
})

test('two channels of a pair count together; a type without cells receives nothing', async t => {
  const description = network()
    .input('cues', 20)
    .lif('cells', 10)
    .readout('choice', 2)
    .type('all', { cells: 'all' })
    .type('none', {})
    .project('cues', 'cells', { density: 1 })
    .project('cells', 'cells', { density: 0.5 })
    .project('cells', 'choice', { density: 1 })
    .channel({ from: 'all', to: 'all', gain: 0.5 })
    .channel({ from: 'all', to: 'all', gain: 0.5, reach: 'nonlocal', name: 'everywhere' })
    .channel({ from: 'all', to: 'none' })
    .build()
  const { pairs, norm } = await channelNorms(Model.create(description), smallBatch(), { rule: 'mdgl', loss })
  t.is(pairs.length, 2)
  t.true(norm > 0)
  t.is(pairs[0]?.norm, norm)
  t.deepEqual(pairs[1], { to: 'none', from: 'all', norm: 0, rootMeanSquare: null })
})

test('rules without exactly one hop are refused', async t => {
  const model = Model.create(smallNetwork())
  for (const rule of ['eprop', 'hops-2', 'bptt'] as const) {
    await rejectsInvalidAt(t, 'rule.hops', () => channelNorms(model, smallBatch(), { rule, loss }))
  }
  for (const rule of ['mdgl-cell', 'nl-mdgl', 'on-mdgl', 'mdgl-exact', 'mdgl-online'] as const) {
    t.true((await channelNorms(model, smallBatch(), { rule, loss })).norm > 0, rule)
  }
})
