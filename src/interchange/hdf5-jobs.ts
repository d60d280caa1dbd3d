import { HeidelbergFile } from './heidelberg-file.js'
import { decodeGraph, encodeGraph, readGraph } from './nir-file.js'

let open: HeidelbergFile | undefined

/** What a thread of HDF5 can be asked for, by name. */
export const jobs = {
  readGraph,
  decodeGraph,
  encodeGraph,
  openHeidelberg: async (path: string) => {
    open = await HeidelbergFile.open(path)
    return open.contents
  },
  /** A recording of the file that was opened. */
  recording: async (index: number) => {
    if (open === undefined) throw new Error('no recordings are open')
    return open.recording(index)
  }
}

export type Jobs = typeof jobs
