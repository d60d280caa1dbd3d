import { join } from 'node:path'
import test from 'ava'
import { gradients, Model, network, nirFromBytes, nirToBytes, type Optimiser, train } from '../src/index.js'
import { invalidAt } from './helpers/expect.js'
import { scratch } from './helpers/scratch.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const optimisers: Record<string, Optimiser> = {
  'adam with rewiring': { kind: 'adam', learningRate: 0.02, l1: 0.05, rewiring: true },
  'adam with noise': { kind: 'adam', l1: 0, temperature: 1e-3, rewiring: true },
  'gradient descent with weight decay': {
    kind: 'gradient-descent',
    learningRate: 0.1,
    weightDecay: 0.1,
    rewiring: true
  }
}

/** The weights of a projection as [pre, post, weight]. */
function synapses(model: Model, name: string): [number, number, number][] {
  const { pre, post, values } = model.weights.get(name)
  return Array.from(values, (value, i) => [pre[i] ?? 0, post[i] ?? 0, value])
}

for (const [name, optimiser] of Object.entries(optimisers)) {
  test(`a lesioned type, projection and synapses stay silent through training: ${name}`, async t => {
    const description = smallNetwork()
    const model = Model.create(description)
    await collect(train(model, sides, { rule: 'mdgl', optimiser }))
    model.lesion({ from: 'inhibitory' })
    model.lesion({ projection: 'back' })
    const [, pairs] = [model.weights.get('cues->cells'), synapses(model as Model, 'cues->cells').slice(0, 40)]
    model.lesion({
      projection: 'cues->cells',
      pre: pairs.map(([pre]) => pre),
      post: Uint8Array.from(pairs, ([, post]) => post)
    })
    t.is(model.description.lesions?.length, 3)
    await collect(train(model, sides, { rule: 'mdgl', optimiser, iterations: 6, firstIteration: 4 }))
    const any = model as Model
    const inhibitory = ['cells->cells', 'cells->slow', 'cells->choice'].flatMap(each => synapses(any, each))
    t.true(inhibitory.every(([pre, , value]) => pre >= 6 || value === 0))
    t.true(inhibitory.some(([pre, , value]) => pre >= 6 && value !== 0))
    t.true(synapses(any, 'back').every(([, , value]) => value === 0))
    const taken = new Set(pairs.map(([pre, post]) => `${pre} ${post}`))
    t.is(taken.size, 40)
    t.true(synapses(any, 'cues->cells').every(([pre, post, value]) => !taken.has(`${pre} ${post}`) || value === 0))
  })
}

test('lesions are saved, loaded and cloned with the model', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  model.lesion({ from: 'excitatory', to: 'inhibitory' })
  model.lesion({ projection: 'cells->choice', pre: [7], post: [1] })
  const path = join(scratch('lesions'), 'weights.safetensors')
  await model.save(path, { optimiser: true })
  const optimiser = optimisers['adam with rewiring'] as Optimiser
  const copies = [model as Model, model.clone() as Model, await Model.load(path)]
  for (const copy of copies) {
    t.deepEqual(copy.description.lesions, [
      { from: 'excitatory', to: 'inhibitory' },
      { projection: 'cells->choice', pre: Uint32Array.of(7), post: Uint32Array.of(1) }
    ])
    await collect(train(copy, sides, { rule: 'bptt', optimiser }))
  }
  const [one, ...others] = copies.map(copy => copy.weights.get('cells->choice'))
  for (const other of others) t.deepEqual(other, one)
  t.is(one?.dense()[7 * 2 + 1], 0)
})

