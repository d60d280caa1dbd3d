import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import {
  binnedEvents,
  type EventSet,
  MdglError,
  Model,
  network,
  openNMnist,
  openSpikingHeidelbergDigits,
  simulate,
  type Task,
  train
} from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { python, pythonTest } from './helpers/python.js'

const refused = { instanceOf: MdglError, code: 'file' } as const

test('events fall into steps, in order, and count as often as they come', t => {
  const trials = [
    { times: [7.5, 0.9, 0.2, 10, 9.99], units: Uint32Array.of(0, 3, 3, 1, 2) },
    { times: [], units: [] },
    { times: Float64Array.of(2.1), units: [5] }
  ]
  t.deepEqual(
    [...binnedEvents(trials, { duration: 10 }).events],
    [0, 0, 3, 0, 0, 3, 0, 7, 0, 0, 9, 2, 2, 2, 5] // the event at 10 ms is past the end
  )
  t.deepEqual([...binnedEvents(trials, { duration: 5, dt: 0.5 }).events], [0, 0, 3, 0, 1, 3, 2, 4, 5])
})

test('events that are none are refused by name', t => {
  const bin = (trial: object, options: object = { duration: 10 }) => binnedEvents([trial as never], options as never)
  invalidAt(t, 'trials[0].times[1]', () => bin({ times: [0, -1], units: [0, 0] }))
  invalidAt(t, 'trials[0].times[0]', () => bin({ times: [Number.NaN], units: [0] }))
  invalidAt(t, 'trials[0].units[0]', () => bin({ times: [0], units: [0.5] }))
  invalidAt(t, 'trials[0].units', () => bin({ times: [0], units: [] }))
  invalidAt(t, 'options.duration', () => bin({ times: [], units: [] }, {}))
  invalidAt(t, 'options.dt', () => bin({ times: [], units: [] }, { duration: 10, dt: 0 }))
  invalidAt(t, 'options.bins', () => bin({ times: [], units: [] }, { duration: 10, bins: 3 }))
})

/** Five bytes. */
const event = (x: number, y: number, polarity: 0 | 1, time: number) => [
  x,
  y,
  (polarity << 7) | (time >> 16),
  (time >> 8) & 0xff,
  time & 0xff
]

async function digitFolder(folder: string, files: Record<string, readonly number[]>): Promise<string> {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), Uint8Array.from(bytes))
  }
  return folder
}

test('N-MNIST: events of a file, the class of its folder, and the clock that runs over', async t => {
  const folder = await digitFolder(await temporaryFolder(t), {
    '7/00011.bin': [...event(33, 33, 1, 100_000), ...event(0, 240, 0, 0), ...event(0, 0, 0, 5)],
    '7/00002.bin': [...event(1, 2, 0, 1500), ...event(1, 2, 1, 8_388_607)],
    '0/00099.bin': [],
    '7/notes.txt': [1],
    'labels/x.bin': [1]
  })
  using digits = await openNMnist(folder)
  t.deepEqual([digits.length, digits.units, [...digits.labels]], [3, 2312, [0, 7, 7]])
  t.deepEqual(await digits.sample(0), { label: 0, times: new Float64Array(), units: new Uint32Array() })
  t.deepEqual(await digits.sample(1), {
    label: 7,
    times: Float64Array.of(1.5, 8388.607),
    units: Uint32Array.of(2 * 34 + 1, 1156 + 2 * 34 + 1)
  })
  t.deepEqual(await digits.sample(2), { label: 7, times: Float64Array.of(100, 8.197), units: Uint32Array.of(2311, 0) })
  await rejectsInvalidAt(t, 'index', () => digits.sample(3))
  digits.dispose()
  await t.throwsAsync(digits.sample(0), { instanceOf: MdglError, code: 'disposed' })
})

test('N-MNIST: damaged files and other folders are refused', async t => {
  const folder = await digitFolder(await temporaryFolder(t), {
    '1/a.bin': [1, 2, 3],
    '1/b.bin': event(34, 0, 0, 1),
    'empty/none': []
  })
  using digits = await openNMnist(folder)
  await t.throwsAsync(digits.sample(0), { ...refused, message: /a\.bin: has 3 bytes/ })
  await t.throwsAsync(digits.sample(1), { ...refused, message: /an event at \(34, 0\)/ })
  await t.throwsAsync(openNMnist(join(folder, 'empty')), { ...refused, message: /no recordings as in N-MNIST/ })
  await t.throwsAsync(openNMnist(join(folder, 'nowhere')), { code: 'ENOENT' })
})

