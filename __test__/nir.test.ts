import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { devNull } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import {
  loadNir,
  MdglError,
  Model,
  type NetworkDescription,
  network,
  type Precision,
  saveNir,
  simulate
} from '../src/index.js'
import { Hdf5Thread } from '../src/interchange/hdf5-thread.js'
import { temporaryFolder } from './helpers/cli.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { python, pythonTest } from './helpers/python.js'

/** All that the two can both express; names whose order in the file is another. */
const expressible = () =>
  network({ seed: 3, dt: 0.5, pseudoDerivative: { shape: 'fast-sigmoid', steepness: 5 } })
    .input('zeta', 6, { sign: 'excitatory' })
    .input('alpha', 2)
    .lif('outer', 8, { refractoryPeriod: 0, threshold: 0.02, sign: { excitatory: 6, inhibitory: 2 }, dampening: 0.2 })
    .lif('inner', 5, { refractoryPeriod: 0, membraneTimeConstant: [5, 7.3, 11.1, 20, 0.7], threshold: 0.05 })
    .cubaLif('charged', 6, {
      refractoryPeriod: 0,
      membraneTimeConstant: 11,
      synapticTimeConstant: [3, 5.3, 7, 10, 0.7, 29.9],
      threshold: 0.1
    })
    .readout('voice', 2, { timeConstant: 13 })
    .readout('bare', 1, { bias: false })
    .type('a', { outer: { from: 0, to: 4 } })
    .type('b', { outer: { from: 4, to: 8 }, inner: 'all', charged: 'all' })
    .project('zeta', 'outer', { density: 0.8 })
    .project('alpha', 'inner', { density: 1, plastic: false })
    .project('outer', 'inner', { density: 0.5, delay: 4 })
    .project('outer', 'outer', { density: 0.5 })
    .project('inner', 'outer', { density: 0.5, name: 'outer' })
    .project('inner', 'inner', { connections: { pre: [0, 1, 1], post: [1, 0, 2], values: [0.5, 0, -0.25] }, delay: 1 })
    .project('inner', 'outer', { density: 0.3, delay: 2, name: 'second' })
    .project('alpha', 'charged', { density: 1, delay: 1.5 })
    .project('outer', 'charged', { density: 0.5, delay: 3 })
    .project('charged', 'inner', { density: 0.5 })
    .project('outer', 'voice', { density: 1 })
    .project('inner', 'bare', { density: 1 })
    .channel({ from: 'a', to: 'b', kernel: { tauRise: 1, tauDecay: 4 } })
    .build()

const batch = {
  length: 100,
  trials: 3,
  inputs: {
    zeta: { rates: [0, 1, 2].map(trial => ({ trial, units: [0, 6] as const, from: 0, to: 100, rate: 200 })) },
    alpha: { rates: [0, 1, 2].map(trial => ({ trial, units: [0, 2] as const, from: 20, to: 80, rate: 300 })) }
  }
}

/** A description as the file can have it: synapses and their weights in place of how they were drawn. */
function listed(model: Model): NetworkDescription {
  const projections = (model.description.projections ?? []).map(({ density: _, initialise: __, ...rest }) => {
    const { pre, post, values } = model.weights.get(rest.name ?? '')
    return { ...rest, connections: { pre: [...pre], post: [...post], values: [...values] } }
  })
  return { ...model.description, projections }
}

function biased<P extends Precision>(precision: P): Model<NetworkDescription, P> {
  const model: Model<NetworkDescription, P> = Model.create(expressible() as NetworkDescription, { precision })
  model.bias.set('voice', [0.25, -1.5])
  return model
}

async function same(t: ExecutionContext, first: Model, second: Model): Promise<void> {
  t.deepEqual(listed(second), listed(first))
  t.deepEqual([...second.bias.get('voice')], [...first.bias.get('voice')])
  const options = { voltage: true, seed: 5 }
  const [expected, got] = await Promise.all([simulate(first, batch, options), simulate(second, batch, options)])
  t.true(expected.spikes.length > 300, `${expected.spikes.length / 3} spikes`)
  t.deepEqual(got.spikes, expected.spikes)
  t.deepEqual(got.voltage, expected.voltage)
  t.deepEqual(got.readout, expected.readout)
}

for (const precision of ['f32', 'f64'] as const) {
  test(`a network written and read again is the same to the last bit, ${precision}`, async t => {
    const path = join(await temporaryFolder(t), 'network.nir')
    const model = biased(precision)
    await saveNir(model, path)
    await same(t, model, await loadNir(path, { precision }))
  })
}

