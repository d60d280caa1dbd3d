import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type IdxArray, openIdx } from '../interchange/idx.js'
import { record } from '../support/check.js'
import { invalid } from '../support/error.js'
import { filePath } from '../support/file-path.js'
import type { PresetTask } from '../tasks/preset-task.js'
import { type MnistImages, type MnistMode, type MnistNames, mnistImages, mnistTask } from '../tasks/sequential-mnist.js'

/** A file of MNIST: its name, and its MD5 sum, uncompressed. */
export interface MnistFile {
  readonly name: string
  readonly md5: string
}

/** The four files of MNIST: 60 000 images to train with, 10 000 for the test. */
export const MNIST_FILES = {
  images: { name: 'train-images-idx3-ubyte', md5: '6bbc9ace898e44ae57da46a324031adb' },
  labels: { name: 'train-labels-idx1-ubyte', md5: 'a25bea736e30d166cdddb491f175f624' },
  testImages: { name: 't10k-images-idx3-ubyte', md5: '2646ac647ad5339dbf082846283269ea' },
  testLabels: { name: 't10k-labels-idx1-ubyte', md5: '27ae3e4e09519cfbb04c329615203637' }
} as const satisfies Readonly<Record<string, MnistFile>>

/** Validation images, as {@link sequentialMnist} has them by default. */
const VALIDATION = 5000

/** Options of the command line's task. */
export interface MnistFolderOptions {
  /** The folder with the four files, as they are or compressed (`.gz`). */
  readonly data?: string
}

/**
 * The task of {@link sequentialMnist} with the images of a folder, which are read for the first batch; without a folder it has a network alone. Files that are not MNIST's, by their
 * MD5 sums, are refused: a run that goes on another day has the same images. Other images are for a task file that calls
 * {@link sequentialMnist}.
 */
export function mnistFromFolder(mode: MnistMode, options: MnistFolderOptions): PresetTask<MnistNames> {
  const { data } = record(options, 'options', ['data'])
  if (data === undefined) {
    return mnistTask(mode, async () => {
      throw invalid('options.data', data, `the folder with the files of MNIST: ${NAMES}`)
    })
  }
  const folder = resolve(filePath(data, 'options.data'))
  const missing = Object.values(MNIST_FILES).find(({ name }) => pathOf(folder, name) === undefined)
  if (missing !== undefined) {
    throw invalid(
      'options.data',
      data,
      `a folder with ${NAMES}, each as it is or compressed (.gz); ${missing.name} is missing`
    )
  }
  let images: Promise<MnistImages> | undefined
  return mnistTask(mode, () => {
    images ??= readMnist(folder, MNIST_FILES)
    return images
  })
}

const NAMES = Object.values(MNIST_FILES)
  .map(({ name }) => name)
  .join(', ')

const pathOf = (folder: string, name: string): string | undefined =>
  [name, `${name}.gz`].map(file => join(folder, file)).find(path => existsSync(path))

/** Reads four files by their names and checks their sums. */
export async function readMnist(
  folder: string,
  files: Readonly<Record<keyof typeof MNIST_FILES, MnistFile>>,
  validation = VALIDATION
): Promise<MnistImages> {
  const read = ({ name, md5 }: MnistFile): Promise<IdxArray> =>
    openIdx(pathOf(folder, name) ?? join(folder, name), { md5 })
  const [images, labels, testImages, testLabels] = [
    await read(files.images),
    await read(files.labels),
    await read(files.testImages),
    await read(files.testLabels)
  ]
  return mnistImages({ images, labels, test: { images: testImages, labels: testLabels }, validation })
}
