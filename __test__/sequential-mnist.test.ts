import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test from 'ava'
import {
  type Batch,
  type LabelledImages,
  MdglError,
  Model,
  makeBatch,
  openIdx,
  type ReadoutTrace,
  sequentialMnist,
  train
} from '../src/index.js'
import { mnistFromFolder, readMnist } from '../src/runs/mnist-folder.js'
import type { RunConfig } from '../src/runs/run-folder.js'
import { differences } from '../src/runs/train-run.js'
import { meanReadoutLoss } from '../src/tasks/mean-readout-loss.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'

const refused = { instanceOf: MdglError, code: 'file' } as const

/** An IDX file: type, lengths of dimensions, elements. */
function idx(type: number, shape: readonly number[], elements: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length))
  header.setUint32(0, (type << 8) | shape.length)
  for (const [i, length] of shape.entries()) header.setUint32(4 + 4 * i, length)
  return Buffer.concat([new Uint8Array(header.buffer), elements])
}

const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex')

test('IDX files have numbers of six types, big-endian, in any number of dimensions', async t => {
  const folder = await temporaryFolder(t)
  const big = (size: number, write: (view: DataView, at: number, value: number) => void, values: readonly number[]) => {
    const view = new DataView(new ArrayBuffer(size * values.length))
    for (const [i, value] of values.entries()) write(view, i * size, value)
    return new Uint8Array(view.buffer)
  }
  const cases = [
    [8, [2, 3], Uint8Array.of(1, 2, 3, 4, 5, 255), Uint8Array.of(1, 2, 3, 4, 5, 255)],
    [9, [2], big(1, (v, at, x) => v.setInt8(at, x), [-1, 127]), Int8Array.of(-1, 127)],
    [11, [2], big(2, (v, at, x) => v.setInt16(at, x), [-2, 513]), Int16Array.of(-2, 513)],
    [12, [1, 2, 1], big(4, (v, at, x) => v.setInt32(at, x), [-3, 70_000]), Int32Array.of(-3, 70_000)],
    [13, [2], big(4, (v, at, x) => v.setFloat32(at, x), [0.5, -1.25]), Float32Array.of(0.5, -1.25)],
    [14, [2], big(8, (v, at, x) => v.setFloat64(at, x), [0.1, -1e300]), Float64Array.of(0.1, -1e300)],
    [8, [0, 28, 28], new Uint8Array(0), new Uint8Array(0)]
  ] as const
  for (const [i, [type, shape, bytes, data]] of cases.entries()) {
    const path = join(folder, `${i}`)
    const file = idx(type, shape, bytes)
    await writeFile(path, file)
    t.deepEqual(await openIdx(path, { md5: md5(file).toUpperCase() }), { data, shape: [...shape] })
    await writeFile(`${path}.gz`, gzipSync(file))
    t.deepEqual(await openIdx(`${path}.gz`, { md5: md5(file) }), { data, shape: [...shape] })
  }
})

test('damaged IDX files are refused by name, with what was found and what is allowed', async t => {
  const path = join(await temporaryFolder(t), 'images')
  const whole = idx(8, [2, 2], Uint8Array.of(1, 2, 3, 4))
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [Uint8Array.of(0, 0, 8), /has 3 bytes, where an IDX file begins with a magic number of 4/],
    [Uint8Array.of(0x89, 0x50, 8, 1), /begins with 0x89 0x50, where an IDX file has 0x00 0x00/],
    [
      Uint8Array.of(0, 0, 10, 1, 0, 0, 0, 0),
      /type 0x0a; it must be one of 0x08 \(uint8\), 0x09 \(int8\), .*0x0e \(float64\)/
    ],
    [Uint8Array.of(0, 0, 8, 0), /has 0 dimensions; it must have 1 to 255/],
    [whole.subarray(0, 10), /has 10 bytes, fewer than the 12 of a header with 2 dimensions/],
    [whole.subarray(0, 15), /has 15 bytes; with 2 × 2 elements of type uint8 it must have 16/],
    [Buffer.concat([whole, Uint8Array.of(0)]), /has 17 bytes; .* it must have 16/],
    [idx(8, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], new Uint8Array(4)), /it must have \d/],
    [gzipSync(whole).subarray(0, 20), /compressed by gzip, and damaged/]
  ]
  for (const [bytes, message] of cases) {
    await writeFile(path, bytes)
    const error = await t.throwsAsync(openIdx(path), { ...refused, message })
    t.true(error?.message.startsWith(path))
  }
  await writeFile(path, whole)
  await t.throwsAsync(openIdx(path, { md5: '0'.repeat(32) }), {
    ...refused,
    message: new RegExp(`has the MD5 sum ${md5(whole)}; it must be 0{32}`)
  })
  await rejectsInvalidAt(t, 'options.md5', () => openIdx(path, { md5: 'abc' }))
  await rejectsInvalidAt(t, 'options.sha', () => openIdx(path, { sha: 'abc' } as object))
  await t.throwsAsync(openIdx(`${path}-none`), { code: 'ENOENT' })
})

