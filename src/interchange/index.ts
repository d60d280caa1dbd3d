/**
 * File formats of other programs, in files and in bytes: NumPy, NIR, event recordings.
 *
 * @module mdgl/io
 */
export type { EventSample, EventSet } from './event-set.js'
export { openSpikingHeidelbergDigits } from './heidelberg-digits.js'
export { type IdxArray, type IdxData, type IdxOptions, openIdx } from './idx.js'
export { openNMnist } from './n-mnist.js'
export { loadNir, type NirOptions, nirFromBytes, nirToBytes, saveNir } from './nir.js'
export type { NumpyArray, NumpyData } from './npy.js'
export {
  npyFromBytes,
  npyToBytes,
  npzFromBytes,
  npzToBytes,
  readNpy,
  readNpz,
  writeNpy,
  writeNpz
} from './numpy.js'
