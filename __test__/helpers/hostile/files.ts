import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import fc from 'fast-check'
import {
  loadNir,
  Model,
  openIdx,
  openNMnist,
  openSpikingHeidelbergDigits,
  readNpy,
  readNpz
} from '../../../src/index.js'
import { readCheckpoint } from '../../../src/runs/checkpoints.js'
import { type Verdict, verdictOf } from './judge.js'
import type { Files } from './world.js'

/** One change of a file's bytes. */
interface Edit {
  readonly how: 'flip' | 'set' | 'cut' | 'remove' | 'repeat' | 'fill'
  /** Where, as a share of the file. */
  readonly at: number
  readonly length: number
  readonly byte: number
}

/** A damaged file: plain JSON. */
export interface FilePlan {
  readonly file: string
  readonly edits: readonly Edit[]
}

/** A format: where its valid file is, and what reads it. Gives what must be finite. */
interface Format {
  /** Read on a thread of its own, which takes a second. */
  readonly hdf5?: true
  source(files: Files): string
  read(path: string): Promise<unknown>
}

const weightsAndBias = (model: Model) => {
  using own = model
  const { projections = [], readouts = [] } = own.description
  return [
    projections.map(({ name = '' }) => own.weights.get(name).values),
    readouts.map(({ name }) => own.bias.get(name))
  ]
}

const formats: Readonly<Record<string, Format>> = {
  weights: {
    source: files => files.weights,
    read: async path => weightsAndBias(await Model.load(path))
  },
  // Bytes of numbers that are no numbers are NumPy's to say.
  npy: { source: files => files.npy, read: async path => void (await readNpy(path)) },
  npz: { source: files => files.npz, read: async path => void (await readNpz(path)) },
  idx: { source: files => files.idx, read: async path => void (await openIdx(path)) },
  'n-mnist': {
    source: files => join(files.digits, '3/00001.bin'),
    read: async path => (await openNMnist(dirname(dirname(path)))).sample(0)
  },
  checkpoint: { source: files => files.checkpoint, read: damagedCheckpoint },
  nir: { hdf5: true, source: files => files.nir, read: async path => weightsAndBias(await loadNir(path)) },
  'heidelberg-digits': { hdf5: true, source: files => files.spoken, read: everyRecording }
}

/** A run goes on from no checkpoint that is another than was written. */
async function damagedCheckpoint(path: string): Promise<void> {
  const warnings: string[] = []
  const found = await readCheckpoint(dirname(dirname(path)), message => warnings.push(message))
  if (found !== undefined || warnings.length !== 1) throw new Error('a damaged checkpoint was taken for a whole one')
}

async function everyRecording(path: string): Promise<unknown> {
  using set = await openSpikingHeidelbergDigits(path)
  const samples: unknown[] = []
  for (let i = 0; i < Math.min(set.length, 10); i++) samples.push(await set.sample(i))
  return samples
}

const edit = fc.record({
  how: fc.constantFrom('flip', 'flip', 'set', 'cut', 'remove', 'repeat', 'fill') as fc.Arbitrary<Edit['how']>,
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  length: fc.integer({ min: 1, max: 64 }),
  byte: fc.integer({ min: 0, max: 255 })
})

const plansOf = (names: readonly string[]): fc.Arbitrary<FilePlan> =>
  fc.record({ file: fc.constantFrom(...names), edits: fc.array(edit, { minLength: 1, maxLength: 4, size: 'max' }) })

/** Damaged files of every format but HDF5's. */
export const filePlans = plansOf(Object.keys(formats).filter(name => !formats[name]?.hdf5))
/** Damaged HDF5 files; each has a thread of its own. */
export const hdf5Plans = plansOf(Object.keys(formats).filter(name => formats[name]?.hdf5))

let made = 0

/** Damages a copy of a valid file and reads it. */
export async function attemptFile(files: Files, { file, edits }: FilePlan): Promise<Verdict> {
  const format = formats[file] as Format
  const source = format.source(files)
  const bytes = edits.reduce(edited, await readFile(source))
  // Its folders and its name may be part of the format.
  const path = join(files.folder, `damaged-${made++}`, basename(dirname(source)), basename(source))
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes)
  if (bytes.equals(await readFile(source))) return { outcome: 'undamaged', finding: undefined }
  return await verdictOf(() => format.read(path))
}

function edited(bytes: Buffer, { how, at, length, byte }: Edit): Buffer {
  const from = Math.floor(at * bytes.length)
  const to = Math.min(bytes.length, from + length)
  const copy = Buffer.from(bytes)
  switch (how) {
    case 'flip':
      copy[from] = (copy[from] ?? 0) ^ (1 << (byte % 8))
      return copy
    case 'set':
      copy[from] = byte
      return copy
    case 'cut':
      return copy.subarray(0, from)
    case 'remove':
      return Buffer.concat([copy.subarray(0, from), copy.subarray(to)])
    case 'repeat':
      return Buffer.concat([copy.subarray(0, to), copy.subarray(from)])
    default:
      return copy.fill(byte, from, to)
  }
}