/** Images with every grey value and steps of all sizes; each has its number in its first pixel. */
function made(count: number, offset = 0): LabelledImages {
  const data = new Uint8Array(count * 784)
  for (let image = 0; image < count; image++) {
    for (let i = 0; i < 784; i++) {
      const wave = (i * (image + offset + 3) * 37) % 511
      data[image * 784 + i] = i % 5 === 0 ? 255 * ((i + image) % 2) : Math.min(255, wave)
    }
    data[image * 784] = image + offset
  }
  return {
    images: { data, shape: [count, 28, 28] },
    labels: { data: Uint8Array.from({ length: count }, (_, image) => (image + offset) % 10), shape: [count] }
  }
}

const pixelsOf = ({ images }: LabelledImages, image: number) =>
  Array.from({ length: 784 }, (_, i) => images.data[image * 784 + i] ?? 0)

/** The events of an image, unit by unit from the definition: y = v/255 against θ = k/39, as fractions. */
function defined(values: readonly number[]): string[] {
  const below = (value: number, k: number) => value * 39 < k * 255
  const events: [number, number][] = []
  for (let k = 0; k < 40; k++) {
    for (let i = 0; i < 784; i++) {
      const [now, next] = [values[i] ?? 0, values[i + 1] ?? 0]
      if (k === 39) {
        if (now === 255) events.push([i, 78])
        continue
      }
      if (i === 783) continue
      if (below(now, k) && !below(next, k)) events.push([i, 2 * k])
      if (!below(now, k) && below(next, k)) events.push([i, 2 * k + 1])
    }
  }
  for (let step = 784; step < 840; step++) events.push([step, 79])
  return events.sort(([a, p], [b, q]) => a - b || p - q).map(event => event.join())
}

function eventsOf(batch: Batch): string[][] {
  const { pixels } = batch.inputs
  if (pixels === undefined || !('events' in pixels)) throw new Error('no events')
  const trials = Array.from({ length: batch.trials ?? 0 }, (): string[] => [])
  const events = pixels.events as Uint32Array
  for (let at = 0; at < events.length; at += 3) trials[events[at] ?? 0]?.push(`${events[at + 1]},${events[at + 2]}`)
  return trials
}

test('pixel by pixel, the events are those of the definition, value by value', async t => {
  const set = made(40)
  const task = sequentialMnist({ ...set, validation: 8 })
  const batch = await makeBatch(task, { split: 'train', size: 32, seed: 1 })
  t.is(batch.length, 840)
  const shown = eventsOf(batch).map((events, trial) => {
    const image = Array.from({ length: 40 }, (_, i) => i).find(
      i => JSON.stringify(defined(pixelsOf(set, i))) === JSON.stringify(events)
    )
    t.is((batch.targets as Uint32Array)[trial], (image ?? -1) % 10)
    return image ?? -1
  })
  // All of them, and none of validation.
  t.deepEqual(
    shown.toSorted((a, b) => a - b),
    Array.from({ length: 32 }, (_, i) => 8 + i)
  )
  // θ = 13/39 is 85/255 exactly: reached, not crossed, at 85.
  const edge = {
    images: { data: new Uint8Array(2 * 784), shape: [2, 28, 28] },
    labels: { data: Uint8Array.of(0, 1), shape: [2] }
  }
  edge.images.data.set([84, 85, 84, 0], 784)
  const one = await makeBatch(sequentialMnist({ ...edge, validation: 1 }), { split: 'train', size: 1, seed: 1 })
  const events = eventsOf(one)[0] ?? []
  t.deepEqual(events.slice(0, 2), ['0,26', '1,27'])
  t.is(events.filter(event => event.startsWith('2,')).length, 12)
})

