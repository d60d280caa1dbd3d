import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { MdglError, type NumpyArray, type NumpyData, readNpy, readNpz, writeNpy, writeNpz } from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { python, pythonTest } from './helpers/python.js'

const ARRAYS: Record<string, NumpyData> = {
  float32: Float32Array.of(0.5, -1.25, Number.POSITIVE_INFINITY),
  float64: Float64Array.of(Math.PI, Number.MIN_VALUE, -0),
  int8: Int8Array.of(-128, 127, 0),
  int16: Int16Array.of(-32768, 32767, 0),
  int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0),
  int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 0n),
  uint8: Uint8Array.of(0, 255, 1),
  uint16: Uint16Array.of(0, 65535, 1),
  uint32: Uint32Array.of(0, 2 ** 32 - 1, 1),
  uint64: BigUint64Array.of(0n, 2n ** 64n - 1n, 1n)
}

test('every type of array comes back with its bits and its shape', async t => {
  const folder = await temporaryFolder(t)
  for (const [type, data] of Object.entries(ARRAYS)) {
    const path = join(folder, `${type}.npy`)
    await writeNpy(path, { data, shape: [1, 3] })
    t.deepEqual(await readNpy(path), { data, shape: [1, 3] }, type)
  }
  const path = join(folder, 'all.npz')
  const truth: NumpyArray = { data: Uint8Array.of(0, 1), shape: [2], bool: true }
  await writeNpz(path, { ...ARRAYS, truth, scalar: { data: Float64Array.of(7), shape: [] }, none: new Float32Array() })
  const { truth: read, scalar, none, ...rest } = await readNpz(path)
  t.deepEqual(read, truth)
  t.deepEqual(scalar, { data: Float64Array.of(7), shape: [] })
  t.deepEqual(none, { data: new Float32Array(), shape: [0] })
  t.deepEqual(rest, Object.fromEntries(Object.entries(ARRAYS).map(([name, data]) => [name, { data, shape: [3] }])))
})

test('an archive depends on its arrays alone', async t => {
  const folder = await temporaryFolder(t)
  const files = ['a', 'b'].map(name => join(folder, `${name}.npz`))
  for (const file of files) await writeNpz(file, ARRAYS)
  const [first, second] = await Promise.all(files.map(file => readFile(file)))
  t.deepEqual(first, second)
})

test('a view of part of a buffer is written as that part', async t => {
  const path = join(await temporaryFolder(t), 'part.npy')
  await writeNpy(path, Float64Array.of(1, 2, 3, 4).subarray(1, 3))
  t.deepEqual((await readNpy(path)).data, Float64Array.of(2, 3))
})

test('what is no array is refused by name', async t => {
  const path = join(await temporaryFolder(t), 'x.npy')
  const data = new Float32Array(6)
  await rejectsInvalidAt(t, 'values.data', () => writeNpy(path, { data: [1, 2] as never, shape: [2] }))
  await rejectsInvalidAt(t, 'values.shape', () => writeNpy(path, { data, shape: [2, 2] }))
  await rejectsInvalidAt(t, 'values.shape[1]', () => writeNpy(path, { data, shape: [2, -3] }))
  await rejectsInvalidAt(t, 'values.bool', () => writeNpy(path, { data, shape: [6], bool: true }))
  await rejectsInvalidAt(t, 'values.order', () => writeNpy(path, { data, shape: [6], order: 'F' } as never))
  await rejectsInvalidAt(t, 'arrays.w.shape', () => writeNpz(path, { w: { data, shape: [5] } }))
  await t.throwsAsync(readNpy(path), { code: 'ENOENT' })
})

/** A file whose bytes are changed is refused as a file. */
const refused = { instanceOf: MdglError, code: 'file' } as const