test('a projection whose delays differ is one again when it is read', async t => {
  const delay = { scheme: 'uniform', low: 1, high: 3 } as const
  const description = network({ seed: 3 })
    .input('in', 6)
    .lif('cells', 20, { refractoryPeriod: 0 })
    .readout('out', 1)
    .project('in', 'cells', { density: 1, delay })
    .project('cells', 'cells', { probability: 0.5, delay, plastic: false })
    .project('cells', 'out', { density: 1 })
    .build()
  const model = Model.create(description, { precision: 'f64' })
  const path = join(await temporaryFolder(t), 'network.nir')
  await saveNir(model, path)
  const again = await loadNir(path, { precision: 'f64' })
  t.deepEqual(
    again.description.projections.map(({ name, plastic }) => [name, plastic]),
    description.projections.map(({ name, plastic }) => [name, plastic])
  )
  for (const name of model.weights.names()) {
    t.deepEqual(again.weights.delays(name), model.weights.delays(name))
    t.deepEqual(again.weights.get(name).values, model.weights.get(name).values)
  }
  const inputs = {
    in: { rates: [{ trial: 0, units: [0, 6] as const, from: 0, to: 200, rate: 100 }] }
  }
  const run = (own: Model) => simulate(own, { length: 200, trials: 1, inputs }, { seed: 2 })
  const [expected, found] = await Promise.all([run(model), run(again)])
  t.true(expected.spikes.length > 300)
  t.deepEqual(found.spikes, expected.spikes)
})

test('several synapses of a pair, autapses and silent synapses with delays of their own come back', async t => {
  const connections = { pre: [0, 0, 0, 1, 2], post: [1, 1, 1, 1, 0], values: [0.1, 0.2, 0, 0.3, 0] }
  const description = network()
    .lif('cells', 3, { refractoryPeriod: 0 })
    .project('cells', 'cells', { connections, delay: [1, 1, 4, 2, 3], multapses: true, autapses: true })
    .build()
  const model = Model.create(description, { precision: 'f64' })
  const path = join(await temporaryFolder(t), 'network.nir')
  await saveNir(model, path)
  const again = await loadNir(path, { precision: 'f64' })
  const triples = (own: Model) => {
    const { pre, post, values } = own.weights.get('cells->cells')
    const delays = own.weights.delays('cells->cells')
    return Array.from(values, (value, i) => [pre[i], post[i], value, delays[i]].join()).sort()
  }
  t.deepEqual(triples(again), triples(model))
  t.deepEqual(triples(model), ['0,1,0,4', '0,1,0.1,1', '0,1,0.2,1', '1,1,0.3,2', '2,0,0,3'])
  t.deepEqual(again.weights.names(), ['cells->cells'])
})

test('cells without a readout are written with an output', async t => {
  const path = join(await temporaryFolder(t), 'network.nir')
  const description = network()
    .input('in', 2)
    .lif('cells', 3, { refractoryPeriod: 0 })
    .project('in', 'cells', { density: 1 })
    .build()
  const model = Model.create(description)
  await saveNir(model, path)
  t.deepEqual(listed(await loadNir(path)), listed(model))
})

test('what NIR cannot express is refused by name', async t => {
  const path = join(await temporaryFolder(t), 'network.nir')
  const save = (description: NetworkDescription) => saveNir(Model.create(description), path)
  const cells = network().input('in', 1).lif('cells', 2)
  await rejectsInvalidAt(t, 'populations.cells.refractoryPeriod', () => save(cells.build()))
  await rejectsInvalidAt(t, 'populations.slow.model', () => save(network().alif('slow', 1).build()))
  await rejectsInvalidAt(t, 'populations.slow.model', () => save(network().cubaAlif('slow', 1).build()))
  await rejectsInvalidAt(t, 'populations.fast.synapticTimeConstant', () =>
    save(
      network()
        .cubaLif('fast', 2, { refractoryPeriod: 0, synapticTimeConstant: [5, 0] })
        .build()
    )
  )
  await rejectsInvalidAt(t, 'populations.graded.model', () => save(network().rate('graded', 1).build()))
  await rejectsInvalidAt(t, 'conventions', () => save(network({ conventions: 'bellec2020' }).lif('cells', 1).build()))
  await rejectsInvalidAt(t, 'name', () => save(network().lif('a/b', 1, { refractoryPeriod: 0 }).build()))
  await t.throwsAsync(readFile(path), { code: 'ENOENT' })
  const disposed = biased('f32')
  disposed.dispose()
  await t.throwsAsync(saveNir(disposed, path), { instanceOf: MdglError, code: 'disposed' })
})