test('splits have images of their own, and a batch depends on its context alone', async t => {
  const task = sequentialMnist({ ...made(20), validation: 5, test: made(10, 100) })
  const firsts = async (split: 'train' | 'validation' | 'test', size: number) =>
    eventsOf(await makeBatch(task, { split, size, seed: 3 })).map(events => events.join(' '))
  const all = [...(await firsts('train', 15)), ...(await firsts('validation', 5)), ...(await firsts('test', 10))]
  t.is(new Set(all).size, 30)
  t.deepEqual(await firsts('train', 4), await firsts('train', 4))
  const none = sequentialMnist({ ...made(4), validation: 1 })
  await rejectsInvalidAt(t, 'options.test', () => makeBatch(none, { split: 'test', size: 1, seed: 1 }))
  // Ranges of processes are those of the whole batch.
  const whole = await makeBatch(task, { split: 'train', size: 40, seed: 3 })
  const parts = await Promise.all(
    [0, 1].map(rank => makeBatch(task, { split: 'train', size: 40, seed: 3, share: { rank, size: 2 } }))
  )
  t.deepEqual(parts.flatMap(eventsOf), eventsOf(whole))
})

test('row by row, pixels set the rates of their columns', async t => {
  const set = made(2)
  const task = sequentialMnist({ ...set, validation: 1, mode: 'rows' })
  const batch = await makeBatch(task, { split: 'train', size: 1, seed: 1 })
  t.is(batch.length, 28 * 20 + 56)
  const { pixels } = batch.inputs
  if (pixels === undefined || !('rates' in pixels)) return t.fail('no rates')
  const values = pixelsOf(set, 1)
  for (const [i, value] of values.entries()) {
    const [row, column] = [Math.floor(i / 28), i % 28]
    const found = pixels.rates
      .filter(({ units, from }) => units[0] <= 3 * column && 3 * column + 2 < units[1] && from === row * 20)
      .reduce((sum, { rate }) => sum + rate, 0)
    t.is(found.toFixed(9), ((value / 255) * 200).toFixed(9), `pixel ${i}`)
  }
  t.is(task.network({ seed: 1 }).inputs?.[0]?.size, 84)
})

test('network, optimiser and regulariser are those of the tutorial', t => {
  const task = sequentialMnist({ ...made(2), validation: 1 })
  const description = task.network({ seed: 4 })
  using model = Model.create(description)
  t.like(description.inputs?.[0], { size: 80, sign: { excitatory: 61, inhibitory: 19, shuffled: true } })
  t.like(description.populations[0], { size: 220, adaptationTimeConstant: 700 })
  for (const name of ['pixels->cells', 'cells->cells'] as const) {
    const delays = model.weights.delays(name)
    const counts = Array.from({ length: 12 }, (_, delay) => delays.filter(each => each === delay).length)
    t.is(counts[0], 0)
    t.is(counts[11], 0)
    for (const count of counts.slice(1, 11)) {
      // Five standard deviations of a tenth.
      t.true(Math.abs(count - delays.length / 10) < 5 * Math.sqrt(0.09 * delays.length), `${name}: ${counts}`)
    }
  }
  t.like(task, {
    iterations: 36_000,
    batchSize: 256,
    regulariser: { strength: 0.2, targetRate: 10 },
    optimiser: { learningRate: 0.01, l1: 0.01, rewiring: 'all-pairs', decay: { factor: 0.8, every: 2500 } }
  })
})

