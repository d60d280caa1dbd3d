import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { devNull, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Dataset, Group, File as Hdf5, Metadata, OutputData } from 'h5wasm/node'
import { MdglError } from '../support/error.js'
import { needed } from '../support/needed-package.js'
import { badFile } from './file-error.js'

type Library = typeof import('h5wasm/node')

/** An HDF5 file that is open for reading. Every method throws {@link MdglError} `'file'` where the file does not give what it says. */
export class Hdf5Reader implements Disposable {
  readonly #library: Library
  readonly #path: string
  readonly #file: Hdf5
  #open = true

  private constructor(library: Library, path: string, name: string) {
    this.#library = library
    this.#path = name
    this.#file = quietly(library, () => new library.File(path, 'r'))
    if (this.#file.file_id < 0) throw badFile(name, 'is no HDF5 file, or a truncated one')
  }

  /** Opens a file; what is in it is read when it is asked for. Errors call it by its path, or by another name. */
  static async open(path: string, name = path): Promise<Hdf5Reader> {
    return new Hdf5Reader(await load(), path, name)
  }

  /** The names in a group; none where there is no such group. */
  names(group: string): readonly string[] {
    return this.#read(group, () => {
      const entity = this.#file.get(group)
      return entity instanceof this.#library.Group ? entity.keys() : []
    })
  }

  /** A dataset that can be read; nothing where there is none. */
  dataset(path: string): Dataset | undefined {
    return this.#read(path, () => {
      const dataset = this.#file.get(path)
      if (!(dataset instanceof this.#library.Dataset)) return undefined
      const { metadata } = dataset
      if (isBigEndian(metadata.vlen_type ?? metadata)) throw badFile(this.#path, `${path} is big-endian`)
      refuseFilters(dataset, this.#path, path)
      return dataset
    })
  }

  /** All that a dataset holds. */
  value(dataset: Dataset): OutputData | null {
    const { metadata } = dataset
    const read = () => dataset.value
    return this.#read(dataset.path, () => (isHalf(metadata) ? readHalves(metadata, read) : read()))
  }

  /** One row of a list of arrays that have a length each. */
  row(dataset: Dataset, index: number): OutputData | undefined {
    const type = dataset.metadata.vlen_type
    const read = () => (dataset.slice([[index, index + 1]]) as OutputData[] | null)?.[0]
    return this.#read(dataset.path, () => (type !== undefined && isHalf(type) ? readHalves(type, read) : read()))
  }

  /** Closes the file; a second call does nothing. */
  [Symbol.dispose](): void {
    if (this.#open) quietly(this.#library, () => this.#file.close())
    this.#open = false
  }

  /**
   * The library tells of an error either by throwing or by a message alone; here it throws. A failed open must not go through this:
   * HDF5 would keep the file open. After a failed read it does, so that a file overwritten in place is then seen as it was.
   */
  #read<T>(what: string, body: () => T): T {
    const { Module } = this.#library
    Module.activate_throwing_error_handler()
    try {
      return body()
    } catch (error) {
      if (error instanceof MdglError) throw error
      throw badFile(this.#path, `${what} cannot be read; the file is damaged`, error)
    } finally {
      Module.deactivate_throwing_error_handler()
    }
  }
}

/** The last of HDF5's own filters; those from programs that use it have higher numbers. The library ends itself when it meets one. */
const LAST_OWN_FILTER = 6
/** A filter's number is all that a file must hold of it. */
const FILTER_NAMES: Readonly<Record<number, string>> = {
  32000: 'LZF',
  32001: 'Blosc',
  32004: 'LZ4',
  32015: 'Zstandard'
}

function refuseFilters({ filters }: Dataset, file: string, path: string): void {
  const other = filters.find(({ id }) => id > LAST_OWN_FILTER)
  if (other === undefined) return
  const name = FILTER_NAMES[other.id] ?? (other.name || `filter ${other.id}`)
  const advice = "write it again with gzip (of h5py: create_dataset(…, compression='gzip')) or uncompressed"
  throw badFile(file, `${path} is compressed with ${name}, which is not read; ${advice}`)
}

const INTEGER = 0
const FLOAT = 1

/** Numbers alone have an order of bytes, whatever the library says of text. */
function isBigEndian({ type, littleEndian }: Pick<Metadata, 'type' | 'littleEndian'>): boolean {
  return (type === INTEGER || type === FLOAT) && !littleEndian
}

/** The library knows no floats of two bytes: they are read as the whole numbers that their bits are. */
function readHalves(type: Metadata, read: () => OutputData | null | undefined): Float64Array | number {
  Object.assign(type, { type: INTEGER, signed: false })
  try {
    const bits = read()
    return typeof bits === 'number' ? fromHalf(bits) : Float64Array.from(bits as Uint16Array, fromHalf)
  } finally {
    type.type = FLOAT
  }
}

const isHalf = ({ type, size }: Metadata) => type === FLOAT && size === 2

/** A float of two bytes from its bits: sign, five of exponent, ten of fraction. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** What a group of a file to be written holds: groups, text, lists of text, and arrays with a shape. */
export interface Hdf5Tree {
  readonly [name: string]: Hdf5Tree | string | Hdf5Text | Hdf5Array
}

/** Numbers of any number of dimensions. */
export interface Hdf5Array {
  readonly data: Float32Array | Float64Array | BigInt64Array
  readonly shape: readonly number[]
}

/** Strings of any number of dimensions. */
export interface Hdf5Text {
  readonly data: string[]
  readonly shape: readonly number[]
}

/** The bytes of a file. */
export async function encodeHdf5(tree: Hdf5Tree): Promise<Uint8Array<ArrayBuffer>> {
  const library = await load()
  return await inFolder(async aside => {
    const file = new library.File(aside, 'w')
    try {
      fill(file, tree)
    } finally {
      file.close()
    }
    return new Uint8Array(await readFile(aside))
  })
}

/** Runs something with a file of some bytes: the library knows files alone. */
export async function withFile<T>(bytes: Uint8Array, body: (path: string) => Promise<T>): Promise<T> {
  return await inFolder(async path => {
    await writeFile(path, bytes)
    return await body(path)
  })
}

async function inFolder<T>(body: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-hdf5-'))
  try {
    return await body(join(folder, 'file'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function fill(group: Group, tree: Hdf5Tree): void {
  for (const [name, content] of Object.entries(tree)) {
    if (typeof content === 'string') group.create_dataset({ name, data: content, shape: [], dtype: TEXT })
    else if (isNumbers(content)) group.create_dataset({ name, data: content.data, shape: [...content.shape] })
    else if (isText(content)) {
      group.create_dataset({ name, data: content.data, shape: [...content.shape], dtype: TEXT })
    } else fill(group.create_group(name), content)
  }
}

/** Strings of any length. */
const TEXT = 'S'

type Content = Hdf5Tree | Hdf5Text | Hdf5Array

const isNumbers = (content: Content): content is Hdf5Array => ArrayBuffer.isView(content.data)
const isText = (content: Content): content is Hdf5Text => Array.isArray(content.data)

async function load(): Promise<Library> {
  const library = await needed(() => import('h5wasm/node'))
  await library.ready
  return library
}

/** Keeps what HDF5 says of a failure off the program's standard error. */
function quietly<T>({ FS }: Library, body: () => T): T {
  const stream = (FS as unknown as { streams: { nfd: number }[] }).streams[2]
  if (stream === undefined) return body()
  const [before, nowhere] = [stream.nfd, openSync(devNull, 'w')]
  stream.nfd = nowhere
  try {
    return body()
  } finally {
    stream.nfd = before
    closeSync(nowhere)
  }
}