pythonTest('N-MNIST: a file that NumPy wrote, bit by bit', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, '4'))
  const expected = (await python(
    `
import numpy as np
r = np.random.default_rng(1)
n = 500
x, y, p, ts = r.integers(0, 34, n), r.integers(0, 34, n), r.integers(0, 2, n), np.sort(r.integers(0, 2**23, n))
raw = np.stack([x, y, (p << 7) | (ts >> 16), (ts >> 8) & 255, ts & 255], 1).astype(np.uint8)
raw.tofile(argv[0])
print(json.dumps([(ts / 1000).tolist(), (p * 1156 + y * 34 + x).tolist()]))`,
    join(folder, '4/00001.bin')
  )) as [number[], number[]]
  using digits = await openNMnist(folder)
  const { label, times, units } = await digits.sample(0)
  t.deepEqual([label, Array.from(times), Array.from(units)], [4, ...expected])
})

/** A file of the layout of the Heidelberg digits; gives times in ms and units of each recording. */
async function makeSpoken(path: string, type = 'float16', count = 6): Promise<[number[], number[]][]> {
  return (await python(
    `
import numpy as np, h5py
r = np.random.default_rng(1)
n, kind = int(argv[2]), np.dtype(argv[1])
with h5py.File(argv[0], 'w') as f:
    times = f.create_dataset('spikes/times', (n,), dtype=h5py.vlen_dtype(kind))
    units = f.create_dataset('spikes/units', (n,), dtype=h5py.vlen_dtype(np.dtype('uint16')))
    out = []
    for i in range(n):
        k = 40 * i
        times[i] = np.sort(r.random(k)).astype(kind)
        units[i] = r.integers(0, 350, k).astype('uint16') + 350 * (i % 2)
        out.append([(times[i].astype('f8') * 1000).tolist(), units[i].tolist()])
    f['labels'] = np.array([i % 2 for i in range(n)], dtype='uint16')
    f['extra/keys'] = np.array([b'zero', b'one'])
    f['extra/speaker'] = np.zeros(n, dtype='uint16')
print(json.dumps(out))`,
    path,
    type,
    String(count)
  )) as [number[], number[]][]
}

async function samples(set: EventSet): Promise<[number[], number[]][]> {
  const all = await Promise.all(Array.from({ length: set.length }, (_, i) => set.sample(i)))
  return all.map(({ times, units }) => [Array.from(times), Array.from(units)])
}

pythonTest('Heidelberg digits that h5py wrote: times as halves, floats and doubles', async t => {
  const folder = await temporaryFolder(t)
  for (const type of ['float16', 'float32', 'float64']) {
    const path = join(folder, `${type}.h5`)
    const expected = await makeSpoken(path, type)
    using spoken = await openSpikingHeidelbergDigits(path)
    t.deepEqual([spoken.length, spoken.units, spoken.classes], [6, 700, ['zero', 'one']])
    t.deepEqual([...spoken.labels], [0, 1, 0, 1, 0, 1])
    t.deepEqual(await samples(spoken), expected, type)
    t.is((await spoken.sample(3)).label, 1)
    await rejectsInvalidAt(t, 'index', () => spoken.sample(6))
    spoken.dispose()
    await t.throwsAsync(spoken.sample(0), { instanceOf: MdglError, code: 'disposed' })
  }
})

pythonTest(
  'Heidelberg digits are read one by one: memory does not grow with the file',
  async t => {
    const path = join(await temporaryFolder(t), 'large.h5')
    await python(
      `
import numpy as np, h5py
with h5py.File(argv[0], 'w') as f:
    times = f.create_dataset('spikes/times', (80,), dtype=h5py.vlen_dtype(np.dtype('f4')))
    units = f.create_dataset('spikes/units', (80,), dtype=h5py.vlen_dtype(np.dtype('u2')))
    for i in range(80):
        times[i] = np.full(500000, 0.5, dtype='f4'); units[i] = np.full(500000, i, dtype='u2')
    f['labels'] = np.zeros(80, dtype='u2')`,
      path
    )
    const { size } = await import('node:fs').then(({ statSync }) => statSync(path))
    using spoken = await openSpikingHeidelbergDigits(path)
    const before = process.memoryUsage().rss
    t.is((await spoken.sample(79)).units[7], 79)
    const grown = process.memoryUsage().rss - before
    t.true(size > 2e8 && grown < size / 2, `${grown} of ${size}`)
  },
  { alone: true }
)