test('the loss is the cross-entropy of the mean readout, and δ its derivative', t => {
  const [trials, steps, units, window] = [2, 5, 3, 2]
  const values = Float64Array.from({ length: trials * steps * units }, (_, i) => Math.sin(i * 1.7))
  const targets = Uint32Array.of(2, 0)
  const { evaluate } = meanReadoutLoss(window)
  const of = (given: Float64Array) =>
    evaluate({ values: given, trials, steps, units } as ReadoutTrace, { targets } as unknown as Batch)
  const { loss, delta, accuracy } = of(values)
  let expected = 0
  let right = 0
  for (let trial = 0; trial < trials; trial++) {
    const mean = [0, 1, 2].map(
      unit =>
        ((values[(trial * steps + 3) * units + unit] ?? 0) + (values[(trial * steps + 4) * units + unit] ?? 0)) / 2
    )
    const exps = mean.map(Math.exp)
    const target = targets[trial] ?? 0
    expected -= Math.log((exps[target] ?? 0) / exps.reduce((sum, value) => sum + value, 0)) / trials
    if (Math.max(...mean) === mean[target]) right += 1 / trials
  }
  t.true(Math.abs(loss - expected) < 1e-14)
  t.is(accuracy, right)
  for (let i = 0; i < values.length; i++) {
    const moved = (by: number) => of(values.map((value, j) => (j === i ? value + by : value))).loss
    const numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5
    t.true(Math.abs(numeric - (delta[i] ?? Number.NaN)) < 1e-10, `${i}`)
  }
})

test('the task trains by BPTT, e-prop and MDGL', async t => {
  const task = sequentialMnist({ ...made(12), validation: 2 })
  for (const rule of ['bptt', 'eprop', 'mdgl-membrane'] as const) {
    using model = Model.create(task.network({ seed: 1 }))
    const losses: number[] = []
    for await (const { loss } of train(model, task, { rule, iterations: 2, batchSize: 4, validateEvery: 2 }))
      losses.push(loss)
    // The untrained network says ln 10 of every digit.
    t.true(losses.length === 3 && losses.every(loss => Math.abs(loss - Math.log(10)) < 0.1), `${rule}: ${losses}`)
  }
})

const good = made(3)
for (const [what, path, options] of [
  ['shape', 'options.images.shape', { ...good, images: { ...good.images, shape: [3, 784] } }],
  ['number of bytes', 'options.images.data', { ...good, images: { ...good.images, shape: [4, 28, 28] } }],
  ['type of bytes', 'options.images.data', { ...good, images: { data: new Float32Array(784), shape: [1, 28, 28] } }],
  ['number of labels', 'options.labels.shape', { ...good, labels: { data: Uint8Array.of(1, 2), shape: [2] } }],
  ['label', 'options.labels.data[1]', { ...good, labels: { data: Uint8Array.of(1, 10, 3), shape: [3] } }],
  ['validation', 'options.validation', { ...good, validation: 3 }],
  ['test', 'options.test.labels', { ...good, validation: 1, test: { images: good.images } }],
  ['mode', 'options.mode', { ...good, validation: 1, mode: 'columns' }],
  ['option', 'options.size', { ...good, validation: 1, size: 3 }]
] as const) {
  test(`sequential MNIST: a wrong ${what} is refused early`, t => {
    invalidAt(t, path, () => sequentialMnist(options as never))
  })
}

test('a run goes on wherever the files of MNIST lie, since their sums are compared', t => {
  const config = (task: string, taskOptions: object) =>
    ({ task, taskOptions, versions: {}, training: {}, network: {}, recording: {} }) as unknown as RunConfig
  const pair = (task: string, one: object, other: object) => differences(config(task, one), config(task, other))
  t.deepEqual(pair('sequential-mnist', { data: '/a' }, { data: '/b' }), [])
  t.deepEqual(pair('sequential-mnist-rows', { data: '/a', more: 1 }, { data: '/a', more: 2 }), ['taskOptions'])
  t.deepEqual(pair('delayed-match', { data: '/a' }, { data: '/b' }), ['taskOptions'])
})

