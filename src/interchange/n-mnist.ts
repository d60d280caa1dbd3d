import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MdglError } from '../support/error.js'
import { filePath } from '../support/file-path.js'
import { checkIndex, type EventSample, type EventSet } from './event-set.js'
import { badFile } from './file-error.js'

/** Pixels of a side. */
const SIDE = 34
const PIXELS = SIDE * SIDE
const EVENT_BYTES = 5
/** Such a row is no pixel's: the camera's clock has run over. */
const OVERFLOW_ROW = 240
const OVERFLOW = 2 ** 13

/**
 * Opens a folder of N-MNIST (`Train` or `Test`, unpacked): handwritten digits as seen by a moving event camera, 34 × 34 pixels of two
 * polarities. Unit p · 1156 + y · 34 + x is the pixel in column x and row y, p 1 where it became brighter and 0 where it became
 * darker. Each recording is a file, read when it is asked for.
 *
 * Layout: `0/00002.bin` to `9/…`, the class as the folder's name; five bytes per event: x, y, one bit of polarity, 23 of
 * time (µs). Recordings are in the order of their classes, then of their names. Source: Orchard, Jayawant, Cohen and Thakor 2015,
 * https://www.garrickorchard.com/datasets/n-mnist.
 *
 * @example
 * ```ts
 * async function firstDigit(folder: string) {
 *   using digits = await openNMnist(folder);
 *   const { label, times, units } = await digits.sample(0);
 *   console.log(label, times.length, 'events of', digits.units, 'units', units[0]);
 *   return binnedEvents([{ times, units }], { duration: 300 });
 * }
 * ```
 * @param folder - The folder that has a folder for each class.
 * @returns The recordings.
 * @throws {@link MdglError} `'file'` for a folder without recordings; the system's own error where it cannot be read.
 */
export async function openNMnist(folder: string | URL): Promise<EventSet> {
  const root = filePath(folder, 'folder')
  const classes = (await readdir(root)).filter(name => /^\d$/.test(name)).sort()
  const recordings = await Promise.all(classes.map(name => recordingsOf(root, name)))
  if (recordings.flat().length === 0) throw badFile(root, 'has no recordings as in N-MNIST, 0/*.bin to 9/*.bin')
  return new DigitRecordings(recordings.flat())
}

interface Recording {
  readonly label: number
  readonly path: string
}

async function recordingsOf(root: string, name: string): Promise<Recording[]> {
  const files = (await readdir(join(root, name))).filter(file => file.endsWith('.bin')).sort()
  return files.map(file => ({ label: Number(name), path: join(root, name, file) }))
}

class DigitRecordings implements EventSet {
  readonly length: number
  readonly units = 2 * PIXELS
  readonly labels: Uint32Array
  readonly classes = Array.from({ length: 10 }, (_, digit) => String(digit))
  #recordings: readonly Recording[] | undefined

  constructor(recordings: readonly Recording[]) {
    this.#recordings = recordings
    this.length = recordings.length
    this.labels = Uint32Array.from(recordings, ({ label }) => label)
  }

  async sample(index: number): Promise<EventSample> {
    const recording = this.#recordings?.[checkIndex(index, this.length)]
    if (recording === undefined) throw new MdglError({ code: 'disposed', message: 'The recordings were closed.' })
    return { label: recording.label, ...decode(await readFile(recording.path), recording.path) }
  }

  dispose(): void {
    this.#recordings = undefined
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

function decode(bytes: Uint8Array, path: string): Pick<EventSample, 'times' | 'units'> {
  if (bytes.length % EVENT_BYTES !== 0) throw badFile(path, `has ${bytes.length} bytes, not five for each event`)
  const times = new Float64Array(bytes.length / EVENT_BYTES)
  const units = new Uint32Array(times.length)
  let count = 0
  let passed = 0
  for (let i = 0; i < bytes.length; i += EVENT_BYTES) {
    const [x = 0, y = 0, high = 0, middle = 0, low = 0] = bytes.subarray(i, i + EVENT_BYTES)
    if (y === OVERFLOW_ROW) {
      passed += OVERFLOW
      continue
    }
    if (x >= SIDE || y >= SIDE) throw badFile(path, `has an event at (${x}, ${y}), outside ${SIDE} × ${SIDE} pixels`)
    times[count] = ((((high & 0x7f) << 16) | (middle << 8) | low) + passed) / 1000
    units[count] = (high >> 7) * PIXELS + y * SIDE + x
    count += 1
  }
  return { times: times.slice(0, count), units: units.slice(0, count) }
}