test('options that are none, and files that are none', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'network.nir')
  await saveNir(biased('f32'), path)
  await rejectsInvalidAt(t, 'options.dt', () => loadNir(path, { dt: 0 }))
  await rejectsInvalidAt(t, 'options.timeUnit', () => loadNir(path, { timeUnit: 'us' as never }))
  await rejectsInvalidAt(t, 'options.precision', () => loadNir(path, { precision: 'f16' as never }))
  await rejectsInvalidAt(t, 'options.step', () => loadNir(path, { step: 1 } as never))
  await t.throwsAsync(loadNir(join(folder, 'missing.nir')), { code: 'ENOENT' })
  const whole = await readFile(path)
  for (const length of [0, 8, 700, whole.length - 1]) {
    await writeFile(join(folder, `${length}.nir`), whole.subarray(0, length))
    const message = /is no HDF5 file, or a truncated one/
    await t.throwsAsync(loadNir(join(folder, `${length}.nir`)), { instanceOf: MdglError, code: 'file', message })
  }
})

/** Nodes for a Python program: one part of a network that loads, to be changed. */
const PARTS = `
import numpy as np, nir
one, zero = np.ones, np.zeros
def lif(n=2, **more): return nir.LIF(**{**dict(tau=np.full(n, .02), r=one(n), v_leak=zero(n), v_threshold=one(n)), **more})
def li(n=2, **more): return nir.LI(**{**dict(tau=np.full(n, .02), r=one(n), v_leak=zero(n)), **more})
def linear(rows=2, columns=2, value=1.): return nir.Linear(np.full((rows, columns), value))
def write(name, nodes, edges, check=True):
    ends = {'in': nir.Input(np.array([2])), 'out': nir.Output(np.array([2]))}
    nir.write(argv[0] + '/' + name, nir.NIRGraph({**ends, **nodes}, edges, type_check=check))
`

pythonTest("Python's nir reads what is written here, and what it writes of it is the same network", async t => {
  const folder = await temporaryFolder(t)
  const [path, again] = [join(folder, 'ours.nir'), join(folder, 'theirs.nir')]
  const model = biased('f64')
  await saveNir(model, path)
  const { nodes, edges, version } = (await python(
    `
import nir, numpy as np
g = nir.read(argv[0])
nir.write(argv[1], g)
show = lambda v: v.tolist() if isinstance(v, np.ndarray) else v
nodes = {k: {p: show(v) for p, v in n.to_dict().items() if p != 'metadata'} for k, n in g.nodes.items()}
print(json.dumps(dict(nodes=nodes, edges=g.edges, version=nir.serialization.read_version(argv[0]))))`,
    path,
    again
  )) as { nodes: Record<string, Record<string, unknown>>; edges: string[][]; version: string }
  t.is(version, '1.0.8')
  const five = (value: number) => [value, value, value, value, value]
  t.deepEqual(nodes.inner, {
    type: 'LIF',
    tau: [0.005, 0.0073, 0.0111, 0.02, 0.0007],
    r: five(1),
    v_leak: five(0),
    v_reset: five(0),
    v_threshold: five(0.05)
  })
  const six = (value: number) => [...five(value), value]
  const { w_in: gains, ...charged } = nodes.charged ?? {}
  t.deepEqual(charged, {
    type: 'CubaLIF',
    tau_mem: six(0.011),
    tau_syn: [0.003, 0.0053, 0.007, 0.01, 0.0007, 0.0299],
    r: six(1),
    v_leak: six(0),
    v_reset: six(0),
    v_threshold: six(0.1)
  })
  for (const [i, tau] of [3, 5.3, 7, 10, 0.7, 29.9].entries()) {
    const gain = (gains as number[])[i] ?? Number.NaN
    t.true(Math.abs(gain * (1 - Math.exp(-0.5 / tau)) - 1) < 1e-13, `${tau}`)
  }
  t.deepEqual(nodes.zeta, { type: 'Input', shape: [6] })
  t.deepEqual(nodes.voice, { type: 'LI', tau: [0.013, 0.013], r: [1, 1], v_leak: [0, 0] })
  t.deepEqual(nodes['voice.bias'], {
    type: 'Affine',
    weight: [
      [1, 0],
      [0, 1]
    ],
    bias: [0.25, -1.5]
  })
  t.deepEqual(nodes['outer->inner.delay'], { type: 'Delay', delay: Array(8).fill(0.004) })
  const { shape } = model.weights.get('outer->inner')
  const dense = model.weights.get('outer->inner').dense()
  const transposed = Array.from({ length: shape[1] }, (_, post) =>
    Array.from({ length: shape[0] }, (_, pre) => dense[pre * shape[1] + post])
  )
  t.deepEqual(nodes['outer->inner'], { type: 'Linear', weight: transposed })
  for (const edge of [
    ['outer', 'outer->inner.delay'],
    ['outer->inner.delay', 'outer->inner'],
    ['outer->inner', 'inner'],
    ['inner', 'outer_'], // the projection named 'outer'
    ['voice.bias', 'voice.output'],
    ['bare', 'bare.output']
  ])
    t.true(
      edges.some(([from, to]) => from === edge[0] && to === edge[1]),
      edge.join(' -> ')
    )
  await same(t, model, await loadNir(again, { precision: 'f64' }))
})

