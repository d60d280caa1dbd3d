// Files of the package that the library reads. Each path is a literal, so that tools which look for files (`@vercel/nft`, webpack) find this one
// and no other. Only modules of this folder may say where they stand, since the build joins those of the library into one
// (`scripts/lib/join-library.mjs`), which stands here too.

/** The handwritten digits. */
export const digitsFile = (): URL => new URL('./data/digits.json', import.meta.url)

/** The worker thread that reads and writes HDF5. */
export const hdf5WorkerFile = (): URL => new URL('./interchange/hdf5-worker.js', import.meta.url)

/** The folder of this copy of the package, which holds `dist`. */
export const ownFolder = (): URL => new URL('..', import.meta.url)
