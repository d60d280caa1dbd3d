import { createReadStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import test from 'ava'
import {
  loadNir,
  MdglError,
  Model,
  network,
  nirFromBytes,
  nirToBytes,
  npyFromBytes,
  npyToBytes,
  npzFromBytes,
  npzToBytes,
  readNpy,
  readNpz,
  saveNir,
  train,
  writeNpy,
  writeNpz
} from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { collect, sides, smallNetwork } from './helpers/small.js'

/** In pieces of seven bytes, through memory that is used again. */
async function* inPieces(bytes: Uint8Array) {
  const memory = new Uint8Array(7)
  for (let at = 0; at < bytes.length; at += memory.length) {
    const piece = bytes.subarray(at, at + memory.length)
    memory.set(piece)
    yield memory.subarray(0, piece.length)
  }
}

const sources = (bytes: Uint8Array) =>
  ({
    bytes,
    buffer: bytes.slice().buffer,
    'array of pieces': [bytes.subarray(0, 5), bytes.subarray(5)],
    pieces: inPieces(bytes),
    'stream of Node': Readable.from([Buffer.from(bytes)]),
    'stream of the web': new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
  }) as const

test('a model goes through bytes and streams, with the optimiser where asked, and trains on with the same bits', async t => {
  const model = Model.create(smallNetwork())
  const options = { rule: 'mdgl', iterations: 4 } as const
  await collect(train(model, sides, { ...options, iterations: 2 }))
  const bytes = await model.toBytes({ optimiser: true })
  t.deepEqual(Object.getPrototypeOf(bytes), Uint8Array.prototype)
  await collect(train(model, sides, { ...options, firstIteration: 3 }))
  for (const [name, source] of Object.entries(sources(bytes))) {
    const copy = await Model.fromBytes(source)
    t.deepEqual(copy.description, model.description, name)
    await collect(train(copy, sides, { ...options, firstIteration: 3 }))
    t.deepEqual(copy.weights.get('back').values, model.weights.get('back').values, name)
  }
  const folder = await temporaryFolder(t)
  await model.save(join(folder, 'file'))
  t.deepEqual(await model.toBytes(), new Uint8Array(await readFile(join(folder, 'file'))))
  t.deepEqual((await Model.fromBytes(createReadStream(join(folder, 'file')))).description, model.description)
  const sent = structuredClone(bytes, { transfer: [bytes.buffer] })
  t.is(bytes.length, 0)
  t.true((await Model.fromBytes(sent)) instanceof Model)
})

test('NumPy arrays are the same in bytes and in files', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'file')
  const array = { data: Int16Array.of(1, -2, 3, 4), shape: [2, 2] }
  const arrays = { array, flags: Uint8Array.of(1, 0) }
  await writeNpy(path, array)
  t.deepEqual(npyToBytes(array), new Uint8Array(await readFile(path)))
  t.deepEqual(await npyFromBytes(inPieces(npyToBytes(array))), await readNpy(path))
  await writeNpz(path, arrays)
  t.deepEqual(await npzToBytes(arrays), new Uint8Array(await readFile(path)))
  t.deepEqual(await npzFromBytes(await npzToBytes(arrays)), await readNpz(path))
})

test('a NIR graph goes through bytes as through a file', async t => {
  const folder = await temporaryFolder(t)
  const [path, again] = [join(folder, 'a.nir'), join(folder, 'b.nir')]
  const description = network({ seed: 1 })
    .input('cues', 4)
    .lif('cells', 10, { refractoryPeriod: 0 })
    .readout('choice', 2)
    .project('cues', 'cells', { density: 1 })
    .project('cells', 'choice', { density: 1 })
    .build()
  const model = Model.create(description, { precision: 'f64' })
  await saveNir(model, path)
  await writeFile(again, await nirToBytes(model))
  const models = [await loadNir(path), await loadNir(again), await nirFromBytes(createReadStream(path))]
  for (const one of models) {
    t.deepEqual(one.description, models[0]?.description)
    t.deepEqual(one.weights.get('cues->cells').values, models[0]?.weights.get('cues->cells').values)
  }
})

test('what gives no bytes, or bytes of something else, is refused', async t => {
  const transferred = Float64Array.of(1, 2)
  structuredClone(transferred.buffer, { transfer: [transferred.buffer] })
  for (const numbers of [transferred, Float64Array.of(1), new Float32Array(0)]) {
    await rejectsInvalidAt(t, 'bytes', () => npzFromBytes(numbers as never))
  }
  await rejectsInvalidAt(t, 'bytes', () => Model.fromBytes('weights' as never))
  await rejectsInvalidAt(t, 'bytes', () => Model.fromBytes({} as never))
  await rejectsInvalidAt(t, 'bytes[1]', () => Model.fromBytes([Uint8Array.of(1), 'more'] as never))
  await rejectsInvalidAt(t, 'bytes', () => Model.fromBytes(new Uint8Array(new SharedArrayBuffer(8))))
  const detached = new ArrayBuffer(8)
  structuredClone(detached, { transfer: [detached] })
  await rejectsInvalidAt(t, 'bytes', () => Model.fromBytes(detached))
  invalidAt(t, 'values', () => npyToBytes('array' as never))
  const nothing = Uint8Array.of(1, 2, 3)
  for (const read of [Model.fromBytes, npyFromBytes, npzFromBytes, nirFromBytes]) {
    const error = await t.throwsAsync(async () => await read(nothing), { instanceOf: MdglError })
    t.is(error.code, 'file')
  }
  const broken = new Error('the connection was lost')
  const failing = Readable.from(
    (async function* () {
      yield nothing
      throw broken
    })()
  )
  t.is(await t.throwsAsync(Model.fromBytes(failing)), broken)
})