interface Reference {
  readonly tau: number[]
  /** None of cells without a current. */
  readonly tauSyn: number[] | null
  readonly wIn: number[]
  readonly r: number[]
  readonly threshold: number[]
  readonly input: number[][]
  readonly recurrent: number[][]
  readonly read: number[][]
  readonly bias: number[]
}

/**
 * NIR's equations, each exact over steps of 1 ms in which what feeds it is constant, the reset by subtraction; delays in steps. A CubaLIF
 * cell's membrane is fed by the current at the end of the step.
 */
function reference(
  p: Reference,
  events: readonly (readonly number[])[],
  steps: number,
  delay: number,
  tauRead: number
) {
  const v = p.tau.map(() => 0)
  const c = p.tau.map(() => 0)
  const y = p.bias.map(() => 0)
  const spikes: number[][] = []
  const outputs: number[][] = []
  const sum = (row: readonly number[] = [], active: readonly number[] = []) =>
    active.reduce((total, value, i) => total + (row[i] ?? 0) * value, 0)
  for (let step = 0; step < steps; step++) {
    v.forEach((before, cell) => {
      const alpha = Math.exp(-0.001 / (p.tau[cell] ?? 0))
      const arriving = sum(p.input[cell], events[step]) + sum(p.recurrent[cell], spikes[step - delay])
      const fired = spikes[step - 1]?.[cell] ?? 0
      const synaptic = Math.exp(-0.001 / (p.tauSyn?.[cell] ?? 0))
      c[cell] = synaptic * (c[cell] ?? 0) + (1 - synaptic) * (p.wIn[cell] ?? 0) * arriving
      const current = p.tauSyn === null ? arriving : (c[cell] ?? 0)
      v[cell] = alpha * before + (1 - alpha) * (p.r[cell] ?? 0) * current - (p.threshold[cell] ?? 0) * fired
    })
    const fired = v.map((value, cell) => Number(value > (p.threshold[cell] ?? 0)))
    spikes.push(fired)
    const kappa = Math.exp(-0.001 / tauRead)
    y.forEach((before, unit) => {
      y[unit] = kappa * before + (1 - kappa) * sum(p.read[unit], fired)
    })
    outputs.push(y.map((value, unit) => value + (p.bias[unit] ?? 0)))
  }
  return { spikes, outputs }
}

