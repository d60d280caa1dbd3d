import test from 'ava'
import { type DrawnProjection, Model, network } from '../src/index.js'
import { rejectsInvalidAt } from './helpers/expect.js'

const net = (options: DrawnProjection) =>
  network({ seed: 3, sheet: { width: 10, height: 10 } })
    .input('in', 2)
    .lif('a', 80, { sign: 'excitatory' })
    .lif('b', 20)
    .type('x', { a: { from: 0, to: 40 } })
    .type('y', { a: { from: 40, to: 80 }, b: 'all' })
    .project('a', 'a', options)
    .project('in', 'a', { fixedOutDegree: 30 })

/** The engine's tests have the statistics; here is that every option arrives. */
test('every rule that draws synapses arrives at the engine, and comes back in the description', t => {
  const options: DrawnProjection[] = [
    { probability: 0.3 },
    { probability: { x: { x: 0.5, y: 0.1 } } },
    { probability: 0.9, distance: { profile: 'gaussian', width: 2 } },
    { probability: 0.9, distance: { profile: 'logistic', width: 1, midpoint: 3 } },
    { probability: 1, distance: { profile: 'logistic-squared', width: 2 } },
    { fixedInDegree: 7 },
    { fixedOutDegree: 7 },
    { fixedInDegree: 5, initialise: { scheme: 'normal', mean: 1, standardDeviation: 0.2 } },
    { fixedInDegree: 5, initialise: { scheme: 'lognormal', mean: 1, standardDeviation: 0.2, scaling: 'in-degree' } },
    { fixedInDegree: 5, initialise: { scheme: 'uniform', low: -1, high: 1 } },
    { density: 0.2, initialise: { scheme: 'constant', value: 2 } }
  ]
  for (const drawn of options) {
    const description = net(drawn).build()
    const [projection] = description.projections ?? []
    t.like(projection, drawn)
    using model = Model.create(description)
    t.deepEqual(Model.create(model.description).weights.get('a->a'), model.weights.get('a->a'))
    t.deepEqual(JSON.parse(JSON.stringify(model.description)), JSON.parse(JSON.stringify(description)))
  }
  using model = Model.create(net({ fixedInDegree: 7 }).build())
  const { post, values } = model.weights.get('a->a')
  t.is(post.length, 80 * 7)
  t.is(post.filter(unit => unit === 79).length, 7)
  // Independent: as many weights as synapses, also of two senders; of the size that keeps the variance of a receiver's input.
  t.is(new Set(model.weights.get('in->a').values).size, 60)
  t.true(values.every(value => value >= 0))
  const mean = values.reduce((sum, value) => sum + value * value, 0) / values.length
  t.true(Math.abs(mean - 1 / 7) < 0.03, `${mean}`)
})

test('weights by type have each pair of types its own distribution', t => {
  const constant = (value: number) => ({ scheme: 'constant', value }) as const
  const pairs = { x: { x: constant(1), y: constant(2) }, y: { x: constant(3), y: constant(4) } }
  using model = Model.create(net({ fixedInDegree: 10, initialise: { scheme: 'by-type', pairs } }).build())
  const { pre, post, values } = model.weights.get('a->a')
  for (const [i, value] of values.entries())
    t.is(value, 1 + 2 * Number((pre[i] ?? 0) >= 40) + Number((post[i] ?? 0) >= 40))
})

test('what draws no synapses, or two things that do, is refused by name', async t => {
  const wrong: readonly (readonly [string, object])[] = [
    ['projections.a->a', {}],
    ['projections.a->a', { density: 0.1, probability: 0.1 }],
    ['projections.a->a.probability', { probability: 1.5 }],
    ['projections.a->a.probability.x.y', { probability: { x: { y: -1 } } }],
    ['projections.a->a.probability.x', { probability: { x: { z: 0.1 } } }],
    ['projections.a->a.fixedInDegree', { fixedInDegree: 80 }],
    ['projections.a->a.fixedInDegree', { fixedInDegree: 1.5 }],
    ['projections.a->a.distance', { fixedInDegree: 3, distance: { profile: 'gaussian', width: 1 } }],
    ['projections.a->a.distance.width', { probability: 0.1, distance: { profile: 'gaussian', width: 0 } }],
    ['projections.a->a.distance.midpoint', { probability: 0.1, distance: { profile: 'logistic', width: 1 } }],
    [
      'projections.a->a.distance.midpoint',
      { probability: 0.1, distance: { profile: 'logistic-squared', width: 1, midpoint: 0 } }
    ],
    ['projections.a->a.initialise.scheme', { probability: 0.1, initialise: { scheme: 'gamma' } }],
    [
      'projections.a->a.initialise.pairs.x.x.scheme',
      { probability: 0.1, initialise: { scheme: 'by-type', pairs: { x: { x: { scheme: 'balanced' } } } } }
    ],
    ['projections.a->a.initialise.pairs.x.x', { probability: 0.1, initialise: { scheme: 'by-type', pairs: {} } }]
  ]
  for (const [path, options] of wrong)
    await rejectsInvalidAt(t, path, async () => net(options as DrawnProjection).build())
})
