import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import test from 'ava'
import { type Connections, gradients, Model, type NetworkDescription, type NumberList, network } from '../src/index.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { memories } from './helpers/hostile/values.js'

const CELLS = 1000
const EACH = 200

/** 200 000 synapses by sender, which is not the engine's order; every third cell inhibits. */
function synapses() {
  const count = CELLS * EACH
  const [pre, post, values] = [new Uint32Array(count), new Uint32Array(count), new Float32Array(count)]
  for (let i = 0; i < count; i++) {
    const sender = Math.floor(i / EACH)
    pre[i] = sender
    post[i] = (sender + 1 + 3 * (i % EACH)) % CELLS
    values[i] = ((1 + (i % 97)) / 2000) * (sender % 3 === 0 ? -1 : 1)
  }
  return { pre, post, values }
}

const sign = Array.from({ length: CELLS }, (_, i) => (i % 3 === 0 ? -1 : 1) as 1 | -1)

const builder = () =>
  network({ seed: 2 })
    .input('in', 20)
    .lif('cells', CELLS, { sign })
    .readout('out', 1)
    .project('in', 'cells', { density: 0.2 })
    .project('cells', 'out', { density: 0.1, initialise: { scheme: 'normal', standardDeviation: 1 } })

const built = (connections: Connections) => builder().project('cells', 'cells', { connections }).build()

const given = (description: NetworkDescription): Connections => {
  const connections = description.projections?.find(({ to, from }) => to === 'cells' && from === 'cells')?.connections
  if (connections === undefined) throw new Error('no connections')
  return connections
}

/** Weights and gradients, bit for bit. */
async function bits(description: NetworkDescription) {
  using model: Model = Model.create(description)
  const batch = {
    length: 30,
    trials: 2,
    inputs: { in: { rates: [0, 1].map(trial => ({ trial, units: [0, 20], from: 0, to: 30, rate: 300 }) as const) } },
    targets: new Float64Array(2 * 30).fill(0.1)
  }
  const { evaluation, projections } = await gradients(model, batch, { rule: 'mdgl', loss: { kind: 'squared-error' } })
  return { evaluation, projections, weights: model.weights.get('cells->cells') }
}

test('arrays, typed arrays of any kind, JSON and clones give the same description and the same bits', async t => {
  const { pre, post, values } = synapses()
  const typed = built({ pre, post, values })
  const expected = await bits(typed)
  t.true(expected.evaluation.loss > 0)
  t.is(expected.weights.values.length, CELLS * EACH)
  const port = new MessageChannel()
  port.port1.postMessage(typed)
  const others: Record<string, NetworkDescription> = {
    arrays: built({ pre: [...pre], post: [...post], values: [...values] }),
    'other kinds': built({
      pre: Float64Array.from(pre),
      post: Uint16Array.from(post),
      values: Float64Array.from(values)
    }),
    JSON: JSON.parse(JSON.stringify(typed)),
    'a clone': structuredClone(typed),
    'a message': receiveMessageOnPort(port.port2)?.message,
    'by receiver': built(ordered({ pre, post, values }))
  }
  port.port1.close()
  for (const [name, description] of Object.entries(others)) {
    const model = Model.create(description)
    if (name !== 'by receiver') t.is(JSON.stringify(model.description), JSON.stringify(typed), name)
    t.true(isDeepStrictEqual(await bits(description), expected), name)
  }
})

/** In the engine's order. */
function ordered({ pre, post, values }: ReturnType<typeof synapses>): Connections {
  const order = [...pre.keys()].sort((a, b) => Number(post[a]) - Number(post[b]) || Number(pre[a]) - Number(pre[b]))
  return {
    pre: order.map(i => pre[i] ?? 0),
    post: order.map(i => post[i] ?? 0),
    values: order.map(i => values[i] ?? 0)
  }
}

