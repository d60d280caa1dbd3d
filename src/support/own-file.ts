import { Worker, type WorkerOptions } from 'node:worker_threads'

// Files of the package that the library needs besides its modules. Each path is a literal in a form that tools
// which look for files know (`@vercel/nft`, webpack). Only modules one folder below `src` may say where they stand, since the build joins
// those that are loaded together into one (`scripts/lib/join-library.mjs`), in `dist/joined`.

/** The handwritten digits. */
export const digitsFile = (): URL => new URL('../data/digits.json', import.meta.url)

/** A thread that reads and writes HDF5. */
export const startHdf5 = (options: WorkerOptions): Worker =>
  new Worker(new URL('../interchange/hdf5-worker.js', import.meta.url), options)

/** The folder of this copy of the package, which holds `dist`. */
export const ownFolder = (): URL => new URL('.', new URL('../../package.json', import.meta.url))