/** Three recordings of the Heidelberg layout whose lists are of a type and compressed in a way; labels as given. */
const LISTS = `
import numpy as np, h5py
def lists(path, kind, labels=(0, 1, 0), units=None, **options):
    with h5py.File(path, 'w') as f:
        for name in ('times', 'units'):
            d = f.create_dataset('spikes/' + name, (3,), dtype=h5py.vlen_dtype(np.dtype(kind)), **options)
            for i in range(3): d[i] = np.arange(2 * i).astype(kind) if units is None else np.array(units, dtype=kind)
        f['labels'] = np.array(labels, dtype='i8')
`

const EXPECTED: [number[], number[]][] = [
  [[], []],
  [
    [0, 1000],
    [0, 1]
  ],
  [
    [0, 1000, 2000, 3000],
    [0, 1, 2, 3]
  ]
]

pythonTest('Heidelberg digits with whole numbers of 64 bits', async t => {
  const folder = await temporaryFolder(t)
  await python(
    `${LISTS}
for kind in ('<i8', '<u8'): lists(argv[0] + '/' + kind[1:] + '.h5', kind)
lists(argv[0] + '/negative.h5', '<i8', units=[-1])
lists(argv[0] + '/huge.h5', '<u8', units=[2**64 - 1])
lists(argv[0] + '/half.h5', '<f8', units=[0.5])`,
    folder
  )
  for (const kind of ['i8', 'u8']) {
    using spoken = await openSpikingHeidelbergDigits(join(folder, `${kind}.h5`))
    t.deepEqual(await samples(spoken), EXPECTED, kind)
    const ear = binnedEvents([await spoken.sample(2)], { duration: 4000 })
    t.deepEqual(Array.from(ear.events), [0, 0, 0, 0, 1000, 1, 0, 2000, 2, 0, 3000, 3])
  }
  for (const [name, message] of [
    ['negative', /a time that is no number of at least 0/],
    ['huge', /a unit that is not below 700/],
    ['half', /a unit that is not below 700/]
  ] as const) {
    using spoken = await openSpikingHeidelbergDigits(join(folder, `${name}.h5`))
    await t.throwsAsync(spoken.sample(0), { ...refused, message }, name)
  }
})

pythonTest('Heidelberg digits with a label that is none', async t => {
  const folder = await temporaryFolder(t)
  await python(
    `${LISTS}
lists(argv[0] + '/negative.h5', '<f4', labels=(0, -1, 0))
lists(argv[0] + '/huge.h5', '<f4', labels=(0, 4294967295, 0))`,
    folder
  )
  for (const name of ['negative', 'huge']) {
    const message = /a label that is no whole number below 65536/
    await t.throwsAsync(openSpikingHeidelbergDigits(join(folder, `${name}.h5`)), { ...refused, message })
  }
})

pythonTest(
  'what h5py compressed: gzip is read, LZF is named with the way out, and standard error stays empty',
  async t => {
    const folder = await temporaryFolder(t)
    await python(
      `${LISTS}
for how in ('gzip', 'lzf'): lists(argv[0] + '/' + how + '.h5', '<f4', chunks=(2,), compression=how)
with h5py.File(argv[0] + '/lzf.h5') as old, h5py.File(argv[0] + '/again.h5', 'w') as new:
    def copy(name, data):
        if isinstance(data, h5py.Dataset):
            new.create_dataset(name, data=data[...], dtype=data.dtype, chunks=data.chunks, compression=data.chunks and 'gzip')
    old.visititems(copy)`,
      folder
    )
    for (const name of ['gzip', 'again']) {
      using spoken = await openSpikingHeidelbergDigits(join(folder, `${name}.h5`))
      t.deepEqual(await samples(spoken), EXPECTED, name)
    }
    const program = `
    import { openSpikingHeidelbergDigits } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
    const told = await openSpikingHeidelbergDigits(process.argv[1]).catch(({ code, message }) => ({ code, message }))
    console.log(JSON.stringify(told))`
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '--eval',
      program,
      join(folder, 'lzf.h5')
    ])
    const { code, message } = JSON.parse(stdout)
    t.is(code, 'file')
    t.regex(message, /spikes\/times is compressed with LZF, which is not read; write it again with gzip \(of h5py: /)
    t.is(stderr, '')
  }
)