test('damaged arrays and archives are refused', async t => {
  const folder = await temporaryFolder(t)
  const [npy, npz] = [join(folder, 'a.npy'), join(folder, 'a.npz')]
  await writeNpy(npy, new Float64Array(20))
  await writeNpz(npz, { a: new Float64Array(20) })
  const [array, archive] = [await readFile(npy), await readFile(npz)]
  for (const length of [0, 5, 9, 40, array.length - 1]) {
    await writeFile(npy, array.subarray(0, length))
    await t.throwsAsync(readNpy(npy), refused, `${length} bytes`)
  }
  for (const length of [0, 30, archive.length - 30]) {
    await writeFile(npz, archive.subarray(0, length))
    await t.throwsAsync(readNpz(npz), refused, `${length} bytes`)
  }
  await writeFile(npy, archive)
  await t.throwsAsync(readNpy(npy), { ...refused, message: /is no NumPy array/ })
  await writeFile(npz, array)
  await t.throwsAsync(readNpz(npz), { ...refused, message: /is no NumPy archive/ })
  for (const [from, to, message] of [
    ["'<f8'", "'<f2'", /holds type '<f2'; allowed: 'f4'/],
    ["'<f8'", "'|O8'", /holds type '\|O8'/],
    ["'descr'", "'xxscr'", /without a type/],
    ["'shape'", "'xxape'", /without a shape/]
  ] as const) {
    await writeFile(npy, Buffer.from(array.toString('latin1').replace(from, to), 'latin1'))
    await t.throwsAsync(readNpy(npy), { ...refused, message })
  }
})

pythonTest('NumPy reads what is written here', async t => {
  const folder = await temporaryFolder(t)
  const [npy, npz] = [join(folder, 'a.npy'), join(folder, 'all.npz')]
  const matrix = Float32Array.from({ length: 24 }, (_, i) => i / 8)
  await writeNpy(npy, { data: matrix, shape: [2, 3, 4] })
  const truth: NumpyArray = { data: Uint8Array.of(0, 1), shape: [2], bool: true }
  await writeNpz(npz, { ...ARRAYS, bool: truth, 'a->b': matrix })
  const [array, types, same] = (await python(
    `
import numpy as np
a, z = np.load(argv[0]), np.load(argv[1])
print(json.dumps([[str(a.dtype), a.shape, a.flatten().tolist()], {k: str(v.dtype) for k, v in z.items()}, {k: v.tobytes().hex() for k, v in z.items()}]))`,
    npy,
    npz
  )) as [unknown, Record<string, string>, Record<string, string>]
  t.deepEqual(array, ['float32', [2, 3, 4], Array.from(matrix)])
  for (const name of [...Object.keys(ARRAYS), 'bool']) t.is(types[name], name)
  for (const [name, data] of Object.entries(ARRAYS)) t.is(same[name], Buffer.from(data.buffer).toString('hex'), name)
})

pythonTest('what NumPy writes is read here: types, byte orders, Fortran order, compression, long headers', async t => {
  const folder = await temporaryFolder(t)
  await python(
    `
import numpy as np
from numpy.lib import format
a = np.arange(24, dtype='f4').reshape(2, 3, 4)
np.save(argv[0] + '/fortran.npy', np.asfortranarray(a))
np.save(argv[0] + '/big.npy', a.astype('>f8'))
np.save(argv[0] + '/half.npy', a.astype('f2'))
np.save(argv[0] + '/complex.npy', a.astype('c8'))
np.save(argv[0] + '/records.npy', np.zeros(2, dtype=[('x', 'f4'), ('y', 'i4')]))
with open(argv[0] + '/second.npy', 'wb') as f: format.write_array(f, a, version=(2, 0))
with open(argv[0] + '/third.npy', 'wb') as f: format.write_array(f, a, version=(3, 0))
types = 'float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64'.split()
np.savez_compressed(argv[0] + '/all.npz', bools=a > 3, **{t: np.array([0, 1, 2], dtype=t) for t in types})
np.savez(argv[0] + '/plain.npz', a, scalar=np.float64(3))`,
    folder
  )
  const expected = Array.from({ length: 24 }, (_, i) => i)
  for (const name of ['fortran', 'big', 'second', 'third']) {
    const { data, shape } = await readNpy(join(folder, `${name}.npy`))
    t.deepEqual(Array.from(data as Float32Array), expected, name)
    t.deepEqual(shape, [2, 3, 4])
  }
  for (const name of ['half', 'complex', 'records']) await t.throwsAsync(readNpy(join(folder, `${name}.npy`)), refused)
  const { bools, ...rest } = await readNpz(join(folder, 'all.npz'))
  t.deepEqual(bools, { data: Uint8Array.from(expected, i => Number(i > 3)), shape: [2, 3, 4], bool: true })
  for (const [name, { data }] of Object.entries(rest)) {
    t.true(data.constructor === ARRAYS[name]?.constructor, name)
    t.deepEqual(Array.from(data as Float32Array, Number), [0, 1, 2], name)
  }
  const plain = await readNpz(join(folder, 'plain.npz'))
  t.deepEqual(Object.keys(plain).sort(), ['arr_0', 'scalar'])
  t.deepEqual(plain.scalar, { data: Float64Array.of(3), shape: [] })
})