for (const type of ['LIF', 'CubaLIF'] as const)
  pythonTest(`a file of Python's nir does what NIR's equations say, ${type}`, async t => {
    const path = join(await temporaryFolder(t), 'theirs.nir')
    const parameters = (await python(
      `
import nir, numpy as np
g = np.random.default_rng(4)
n, m = 7, 3
cuba = argv[1] == 'CubaLIF'
p = dict(tau=g.uniform(.005, .03, n), tauSyn=g.uniform(.002, .02, n), wIn=g.uniform(.5, 3, n), r=g.uniform(.5, 2, n), threshold=g.uniform(.1, .3, n), input=g.normal(1, 1, (n, m)),
    recurrent=g.normal(0, 2, (n, n)) * (1 - np.eye(n)), read=g.normal(0, 1, (2, n)), bias=g.normal(0, 1, 2))
same = dict(r=p['r'], v_leak=np.zeros(n), v_threshold=p['threshold'])
cells = nir.CubaLIF(tau_mem=p['tau'], tau_syn=p['tauSyn'], w_in=p['wIn'], **same) if cuba else nir.LIF(tau=p['tau'], **same)
nodes = {
    'in': nir.Input(np.array([m])), 'w_in': nir.Affine(p['input'], np.zeros(n)), 'w_out': nir.Linear(p['read']),
    'lif': cells,
    'later': nir.Delay(np.full(n, .003)), 'w_rec': nir.Linear(p['recurrent']),
    'li': nir.LI(tau=np.full(2, .015), r=np.ones(2), v_leak=np.zeros(2)),
    'bias': nir.Affine(np.eye(2), p['bias']), 'out': nir.Output(np.array([2])), 'spikes': nir.Output(np.array([n]))}
edges = [('in', 'w_in'), ('w_in', 'lif'), ('lif', 'later'), ('later', 'w_rec'), ('w_rec', 'lif'), ('lif', 'w_out'), ('w_out', 'li'),
    ('li', 'bias'), ('bias', 'out'), ('lif', 'spikes')]
nir.write(argv[0], nir.NIRGraph(nodes, edges))
print(json.dumps({k: v.tolist() if cuba or k != 'tauSyn' else None for k, v in p.items()}))`,
      path,
      type
    )) as Reference
    const model = await loadNir(path, { precision: 'f64' })
    t.deepEqual(
      model.description.projections?.map(({ name, from, to, delay }) => [name, from, to, delay]),
      [
        ['w_in', 'in', 'lif', 1],
        ['w_rec', 'lif', 'lif', 3],
        ['w_out', 'lif', 'li', 1]
      ]
    )
    const steps = 300
    const events = Array.from({ length: steps }, (_, step) =>
      [0, 1, 2].map(unit => Number((step * 7 + unit * 13) % 11 < 4))
    )
    const inputs = { in: { analogue: Float64Array.from(events.flat()) } }
    const { spikes, readout } = await simulate(model, { length: steps, trials: 1, inputs })
    const expected = reference(parameters, events, steps, 3, 0.015)
    const fired = expected.spikes.flatMap((cells, step) =>
      cells.flatMap((z, cell) => (z === 1 ? [[0, step, cell]] : []))
    )
    t.true(fired.length > 200, `${fired.length} spikes`)
    t.deepEqual(Array.from(spikes), fired.flat())
    for (const [i, y] of expected.outputs.flat().entries()) t.true(Math.abs((readout[i] ?? 0) - y) < 1e-12)
  })

pythonTest("CubaLIF cells come as close to the exact solution of NIR's equations as their steps are short", async t => {
  const path = join(await temporaryFolder(t), 'cuba.nir')
  const milliseconds = 80
  // The equations in continuous time, with an input that is constant for a millisecond at a time; nothing of mdgl's is in it.
  const { values, exact } = (await python(
    `
import nir, numpy as np
g = np.random.default_rng(2)
n, T = 4, int(argv[1])
tau_m, tau_s, r, w_in = g.uniform(.005, .03, n), g.uniform(.002, .02, n), g.uniform(.5, 2, n), g.uniform(.5, 3, n)
cells = nir.CubaLIF(tau_syn=tau_s, tau_mem=tau_m, r=r, v_leak=np.zeros(n), v_threshold=np.full(n, 1e3), w_in=w_in)
w = g.normal(0, 1, (n, 2))
nodes = {'in': nir.Input(np.array([2])), 'w': nir.Linear(w), 'cells': cells, 'out': nir.Output(np.array([n]))}
nir.write(argv[0], nir.NIRGraph(nodes, [('in', 'w'), ('w', 'cells'), ('cells', 'out')]))
values, h = g.uniform(-1, 2, (T, 2)), .001
I, v, exact = np.zeros(n), np.zeros(n), []
for x in values:
    rest = w_in * (w @ x)
    fast = r * (I - rest) * tau_s / (tau_s - tau_m)
    v = r * rest + fast * np.exp(-h / tau_s) + (v - r * rest - fast) * np.exp(-h / tau_m)
    I = rest + (I - rest) * np.exp(-h / tau_s)
    exact.append(v.tolist())
print(json.dumps(dict(values=values.tolist(), exact=exact)))`,
    path,
    String(milliseconds)
  )) as { values: number[][]; exact: number[][] }
  const largest = Math.max(...exact.flat().map(Math.abs))
  const errors: number[] = []
  for (const each of [10, 20, 40, 80]) {
    const model = await loadNir(path, { dt: 1 / each, precision: 'f64' })
    const analogue = Float64Array.from(values.flatMap(x => Array.from({ length: each }, () => x)).flat())
    const given = { length: milliseconds, trials: 1, inputs: { in: { analogue } } }
    const { voltage = new Float64Array() } = await simulate(model, given, { voltage: true })
    const ends = exact.flatMap((_, ms) => [...voltage.slice(4 * (each * (ms + 1) - 1), 4 * each * (ms + 1))])
    errors.push(Math.max(...ends.map((v, i) => Math.abs(v - (exact.flat()[i] ?? Number.NaN)))) / largest)
  }
  const [first = 1, second = 1, third = 1, last = 1] = errors
  t.true(last < 5e-4, `${errors}`)
  for (const ratio of [first / second, second / third, third / last]) t.true(Math.abs(ratio - 2) < 0.1, `${errors}`)
})

