import test from 'ava'
import {
  alif,
  cubaAlif,
  cubaLif,
  evidenceAccumulation,
  lif,
  Model,
  type NetworkDescription,
  network,
  rate
} from '../src/index.js'
import { invalidAt } from './helpers/expect.js'
import { smallNetwork } from './helpers/small.js'

test('a description is plain JSON with every default filled in', t => {
  const description = network({ seed: 3 })
    .input('in', 2)
    .alif('cells', 3)
    .project('in', 'cells', { density: 1 })
    .build()
  t.deepEqual(JSON.parse(JSON.stringify(description)), {
    schema: 'mdgl-network/1',
    dt: 1,
    seed: 3,
    inputs: [{ name: 'in', size: 2, sign: 'free' }],
    populations: [
      {
        name: 'cells',
        size: 3,
        model: 'alif',
        sign: 'free',
        membraneTimeConstant: 20,
        threshold: 0.01,
        refractoryPeriod: 5,
        dampening: 0.3,
        adaptationTimeConstant: 2000,
        adaptationStrength: 1.8
      }
    ],
    readouts: [],
    projections: [
      {
        name: 'in->cells',
        from: 'in',
        to: 'cells',
        density: 1,
        initialise: { scheme: 'balanced' },
        delay: 1,
        plastic: true
      }
    ]
  })
})

test('a description is deeply frozen', t => {
  const description = smallNetwork()
  t.true(Object.isFrozen(description))
  t.true(Object.isFrozen(description.populations[0]))
  t.throws(() => Object.assign(description.populations[0] ?? {}, { size: 7 }), { instanceOf: TypeError })
})

test('builders do not change each other', t => {
  const base = network().lif('cells', 4)
  const one = base.readout('one', 1).build()
  const other = base.readout('other', 2).build()
  t.is(one.readouts?.length, 1)
  t.is(other.readouts?.[0]?.name, 'other')
})

test('durations are rounded to whole steps and can be read back', t => {
  const description = network({ dt: 0.5 })
    .lif('cells', 2, { refractoryPeriod: [4.7, 2.1] })
    .build()
  t.deepEqual(description.populations[0]?.refractoryPeriod, [4.5, 2])
})

test('types cut across populations and may be empty', t => {
  const description = network()
    .lif('a', 4)
    .lif('b', 2)
    .type('odd', { a: [1, 3], b: 'all' })
    .type('even', { a: [0, 2] })
    .type('empty', {})
    .channel({ from: 'odd', to: 'even', gain: 0.5 })
    .build()
  t.deepEqual(
    description.types?.map(type => type.members.length),
    [2, 1, 0]
  )
  t.deepEqual(description.channels?.[0], {
    name: 'odd->even',
    from: 'odd',
    to: 'even',
    gain: 0.5,
    reach: 'synaptic',
    kernel: 'none'
  })
})

test('a channel needs its types alone, in a builder as in a description', t => {
  const whole = { name: 'a->a', from: 'a', to: 'a', gain: 'mean-weight', reach: 'synaptic', kernel: 'none' }
  t.deepEqual(network().lif('a', 4).channel({ from: 'a', to: 'a' }).build().channels, [whole] as never)
  const plain = { schema: 'mdgl-network/1', populations: [{ name: 'a', size: 4, model: 'lif' }] } as const
  const described = { ...plain, channels: [{ from: 'a', to: 'a' }] } as unknown as NetworkDescription
  t.deepEqual(Model.create(described).description.channels, [whole] as never)
  const wrong = { ...plain, channels: [{ from: 'a', to: 'a', reach: 'far' }] } as unknown as NetworkDescription
  invalidAt(t, 'channels.a->a.reach', () => Model.create(wrong))
})

test('a model takes plain JSON as well as a built description', t => {
  const description = smallNetwork()
  const plain = JSON.parse(JSON.stringify(description))
  const [one, other] = [description, plain].map(given => Model.create(given))
  t.deepEqual(one?.weights.get('back').values, other?.weights.get('back').values)
  t.deepEqual(one?.description, plain)
  t.deepEqual(other?.description, plain)
})

test('the network of Fig. 3C', t => {
  const description = evidenceAccumulation().network({ seed: 1 })
  t.deepEqual(
    description.types?.map(({ name }) => name),
    ['inhibitory', 'excitatory']
  )
  t.deepEqual(
    description.types?.map(({ members }) => members[0]?.units?.length),
    [19, 81]
  )
  const model = Model.create(description)
  const { values, pre } = model.weights.get('cells->cells')
  t.true(values.length > 800 && values.length < 1000, `${values.length} synapses`)
  values.forEach((value, i) => {
    t.true((pre[i] ?? 0) < 19 ? value <= 0 : value >= 0)
  })
})

test('neuron models are values, and the methods of their names are short for them', t => {
  const models = [
    [lif({ threshold: 0.02, sign: 'excitatory' }), network().lif('cells', 4, { threshold: 0.02, sign: 'excitatory' })],
    [alif({ adaptationTimeConstant: 500 }), network().alif('cells', 4, { adaptationTimeConstant: 500 })],
    [cubaLif({ synapticTimeConstant: 3 }), network().cubaLif('cells', 4, { synapticTimeConstant: 3 })],
    [cubaAlif({ adaptationStrength: 1 }), network().cubaAlif('cells', 4, { adaptationStrength: 1 })],
    [rate({ membraneTimeConstant: 50 }), network().rate('cells', 4, { membraneTimeConstant: 50 })]
  ] as const
  for (const [neurons, builder] of models) {
    t.deepEqual(network().population('cells', 4, neurons).build(), builder.build() as never)
    t.deepEqual(JSON.parse(JSON.stringify(neurons)), neurons)
  }
  invalidAt(t, 'options.model', () => lif({ model: 'alif' } as never))
  invalidAt(t, 'neurons.size', () => network().population('cells', 4, { ...lif(), size: 3 } as never))
  invalidAt(t, 'neurons', () => network().population('cells', 4, 'lif' as never))
  invalidAt(t, 'populations.cells.model', () => network().population('cells', 4, { model: 'hodgkin' } as never))
  invalidAt(t, /^populations.cells/, () => network().population('cells', 4, { ...lif(), adaptationStrength: 1 }))
})

test('lists of populations are projected pair by pair', t => {
  const layers = ['L4', 'L5'] as const
  const base = network({ seed: 1 })
    .input('cues', 4)
    .population('L4', 5, lif())
    .population('L5', 6, alif())
    .readout('out', 2)
  const listed = base
    .project('cues', layers, { density: 0.5 })
    .project(layers, layers, { density: 0.2, delay: 3 })
    .project(layers, 'out', { density: 1 })
    .build()
  let single = base.project('cues', 'L4', { density: 0.5 }).project('cues', 'L5', { density: 0.5 })
  for (const from of layers)
    for (const to of layers) single = single.project(from, to, { density: 0.2, delay: 3 }) as never
  const last = single.project('L4', 'out', { density: 1 }).project('L5', 'out', { density: 1 }).build()
  t.deepEqual(listed, last as never)
  const model = Model.create(listed)
  t.deepEqual(model.weights.get('L5->L4').shape, [6, 5])
  invalidAt(t, 'options.name', () => base.project(layers, 'out', { density: 1, name: 'all' }))
  invalidAt(t, 'from', () => base.project([] as never, 'out' as never, { density: 1 }))
  invalidAt(t, /projections/, () => base.project(['L4', 'L6'] as never, 'out' as never, { density: 1 }))
})