test('a description has typed arrays of its own, whatever it was given', t => {
  const lists = { pre: [0, 1], post: new Uint8Array([1, 2]), values: Float32Array.of(0.5, -0.25) }
  const kinds = ({ pre, post, values }: Connections) => [pre, post, values].map(list => list.constructor.name)
  const begun = network().lif('cells', 3).project('cells', 'cells', { connections: lists })
  lists.pre[0] = 2
  lists.post[0] = 0
  const description = begun.build()
  t.deepEqual(kinds(given(description)), ['Uint32Array', 'Uint32Array', 'Float64Array'])
  t.deepEqual(JSON.parse(JSON.stringify(given(description))), { pre: [0, 1], post: [1, 2], values: [0.5, -0.25] })
  t.true(Object.isFrozen(given(description)))

  const model = Model.create(description)
  const copy = model.clone()
  Object.assign(given(description).values, [7, 7])
  t.deepEqual([...given(begun.build()).values], [0.5, -0.25])
  t.deepEqual([...given(model.description).values], [0.5, -0.25])
  t.deepEqual([...given(copy.description).values], [0.5, -0.25])
  Object.assign(given(model.description).values, [8, 8])
  t.deepEqual([...model.weights.get('cells->cells').values], [0.5, -0.25])
  t.deepEqual([...Model.create(description).weights.get('cells->cells').values], [7, 7])
})

test('−0 is 0, as in JSON', t => {
  for (const values of [[-0], Float64Array.of(-0), Float32Array.of(-0)]) {
    const model = Model.create(
      builder()
        .project('cells', 'cells', { connections: { pre: [0], post: [1], values } })
        .build()
    )
    t.is(model.weights.get('cells->cells').values[0], 0)
    t.is(given(model.description).values[0], 0)
  }
})

test('a file holds long lists beside its metadata, and one of before is read', async t => {
  const folder = await temporaryFolder(t)
  const model = Model.create(built(synapses()))
  const path = join(folder, 'weights.safetensors')
  await model.save(path)
  const bytes = await readFile(path)
  t.true(headerOf(bytes).end < 100_000, `${headerOf(bytes).end} bytes`)
  const loaded = await Model.load(path)
  t.true(isDeepStrictEqual(loaded.description, model.description))
  t.is(JSON.stringify(loaded.description), JSON.stringify(model.description))
  t.true(isDeepStrictEqual(loaded.weights.get('cells->cells'), model.weights.get('cells->cells')))
  const old = join(folder, 'old.safetensors')
  await writeFile(old, asBefore(bytes, model.description))
  const again = await Model.load(old)
  t.true(isDeepStrictEqual(again.description, model.description))
  t.true(isDeepStrictEqual(again.weights.get('cells->cells'), loaded.weights.get('cells->cells')))
  await again.save(old)
  t.true(bytes.equals(await readFile(old)))
})

interface Header {
  [name: string]: { readonly data_offsets: readonly [number, number] }
}

function headerOf(bytes: Buffer) {
  const end = 8 + Number(bytes.readBigUInt64LE(0))
  const { __metadata__: metadata, ...tensors } = JSON.parse(bytes.subarray(8, end).toString())
  return { end, metadata: JSON.parse(metadata.mdgl), tensors: tensors as Header }
}

/** The file as versions wrote it that had every list in the metadata. */
function asBefore(bytes: Buffer, network: NetworkDescription): Buffer {
  const { end, metadata, tensors } = headerOf(bytes)
  const chunks: Buffer[] = []
  const header: Record<string, unknown> = { __metadata__: { mdgl: JSON.stringify({ ...metadata, network }) } }
  let offset = 0
  for (const [name, tensor] of Object.entries(tensors)) {
    if (name.startsWith('mdgl.lists.')) continue
    const [from, to] = tensor.data_offsets
    header[name] = { ...tensor, data_offsets: [offset, offset + to - from] }
    chunks.push(bytes.subarray(end + from, end + to))
    offset += to - from
  }
  const text = Buffer.from(JSON.stringify(header))
  const padding = Buffer.alloc((8 - (text.length % 8)) % 8, ' ')
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length + padding.length))
  return Buffer.concat([length, text, padding, ...chunks])
}