pythonTest('graphs in graphs, scales, edges without weights, halves, delays that differ by unit', async t => {
  const folder = await temporaryFolder(t)
  await python(
    `${PARTS}
inner = nir.NIRGraph({'input': nir.Input(np.array([2])), 'lif': lif(), 'w': nir.Linear(np.array([[0., -3.], [-4., 0.]])), 'output': nir.Output(np.array([2]))},
    [('input', 'lif'), ('lif', 'w'), ('w', 'lif'), ('lif', 'output')])
w = nir.Linear(np.array([[1., 2.], [0., .5]], dtype='f2'))
write('nested.nir', {'cells': inner, 'w.in': w, 'half': nir.Scale(np.array([.5, 4.])), 'li': li(r=np.array([2., 3.]))},
    [('in', 'half'), ('half', 'w.in'), ('w.in', 'cells'), ('cells', 'li'), ('li', 'out')])
write('delays.nir', {'w.in': linear(), 'a': lif(), 'd': nir.Delay(np.array([.002, .0051])), 'w': linear(), 'b': lif(), 'late': nir.Delay(np.array([0., .001]))},
    [('in', 'w.in'), ('w.in', 'a'), ('a', 'd'), ('d', 'w'), ('w', 'late'), ('late', 'b'), ('b', 'out')])
write('ms.nir', {'a': lif(tau=np.array([20., 30.]))}, [('in', 'a'), ('a', 'out')])`,
    folder
  )
  const nested = listed(await loadNir(join(folder, 'nested.nir'), { precision: 'f64' }))
  t.deepEqual(
    nested.projections?.map(({ name, from, to, connections }) => [name, from, to, connections]),
    [
      ['cells.w', 'cells.lif', 'cells.lif', { pre: [1, 0], post: [0, 1], values: [-3, -4] }],
      ['cells.lif->li', 'cells.lif', 'li', { pre: [0, 1], post: [0, 1], values: [2, 3] }],
      ['w.in', 'in', 'cells.lif', { pre: [0, 1, 1], post: [0, 0, 1], values: [0.5, 8, 2] }]
    ]
  )
  const delayed = await loadNir(join(folder, 'delays.nir'))
  t.deepEqual(
    delayed.description.projections
      ?.slice(0, 4)
      .map(({ name, delay, connections: { pre = [], post = [] } = {} }) => [name, delay, [...pre], [...post]]),
    [
      ['w', [2, 5, 3, 6], [0, 1, 0, 1], [0, 0, 1, 1]],
      ['w.in', 1, [0, 1, 0, 1], [0, 0, 1, 1]]
    ]
  )
  const { populations, dt } = (await loadNir(join(folder, 'ms.nir'), { timeUnit: 'ms', dt: 0.25 })).description
  t.deepEqual([populations[0]?.membraneTimeConstant, populations[0]?.refractoryPeriod, dt], [[20, 30], 0, 0.25])
})

pythonTest("metadata that is not mdgl's is passed over, and what was made of mdgl's is refused by name", async t => {
  const folder = await temporaryFolder(t)
  await python(
    `${PARTS}
def noted(name, graph={}, cells={}, weights={}):
    a, w = lif(), nir.Linear(np.array([[1., 0.], [0., 1.]]))
    a.metadata, w.metadata = cells, weights
    nodes = {'in': nir.Input(np.array([2])), 'w': w, 'a': a, 'out': nir.Output(np.array([2]))}
    nir.write(argv[0] + '/' + name, nir.NIRGraph(nodes, [('in', 'w'), ('w', 'a'), ('a', 'out')], metadata=graph))
note = lambda **values: {'mdgl': json.dumps(values)}
noted('others.nir', {'author': 'x', 'n': 3}, {'k': np.ones(2)}, {'more': {'deep': 1}})
noted('text.nir', {'mdgl': 'no JSON'})
noted('order.nir', note(order=3))
noted('parts.nir', note(order=dict(parts=3)))
noted('types.nir', note(types=[dict(name='t', members=[dict(population='gone')])]))
noted('sign.nir', cells=note(sign='odd'))
noted('silent.nir', weights=note(silent=[1, 2]))
noted('beyond.nir', weights=note(silent=[[9], [0]]))
noted('name.nir', weights=note(name=3))`,
    folder
  )
  t.is((await loadNir(join(folder, 'others.nir'))).weights.get('w').values.length, 2)
  for (const [file, path] of Object.entries({
    text: 'metadata.mdgl',
    order: 'metadata.mdgl.order',
    parts: 'metadata.mdgl.order',
    types: 'types.t.population',
    sign: 'populations.a.sign',
    silent: 'metadata.mdgl.silent',
    beyond: /^projections\.w\.connections\.pre/,
    name: 'projections.name'
  }))
    await rejectsInvalidAt(t, path, () => loadNir(join(folder, `${file}.nir`)))
})

