import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { gradients, Model, network, nirFromBytes, nirToBytes, type Optimiser, simulate, train } from '../src/index.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'
import { invalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const allPairs: Optimiser = { kind: 'adam', learningRate: 0.02, l1: 0.05, rewiring: 'all-pairs' }

const pairs = (model: Model, name: string) => {
  const { pre, post } = model.weights.get(name)
  return Array.from(pre, (q, i) => `${q} ${post[i]}`)
}

test('across all pairs synapses move, as many as there were, and never onto their own neuron', async t => {
  const model = Model.create(smallNetwork()) as Model
  const [before, cues] = [pairs(model, 'cells->cells'), model.weights.get('cues->cells')]
  for await (const { iteration } of train(model, sides, { rule: 'mdgl', optimiser: allPairs, iterations: 8 })) {
    const { pre, post, values } = model.weights.get('cells->cells')
    t.deepEqual([post.length, values.length], [pre.length, pre.length], `iteration ${iteration}`)
    t.true(pre.every((q, i) => q !== post[i]))
    t.true(values.every((value, i) => value > 0 === (pre[i] ?? 0) >= 6 && value !== 0))
  }
  const after = pairs(model, 'cells->cells')
  t.is(new Set(after).size, after.length)
  t.true(after.some(pair => !before.includes(pair)))
  // Synapses without a fixed sign are not rewired.
  t.deepEqual(model.weights.get('cues->cells').pre, cues.pre)
  // The densities' numbers: 0.2 · 30 · 30 + 0.2 · 30 · 10 + 0.2 · 10 · 30 + 30 · 2.
  const names = ['cells->cells', 'cells->slow', 'back', 'cells->choice']
  t.is(
    names.reduce((sum, name) => sum + model.weights.get(name).values.length, 0),
    180 + 60 + 60 + 60
  )
})

test('a model whose synapses moved is saved, loaded, cloned, goes on and computes with the same bits on any number of threads', async t => {
  const run = (model: Model, threads: number, firstIteration: number, iterations: number) =>
    collect(train(model, sides, { rule: 'mdgl-membrane', optimiser: allPairs, threads, firstIteration, iterations }))
  const [one, two] = [Model.create(smallNetwork()) as Model, Model.create(smallNetwork()) as Model]
  await run(one, 1, 1, 4)
  const resumed = await Model.fromBytes(await one.toBytes({ optimiser: true }))
  const copy = one.clone()
  t.deepEqual(
    await gradients(resumed, smallBatch(), { rule: 'bptt', loss: sides.loss }),
    await gradients(one, smallBatch(), { rule: 'bptt', loss: sides.loss })
  )
  t.deepEqual((await simulate(resumed, smallBatch())).spikes, (await simulate(one, smallBatch())).spikes)
  for (const model of [one, resumed, copy]) await run(model, 1, 5, 8)
  await run(two, 2, 1, 8)
  const bytes = await Promise.all([one, resumed, copy, two].map(model => model.toBytes({ optimiser: true })))
  for (const other of bytes.slice(1)) t.deepEqual(other, bytes[0])
})

test('NIR files have the synapses where they are', async t => {
  const description = network({ seed: 1 })
    .input('cues', 20, { sign: 'excitatory' })
    .lif('cells', 20, { sign: { excitatory: 15, inhibitory: 5 }, refractoryPeriod: 0 })
    .readout('choice', 2)
    .project('cues', 'cells', { probability: 0.3 })
    .project('cells', 'cells', { probability: 0.2 })
    .project('cells', 'choice', { probability: 1 })
    .build()
  const model = Model.create(description)
  await collect(train(model, sides, { rule: 'mdgl', optimiser: allPairs }))
  const again = await nirFromBytes(await nirToBytes(model))
  for (const name of model.weights.names()) t.deepEqual(again.weights.get(name), model.weights.get(name) as never)
  t.notDeepEqual(model.weights.get('cells->cells').pre, Model.create(description).weights.get('cells->cells').pre)
})

test('a session refuses to move synapses, and other words are refused', t => {
  const model = Model.create(smallNetwork())
  invalidAt(t, 'optimiser.rewiring', () => model.session({ rule: 'mdgl-online', optimiser: allPairs }))
  const optimiser = { kind: 'adam', rewiring: 'everywhere' } as never
  invalidAt(t, 'optimiser.rewiring', () => train(model, sides, { rule: 'mdgl', optimiser }))
})

test('mdgl train --set optimiser.rewiring=all-pairs, stopped and resumed, ends with the same weights', async t => {
  const folder = await temporaryFolder(t)
  const args = [
    'evidence-accumulation',
    '--set',
    'optimiser.rewiring=all-pairs',
    '--batch-size',
    '4',
    '--iterations',
    '6'
  ]
  const often = ['--validate-every', '3', '--checkpoint-every', '3']
  const [whole, resumed] = [join(folder, 'whole'), join(folder, 'resumed')]
  t.is((await mdgl('train', ...args, ...often, '--out', whole)).code, 0)
  const { training } = JSON.parse(await readFile(join(whole, 'config.json'), 'utf8'))
  t.is(training.optimiser.rewiring, 'all-pairs')
  t.is((await mdgl('train', ...args, ...often, '--out', resumed)).code, 0)
  const { rm } = await import('node:fs/promises')
  for (const file of ['weights.safetensors', 'finished.json']) await rm(join(resumed, file))
  const { code, stderr } = await mdgl('resume', resumed)
  t.is(code, 0, stderr)
  t.deepEqual(await readFile(join(resumed, 'weights.safetensors')), await readFile(join(whole, 'weights.safetensors')))
  const model = await Model.load(join(whole, 'weights.safetensors'))
  t.true(model.weights.get('cells->cells').values.every(value => value !== 0))
  t.is(
    (await mdgl('train', 'evidence-accumulation', '--set', 'optimiser.rewiring=some', '--out', join(folder, 'none')))
      .code,
    2
  )
})