/** Good lists of 5 synapses with one of them replaced. */
function withList(key: keyof Connections, list: unknown): Connections {
  const good = { pre: [0, 1, 2, 3, 4], post: [1, 2, 3, 4, 5], values: [-0.1, 0.1, 0.1, -0.1, 0.1] }
  return { ...good, [key]: list as NumberList }
}

/** What is refused: the key, the place in it, what is said of it. */
const REFUSED: readonly [keyof Connections, unknown, string, RegExp][] = [
  ['pre', new Uint32Array([0, 1, CELLS, 3, 4]), '[2]', /is 1000; allowed: a whole number from 0 to 999\./],
  ['pre', [0, 1, CELLS, 3, 4], '[2]', /is 1000; allowed: a whole number from 0 to 999\./],
  ['post', new Int32Array([1, 2, 3, 4, -1]), '[4]', /is -1; allowed: a whole number from 0 to 999\./],
  ['post', new Float64Array([1, 2, 3.5, 4, 5]), '[2]', /is 3.5; allowed: a whole number from 0 to 999\./],
  ['pre', new Float64Array([0, 1, 2, 2 ** 32 + 3, 4]), '[3]', /is 4294967299; allowed: a whole number from 0 to 999\./],
  ['pre', [0, '1', 2, 3, 4], '[1]', /is '1'; allowed: a whole number from 0 to 999\./],
  ['pre', new Array(5), '[0]', /is undefined; allowed: a whole number/],
  ['values', Float32Array.of(0, 0, Number.NaN, 0, 0), '[2]', /is NaN; allowed: a finite number\./],
  ['values', Float64Array.of(0, 0, 0, 0, Number.POSITIVE_INFINITY), '[4]', /is Infinity; allowed: a finite number\./],
  ['values', [0, 0, null, 0, 0], '[2]', /is null; allowed: a finite number\./],
  ['post', new Uint32Array(4), '', /is a Uint32Array of 4; allowed: as many entries as pre has \(5\)\./],
  ['values', new Float32Array(6), '', /of 6; allowed: as many entries as pre has \(5\)\./],
  ['post', memories.detached(new Uint32Array(5)), '', /not detached/],
  ['post', memories.shared(new Uint32Array(5)), '', /unshared memory/],
  ['post', memories.shrunk(new Uint32Array(5)), '', /not detached|as many entries/],
  ['pre', new BigUint64Array(5), '', /an array of numbers/],
  ['pre', new DataView(new ArrayBuffer(20)), '', /an array of numbers/],
  ['pre', { 0: 0, 1: 1, 2: 2, 3: 3, 4: 4 }, '', /an array of numbers/],
  ['pre', { list: 0 }, '', /an array of numbers/],
  ['pre', new Proxy(new Uint32Array(5), {}), '', /allowed: /]
]

for (const [i, [key, list, place, message]] of REFUSED.entries()) {
  test(`a list that is refused at once, ${i}: ${message.source}`, t => {
    const connections = withList(key, list)
    const path = `projections.cells->cells.connections.${key}${place}`
    t.regex(invalidAt(t, path, () => builder().project('cells', 'cells', { connections })).message, message)
    const description = { ...builder().build(), projections: [{ from: 'cells', to: 'cells', connections }] }
    t.regex(invalidAt(t, path, () => Model.create(description)).message, message)
  })
}

/** What only the engine sees. */
const REFUSED_AS_A_WHOLE: readonly [keyof Connections, NumberList, string, RegExp][] = [
  ['post', Uint32Array.of(1, 2, 2, 4, 5), 'post[2]', /is 2; allowed: another neuron than pre, or autapses: true\./],
  ['values', Float32Array.of(0, 0, 0, 0.5, 0), 'values[3]', /is 0.5; allowed: ≤ 0 \(inhibitory sender\)\./]
]