pythonTest('what mdgl has no equal for is refused by name', async t => {
  const folder = await temporaryFolder(t)
  await python(
    `${PARTS}
through = [('in', 'a'), ('a', 'out')]
two = np.array([0., .1])
def cuba(**more): return nir.CubaLIF(**{**dict(tau_syn=np.full(2, .01), tau_mem=np.full(2, .02), r=one(2), v_leak=zero(2), v_threshold=one(2)), **more})
write('cubaleak.nir', {'a': cuba(v_leak=two)}, through)
write('cubareset.nir', {'a': cuba(v_reset=two)}, through)
write('cubatau.nir', {'a': cuba(tau_syn=np.array([.01, -1.]))}, through)
write('cubafast.nir', {'a': cuba(tau_syn=np.array([.01, .0001]))}, through)
write('cubamembrane.nir', {'a': cuba(tau_mem=np.array([-1., .01]))}, through)
write('cubagain.nir', {'w': linear(), 'a': cuba(w_in=np.array([1., np.inf]))}, [('in', 'w'), ('w', 'a'), ('a', 'out')])
write('cubali.nir', {'a': nir.CubaLI(tau_syn=one(2), tau_mem=one(2), r=one(2), v_leak=zero(2))}, through)
write('if.nir', {'a': nir.IF(r=one(2), v_threshold=one(2))}, through)
write('leak.nir', {'a': lif(v_leak=two)}, through)
write('reset.nir', {'a': lif(v_reset=two)}, through)
write('threshold.nir', {'a': lif(v_threshold=zero(2))}, through)
write('tau.nir', {'a': lif(tau=np.array([.02, -1.]))}, through)
write('bias.nir', {'w': nir.Affine(one((2, 2)), two), 'a': lif()}, [('in', 'w'), ('w', 'a'), ('a', 'out')])
write('matrices.nir', {'w': linear(), 'x': linear(), 'a': lif()}, [('in', 'w'), ('w', 'x'), ('x', 'a'), ('a', 'out')])
write('delay.nir', {'a': lif(), 'd': nir.Delay(np.full(2, .002)), 'y': li()}, [('in', 'a'), ('a', 'd'), ('d', 'y'), ('y', 'out')])
write('loop.nir', {'w': linear(), 'x': linear(), 'a': lif()}, [('in', 'w'), ('w', 'x'), ('x', 'w'), ('x', 'a'), ('a', 'out')])
write('taus.nir', {'a': lif(), 'y': li(tau=np.array([.01, .02]))}, [('in', 'a'), ('a', 'y'), ('y', 'out')])
write('feeds.nir', {'a': lif(), 'y': li(), 'b': lif()}, [('in', 'a'), ('a', 'y'), ('y', 'b'), ('b', 'out')])
write('input.nir', {'y': li()}, [('in', 'y'), ('y', 'out')])
write('mixed.nir', {'a': lif(), 'y': li(), 'w': nir.Affine(one((2, 2)), two)}, [('in', 'a'), ('a', 'y'), ('y', 'w'), ('w', 'out')])
write('raw.nir', {'a': lif(), 'w': linear()}, [('in', 'a'), ('a', 'w'), ('w', 'out')])
write('shape.nir', {'a': lif(), 'w': linear(2, 3)}, [('in', 'w'), ('w', 'a'), ('a', 'out')], False)
write('lost.nir', {'a': lif(), 'w': linear()}, [('in', 'a'), ('a', 'out')], False)
nir.write(argv[0] + '/flat.nir', nir.NIRGraph({'in': nir.Input(np.array([2, 2])), 'out': nir.Output(np.array([2, 2]))}, [('in', 'out')]))
nir.write(argv[0] + '/node.nir', lif())
import h5py
with h5py.File(argv[0] + '/other.nir', 'w') as f: f['x'] = 1`,
    folder
  )
  for (const [file, path] of Object.entries({
    cubaleak: 'nodes.a.v_leak[1]',
    cubareset: 'nodes.a.v_reset[1]',
    cubatau: 'populations.a.synapticTimeConstant[1]',
    cubafast: 'populations.a.synapticTimeConstant[1]',
    cubamembrane: 'populations.a.membraneTimeConstant[0]',
    cubagain: 'nodes.a.w_in[1]',
    cubali: 'nodes.a.type',
    if: 'nodes.a.type',
    leak: 'nodes.a.v_leak[1]',
    reset: 'nodes.a.v_reset[1]',
    threshold: 'populations.a.threshold',
    tau: 'populations.a.membraneTimeConstant[1]',
    bias: 'nodes.w.bias[1]',
    matrices: 'nodes.x',
    delay: 'nodes.d.delay',
    loop: 'nodes.w',
    taus: 'nodes.y.tau',
    feeds: 'nodes.y',
    input: 'nodes.y',
    mixed: 'nodes.w.weight',
    raw: 'nodes.out',
    shape: 'nodes.w.weight',
    lost: 'nodes.w',
    flat: 'nodes.in.shape'
  }))
    await rejectsInvalidAt(t, path, () => loadNir(join(folder, `${file}.nir`)))
  for (const file of ['node', 'other']) {
    await t.throwsAsync(loadNir(join(folder, `${file}.nir`)), { instanceOf: MdglError, code: 'file' }, file)
  }
})