test('a run of the task is trained from a task file, drawn and reported; its signals, of a custom loss, are not', async t => {
  const folder = await temporaryFolder(t)
  const library = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
  const file = join(folder, 'task.mjs')
  await writeFile(
    file,
    `import { sequentialMnist } from ${library}
const of = count => ({
  images: { data: Uint8Array.from({ length: 784 * count }, (_, i) => (i * 31) % 256), shape: [count, 28, 28] },
  labels: { data: new Uint8Array(count).fill(3), shape: [count] }
})
export default sequentialMnist({ ...of(4), validation: 2 })
`
  )
  const run = join(folder, 'run')
  const short = ['--iterations', '2', '--batch-size', '2', '--validate-every', '1', '--out', run]
  const trained = await mdgl('train', file, '--rule', 'eprop', ...short)
  t.is(trained.code, 0, trained.stderr)
  t.is((await mdgl('plot', 'run', run, '--raster', '--out', join(folder, 'raster.svg'))).code, 0)
  t.is((await mdgl('report', run)).code, 0)
  const { code, stderr } = await mdgl('plot', 'run', run, '--signals', '--out', join(folder, 'signals.svg'))
  t.is(code, 1)
  t.regex(stderr, /has no signals to draw: they are recorded of built-in losses/)
})

/** A folder with four small files as those of MNIST, and their names and sums. */
async function mnistFolder(folder: string) {
  await mkdir(folder, { recursive: true })
  const [training, tests] = [made(6), made(3, 50)]
  const contents = {
    images: idx(8, [6, 28, 28], training.images.data as Uint8Array),
    labels: idx(8, [6], training.labels.data as Uint8Array),
    testImages: idx(8, [3, 28, 28], tests.images.data as Uint8Array),
    testLabels: idx(8, [3], tests.labels.data as Uint8Array)
  }
  const names = {
    images: 'train-images-idx3-ubyte',
    labels: 'train-labels-idx1-ubyte',
    testImages: 't10k-images-idx3-ubyte',
    testLabels: 't10k-labels-idx1-ubyte'
  }
  for (const key of ['images', 'labels', 'testLabels'] as const)
    await writeFile(join(folder, names[key]), contents[key])
  await writeFile(join(folder, `${names.testImages}.gz`), gzipSync(contents.testImages))
  const file = (key: keyof typeof names) => ({ name: names[key], md5: md5(contents[key]) })
  return {
    images: file('images'),
    labels: file('labels'),
    testImages: file('testImages'),
    testLabels: file('testLabels')
  }
}

test('a folder with the four files is read, compressed or not, and other files are refused by their sums', async t => {
  const folder = join(await temporaryFolder(t), 'mnist')
  const files = await mnistFolder(folder)
  const { training, test, validation } = await readMnist(folder, files, 2)
  t.deepEqual([training.count, test?.count, validation], [6, 3, 2])
  t.deepEqual(training.pixels, made(6).images.data)
  const task = mnistFromFolder('pixels', { data: folder })
  t.is(task.name, 'sequential-mnist')
  await t.throwsAsync(makeBatch(task, { split: 'train', size: 1, seed: 1 }), {
    ...refused,
    message: /train-images-idx3-ubyte: has the MD5 sum [\da-f]{32}; it must be 6bbc9ace898e44ae57da46a324031adb/
  })
  invalidAt(t, 'options.data', () => mnistFromFolder('rows', { data: join(folder, 'none') }))
  const without = mnistFromFolder('rows', {})
  t.is(without.name, 'sequential-mnist-rows')
  await rejectsInvalidAt(t, 'options.data', () => makeBatch(without, { split: 'train', size: 1, seed: 1 }))
})

test('train and compare take the folder as --data, and say what it lacks', async t => {
  const folder = await temporaryFolder(t)
  for (const command of ['train', 'compare']) {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['sequential-mnist'], /sequential-mnist requires --data/],
      [['sequential-mnist-rows', '--data', folder], /--data is .*train-images-idx3-ubyte is missing/],
      [['delayed-match', '--data', folder], /--data requires a task whose data is in a folder/]
    ]
    for (const [args, message] of cases) {
      const { code, stderr } = await mdgl(command, ...args)
      t.is(code, 2, stderr)
      t.regex(stderr, message)
    }
  }
  const data = join(folder, 'mnist')
  await mnistFolder(data)
  const { code, stderr } = await mdgl('train', 'sequential-mnist', '--data', data, '--out', join(folder, 'run'))
  t.is(code, 1)
  t.regex(stderr, /train-images-idx3-ubyte: has the MD5 sum/)
  const out = join(folder, 'network.svg')
  t.is((await mdgl('plot', 'network', 'sequential-mnist', '--out', out)).code, 0)
})