for (const [key, list, place, message] of REFUSED_AS_A_WHOLE) {
  test(`a list that is refused as a whole: ${message.source}`, async t => {
    const connections = withList(key, list)
    const path = `projections.cells->cells.connections.${place}`
    t.regex(invalidAt(t, path, () => built(connections)).message, message)
    const description = { ...builder().build(), projections: [{ from: 'cells', to: 'cells', connections }] }
    t.regex(invalidAt(t, path, () => Model.create(description)).message, message)
    t.regex((await rejectsInvalidAt(t, path, () => Model.createAsync(description))).message, message)
  })
}

test('a pair that is listed twice is named by its second place', t => {
  const { pre, post, values } = synapses()
  pre[150_000] = pre[17] ?? 0
  post[150_000] = post[17] ?? 0
  values[150_000] = values[17] ?? 0
  const path = 'projections.cells->cells.connections.pre[150000]'
  t.regex(
    invalidAt(t, path, () => built({ pre, post, values })).message,
    /allowed: each pair once in a projection, or multapses: true\./
  )
})

test('lists are read once, and neither a getter nor a length of their own deceives', t => {
  const values = [Float64Array.of(0.5), Float64Array.of(Number.NaN)]
  const changing = {
    pre: [1],
    post: [2],
    get values() {
      return values.shift() ?? []
    }
  }
  const one = builder().project('cells', 'cells', { connections: changing }).build()
  t.deepEqual([...given(one).values], [0.5])
  const long = Object.defineProperty(new Uint32Array([1, 4, 7]), 'length', { value: 1 })
  const connections = { pre: long, post: [2, 5, 8], values: [0.5, 0.25, 0.125] }
  t.deepEqual([...given(built(connections)).pre], [1, 4, 7])
  const tracked = memories.resizable(Uint32Array.of(4))
  const description = built({ pre: tracked, post: [2], values: [0.5] })
  tracked[0] = 5
  t.deepEqual([...given(description).pre], [4])
})

const TASK = `
export default {
  name: 'listed',
  // Plain JSON with typed arrays, as a program may put it together.
  network: ({ seed }) => ({
    schema: 'mdgl-network/1',
    seed,
    inputs: [{ name: 'in', size: 2 }],
    populations: [{ name: 'cells', size: 3, model: 'lif' }],
    readouts: [{ name: 'out', size: 2 }],
    projections: [
      { from: 'in', to: 'cells', connections: { pre: Uint8Array.of(0, 1), post: Uint32Array.of(2, 0), values: Float32Array.of(1, 0.5) } },
      { from: 'cells', to: 'out', density: 1 }
    ]
  }),
  loss: { kind: 'cross-entropy' },
  batch: ({ size }) => ({ length: 5, trials: size, inputs: {}, targets: new Uint32Array(size) })
}
`

test('the folder of a run has the lists of a task’s own plain JSON as lists, and the run goes on from them', async t => {
  const folder = await temporaryFolder(t)
  const [task, out] = [join(folder, 'listed.mjs'), join(folder, 'run')]
  await writeFile(task, TASK)
  const trained = await mdgl(
    'train',
    task,
    '--iterations',
    '2',
    '--batch-size',
    '2',
    '--checkpoint-every',
    '1',
    '--out',
    out
  )
  t.is(trained.code, 0, trained.stderr)
  const path = join(out, 'config.json')
  const config = JSON.parse(await readFile(path, 'utf8'))
  const [listed] = config.network.projections
  t.deepEqual(listed.connections, { pre: [0, 1], post: [2, 0], values: [1, 0.5] })
  t.is(listed.name, 'in->cells')
  t.deepEqual(Model.create(config.network).weights.get('in->cells').values, Float32Array.of(0.5, 1))

  // As it was written when the task's JSON stood there as it was, with lists of numbers.
  const { name, delay, plastic, ...plain } = listed
  config.network.projections[0] = plain
  await writeFile(path, JSON.stringify(config))
  await rm(join(out, 'weights.safetensors'))
  const resumed = await mdgl('resume', out)
  t.is(resumed.code, 0, resumed.stderr)
})