test('a description and a builder have lesions from the start, and silence is all they change', async t => {
  const build = (lesioned: boolean) => {
    const whole = network({ seed: 3 })
      .input('in', 5)
      .lif('a', 10)
      .lif('b', 10)
      .readout('choice', 2)
      .project('in', 'a', { probability: 0.5 })
      .project('a', 'b', { probability: 0.5 })
      .project(['a', 'b'], 'choice', { probability: 1 })
    return (lesioned ? whole.lesion({ to: 'b' }) : whole).build()
  }
  const [whole, lesioned] = [Model.create(build(false)), Model.create(build(true))]
  t.deepEqual(build(true).lesions, [{ to: 'b' }])
  t.false('lesions' in build(false))
  t.deepEqual(lesioned.weights.get('in->a'), whole.weights.get('in->a'))
  t.deepEqual(lesioned.weights.get('a->b').pre, whole.weights.get('a->b').pre)
  t.true(lesioned.weights.get('a->b').values.every(value => value === 0))
  const again = Model.create(JSON.parse(JSON.stringify(lesioned.description)))
  t.deepEqual(again.description, lesioned.description)
  whole.lesion({ to: 'b' })
  t.deepEqual(whole.description, lesioned.description)
})

test('lesioned synapses have no gradient, and their weights are set to nothing but 0', async t => {
  const model = Model.create(smallNetwork())
  model.lesion({ to: 'excitatory' })
  const { projections } = await gradients(model, smallBatch(), { rule: 'bptt', loss: sides.loss })
  t.true(projections['cells->slow'].values.every(value => value === 0))
  t.true(projections['cells->choice'].values.some(value => value !== 0))
  const { values } = model.weights.get('cells->slow')
  model.weights.set('cells->slow', values)
  invalidAt(t, 'weights.cells->slow[0]', () => model.weights.set('cells->slow', values.with(0, -1e-9).map(Math.abs)))
})

test('what is no lesion of the network is refused by its path, and changes nothing', t => {
  const model = Model.create(smallNetwork()) as Model
  const before = model.description
  invalidAt(t, 'lesion', () => model.lesion({}))
  invalidAt(t, 'lesion.projection', () => model.lesion({ projection: 'cells->cels' }))
  invalidAt(t, 'lesion.from', () => model.lesion({ from: 'cells' }))
  invalidAt(t, 'lesion.from', () => model.lesion({ projection: 'cues->cells', from: 'inhibitory' }))
  invalidAt(t, 'lesion.post', () => model.lesion({ projection: 'back', pre: [1] }))
  invalidAt(t, 'lesion.pre[1]', () => model.lesion({ projection: 'back', pre: [1, 10], post: [1, 2] }))
  invalidAt(t, 'lesion.pre[0]', () => model.lesion({ projection: 'back', pre: [0.5], post: [1] }))
  invalidAt(t, 'lesion.type', () => model.lesion({ type: 'inhibitory' } as never))
  const description = { ...smallNetwork(), lesions: [{ from: 'inhibitory' }, { to: 'typo' }] }
  invalidAt(t, 'lesions[1].to', () => Model.create(description as never))
  t.is(model.description, before)
  const session = model.session()
  t.throws(() => model.lesion({ projection: 'back' }), { code: 'busy' })
  session.dispose()
})

test('NIR files hold lesions, and other programs find weights of 0', async t => {
  const description = network({ seed: 1 })
    .input('in', 6)
    .lif('cells', 12, { refractoryPeriod: 0 })
    .readout('out', 2)
    .project('in', 'cells', { density: 0.5 })
    .project('cells', 'cells', { density: 0.3 })
    .project('cells', 'out', { density: 1 })
    .build()
  const model = Model.create(description)
  const { pre, post } = model.weights.get('in->cells')
  model.lesion({ projection: 'in->cells', pre: pre.slice(0, 3), post: post.slice(0, 3) })
  model.lesion({ from: 'cells', to: 'cells' })
  const again = await nirFromBytes(await nirToBytes(model))
  t.deepEqual(again.description.lesions, model.description.lesions)
  for (const name of model.weights.names()) {
    t.deepEqual(again.weights.get(name).dense(), model.weights.get(name).dense())
  }
  t.true(again.weights.get('in->cells').values.some(value => value !== 0))
})

test('what is no lesion is refused by the builder, too', t => {
  const builder = network().lif('cells', 2)
  for (const wrong of [undefined, null, 1, 'cells']) {
    invalidAt(t, /^lesions/, () => builder.lesion(wrong as never))
    invalidAt(t, /./, () => builder.channel(wrong as never))
  }
})