pythonTest('a task on Heidelberg digits trains', async t => {
  const path = join(await temporaryFolder(t), 'shd.h5')
  await makeSpoken(path, 'float16', 12)
  using recordings = await openSpikingHeidelbergDigits(path)
  const task: Task = {
    name: 'spoken-digits',
    loss: { kind: 'cross-entropy', window: 100 },
    batchSize: 8,
    iterations: 4,
    validateEvery: 0,
    batch: async ({ size, rng }) => {
      const drawn = Array.from({ length: size }, (_, trial) => rng.trial(trial).integer(recordings.length))
      const samples = await Promise.all(drawn.map(index => recordings.sample(index)))
      const ear = binnedEvents(samples, { duration: 1000 })
      return { length: 1000, inputs: { ear }, targets: samples.map(({ label }) => label) }
    }
  }
  const description = network({ seed: 1 })
    .input('ear', recordings.units)
    .lif('cells', 30)
    .readout('word', recordings.classes.length)
    .project('ear', 'cells', { density: 0.2 })
    .project('cells', 'cells', { density: 0.2 })
    .project('cells', 'word', { density: 1 })
    .build()
  const model = Model.create(description)
  const losses: number[] = []
  for await (const { loss } of train(model, task, { rule: 'mdgl', seed: 1 })) losses.push(loss)
  t.is(losses.length, 4)
  t.true(losses.every(Number.isFinite))
  const inputs = { ear: binnedEvents([await recordings.sample(11)], { duration: 1000 }) }
  const { inputs: seen } = await simulate(model, { length: 1000, trials: 1, inputs }, { inputs: true })
  t.deepEqual(seen, inputs.ear.events)
})

pythonTest('other and damaged files are no Heidelberg digits', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'shd.h5')
  await makeSpoken(path)
  const whole = await readFile(path)
  for (const length of [0, 100, whole.length / 2]) {
    const cut = join(folder, `${length}.h5`)
    await writeFile(cut, whole.subarray(0, length))
    await t.throwsAsync(openSpikingHeidelbergDigits(cut), {
      ...refused,
      message: /is no HDF5 file, or a truncated one/
    })
  }
  await python(
    `
import numpy as np, h5py
def make(name, times, units, labels, vlen=True):
    with h5py.File(argv[0] + '/' + name, 'w') as f:
        for key, value, kind in (('times', times, 'f4'), ('units', units, 'u2')):
            if not vlen: f['spikes/' + key] = np.zeros(2, dtype=kind); continue
            d = f.create_dataset('spikes/' + key, (len(value),), dtype=h5py.vlen_dtype(np.dtype(kind)))
            for i, v in enumerate(value): d[i] = np.array(v, dtype=kind)
        if labels is not None: f['labels'] = np.array(labels, dtype='u2')
make('plain.h5', None, None, [0], False)
make('no-labels.h5', [[1]], [[1]], None)
make('few.h5', [[1]], [[1]], [0, 1])
make('unequal.h5', [[1, 2]], [[1]], [0])
make('unit.h5', [[1]], [[700]], [0])
make('time.h5', [[-1]], [[1]], [0])
make('nan.h5', [[np.nan]], [[1]], [0])`,
    folder
  )
  for (const [name, message] of [
    ['plain.h5', /no lists spikes\/times/],
    ['no-labels.h5', /no labels/],
    ['few.h5', /not one list a label/]
  ] as const) {
    await t.throwsAsync(openSpikingHeidelbergDigits(join(folder, name)), { ...refused, message }, name)
  }
  for (const [name, message] of [
    ['unequal.h5', /not as many times as units/],
    ['unit.h5', /a unit that is not below 700/],
    ['time.h5', /a time that is no number/],
    ['nan.h5', /a time that is no number/]
  ] as const) {
    using set = await openSpikingHeidelbergDigits(join(folder, name))
    await t.throwsAsync(set.sample(0), { ...refused, message }, name)
  }
  await t.throwsAsync(openSpikingHeidelbergDigits(join(folder, 'missing.h5')), { code: 'ENOENT' })
})