test('a thread of HDF5 that does not answer in time is ended, and what is asked of it refused', async t => {
  const path = join(await temporaryFolder(t), 'slow.nir')
  await saveNir(Model.create(expressible()), path)
  // No thread has started so soon.
  using thread = new Hdf5Thread(path, 1)
  const refused = {
    instanceOf: MdglError,
    code: 'file',
    message: /slow\.nir: is damaged: HDF5 found nothing in it for 0\.001 s/
  }
  await Promise.all([0, 1].map(() => t.throwsAsync(thread.ask('readGraph', path), refused)))
  await t.throwsAsync(thread.ask('readGraph', path), refused)
})

test('a folder or a device is no file', async t => {
  for (const path of [await temporaryFolder(t), devNull]) {
    await t.throwsAsync(loadNir(path), { instanceOf: MdglError, code: 'file', message: /is no regular file/ })
  }
})

test('the built library reads and writes in a program that Node is given as text', async t => {
  const path = join(await temporaryFolder(t), 'text.nir')
  await saveNir(Model.create(expressible()), path)
  const program = `
    import { loadNir, saveNir } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
    const model = await loadNir(process.env.NIR)
    await saveNir(model, process.env.NIR)
    console.log(model.description.projections.length)`
  const env = { ...process.env, NIR: path }
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { env })
  t.is(stdout.trim(), String(expressible().projections?.length))
})

pythonTest('one number where each of many units has one is named where it stands', async t => {
  const folder = await temporaryFolder(t)
  await python(
    `${PARTS}
ends = [('in', 'w'), ('w', 'a'), ('a', 'v'), ('v', 'y'), ('y', 'out')]
def parts(**more): return {'w': linear(), 'a': lif(), 'v': linear(), 'y': li(), **more}
def case(name, edges=ends, **more): write(name + '.nir', parts(**more), edges, check=False)
case('cells', a=lif(1))
case('readout', y=li(1))
case('input', **{'in': nir.Input(np.array([1]))})
mixed = lif()
mixed.tau = np.full(1, .02)
case('mixed', a=mixed)
rest = lif()
rest.v_leak = zero(1)
case('rest', a=rest)
scaled = [('in', 'w'), ('w', 's'), ('s', 'a'), ('a', 'v'), ('v', 'y'), ('y', 'out')]
case('scaled', scaled, a=lif(1), s=nir.Scale(np.array([1., 2.])), w=linear(1, 2))
write('alone.nir', {'a': lif(1), 'v': linear(), 'y': li()}, [('in', 'a'), ('a', 'v'), ('v', 'y'), ('y', 'out')], check=False)
case('biased', ends[:-1] + [('y', 'b'), ('b', 'out')], v=linear(1, 2), y=li(1), b=nir.Affine(np.eye(2), one(2)))`,
    folder
  )
  for (const [name, path] of [
    ['cells', 'nodes.a.tau'],
    ['readout', 'nodes.y.tau'],
    ['input', 'nodes.in.shape'],
    ['mixed', 'nodes.a.tau'],
    ['rest', 'nodes.a.v_leak'],
    ['scaled', 'nodes.a.tau'],
    ['alone', 'nodes.a.tau'],
    ['biased', 'nodes.y.tau']
  ] as const) {
    const { message } = await rejectsInvalidAt(t, path, () => loadNir(join(folder, `${name}.nir`)))
    t.regex(message, name === 'input' ? /allowed: \(2\)/ : /allowed: 2(?: numbers)?, one per unit/)
  }
})
