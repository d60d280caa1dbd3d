/**
 * Profiles of training iterations, kernel by kernel, and their traces.
 *
 * @module mdgl/profile
 */
export {
  type KernelProfile,
  type MachinePeak,
  type Profile,
  type ProfiledKernel,
  type ProfiledTime,
  type ProfileOptions,
  type ProfileSlice,
  profile
} from './profile.js'
export { type ProfileTrace, type TraceEvent, traceProfile } from './trace.js'
