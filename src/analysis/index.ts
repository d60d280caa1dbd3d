/**
 * Analysis of results: alignment to BPTT, norms of Γ, spike statistics, dense recordings.
 *
 * @module mdgl/analysis
 */
export { type Alignment, type AlignmentOptions, alignment, type GradientAlignment } from './alignment.js'
export {
  type ChannelNorm,
  type ChannelNorms,
  type ChannelNormsOptions,
  channelNorms
} from './channel-norms.js'
export type { SpikeRecording } from './check-recording.js'
export {
  type DenseRecordingOptions,
  type DenseTensor,
  denseRecording,
  type RecordedName
} from './dense-recording.js'
export type { ByNeurons, SpikeWindow } from './spike-trains.js'
export {
  firingRates,
  intervalVariation,
  type SpikeCounts,
  type Synchrony,
  type SynchronyOptions,
  spikeCounts,
  synchrony
} from './statistics.js'
