/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Trains recurrent spiking networks with BPTT, e-prop and multidigraph learning (MDGL).
 *
 * Examples are whole programs but for their imports; where they do not make them, these are meant:
 *
 * ```ts
 * const task = evidenceAccumulation({ cues: 1, delay: 100 });
 * const description = task.network({ seed: 1 });
 * const model = Model.create(description);
 * const batch = await makeBatch(task, { split: 'test', size: 4, seed: 1 });
 * ```
 *
 * @module
 */

export { type Alignment, type AlignmentOptions, alignment, type GradientAlignment } from './analysis/alignment.js'
export {
  type ChannelNorm,
  type ChannelNorms,
  type ChannelNormsOptions,
  channelNorms
} from './analysis/channel-norms.js'
export type { SpikeRecording } from './analysis/check-recording.js'
export {
  type DenseRecordingOptions,
  type DenseTensor,
  denseRecording,
  type RecordedName
} from './analysis/dense-recording.js'
export type { ByNeurons, SpikeWindow } from './analysis/spike-trains.js'
export {
  firingRates,
  intervalVariation,
  type SpikeCounts,
  type Synchrony,
  type SynchronyOptions,
  spikeCounts,
  synchrony
} from './analysis/statistics.js'
export { type AnalogueInput, type AnalogueShape, analogueCurrent } from './encoders/analogue-current.js'
export { type BinnedEventsOptions, binnedEvents, type TimedEvents } from './encoders/binned-events.js'
export { denseCurrents, denseEvents } from './encoders/dense.js'
export { type EventInput, type FrozenPoissonOptions, frozenPoisson } from './encoders/frozen-poisson.js'
export { poissonRates, type TimeWindow } from './encoders/poisson.js'
export { populationCode, type Tuning } from './encoders/population-code.js'
export type { Collective } from './engine/collective.js'
export type { RunOptions } from './engine/engine-session.js'
export type { EventSample, EventSet } from './interchange/event-set.js'
export { openSpikingHeidelbergDigits } from './interchange/heidelberg-digits.js'
export { openNMnist } from './interchange/n-mnist.js'
export { loadNir, type NirOptions, nirFromBytes, nirToBytes, saveNir } from './interchange/nir.js'
export type { NumpyArray, NumpyData } from './interchange/npy.js'
export {
  npyFromBytes,
  npyToBytes,
  npzFromBytes,
  npzToBytes,
  readNpy,
  readNpz,
  writeNpy,
  writeNpz
} from './interchange/numpy.js'
export { type Biases, Model, type ModelOptions, type SaveOptions, type Weights } from './model/model.js'
export {
  type OnlineRuleName,
  OnlineSession,
  type PopulationNames,
  type SessionInput,
  type SessionOptions,
  type SessionState,
  type SessionStep,
  type SessionTarget,
  type SessionTargets,
  type SessionUpdate
} from './model/online-session.js'
export type { ProjectionValues } from './model/projection-values.js'
export { type Activity, networkActivity } from './network/activity.js'
export {
  type AnyNetworkBuilder,
  type DrawnProjection,
  type InputOptions,
  type ListedProjection,
  type NetworkBuilder,
  type NetworkOptions,
  network,
  type ProjectionBase,
  type ProjectionName,
  type ProjectionOptions,
  type ReadoutOptions,
  type TargetsOf,
  type TypeNames,
  type Units
} from './network/builder.js'
export { expandModulation, type Modulation, type Receptor } from './network/channels.js'
export type {
  CellType,
  Channel,
  Connections,
  Conventions,
  ExponentialKernel,
  Gain,
  Initialise,
  InputGain,
  InputPopulation,
  Kernel,
  MembraneKernel,
  Names,
  NamesOf,
  NetworkDescription,
  NumberList,
  Parameter,
  Population,
  Projection,
  PseudoDerivative,
  PseudoDerivativeShape,
  Reach,
  Readout,
  Sheet,
  Sign
} from './network/description.js'
export type { InputNames, ProjectionNames, ReadoutNames } from './network/names.js'
export {
  type AlifOptions,
  alif,
  type CubaAlifOptions,
  type CubaLifOptions,
  cubaAlif,
  cubaLif,
  type LifOptions,
  lif,
  type Neurons,
  type RateOptions,
  rate
} from './network/neurons.js'
export type { Range, RecordingShape } from './network/recording-shape.js'
export { type EvaluateOptions, type Evaluation, evaluate } from './operations/evaluate.js'
export { type Fit, type FitCheckpoint, type FitOptions, fit } from './operations/fit.js'
export { type Gradients, type GradientsOptions, gradients } from './operations/gradients.js'
export { type Prediction, type Predictions, type PredictOptions, predict } from './operations/predict.js'
export { type Recording, type SimulateOptions, simulate } from './operations/simulate.js'
export { type Metrics, type Training, train } from './operations/train.js'
export type { StopAt, TrainOptions } from './operations/training-plan.js'
export { networkGraph } from './plots/network-graph.js'
export {
  type KernelProfile,
  type MachinePeak,
  type Profile,
  type ProfiledKernel,
  type ProfiledTime,
  type ProfileOptions,
  type ProfileSlice,
  profile
} from './profile/profile.js'
export { type ProfileTrace, type TraceEvent, traceProfile } from './profile/trace.js'
export { type CellConstants, type CustomRule, defineRule, type RuleContext, type Synapses } from './rule/custom-rule.js'
export {
  type AdaptiveFeedback,
  expandRule,
  type FeedbackWeights,
  type RandomFeedback,
  type Rule,
  type RuleConstant,
  type RuleName,
  ruleNames,
  rules,
  type UniformChannel
} from './rule/rule.js'
export type { ByteSource, Bytes } from './support/byte-source.js'
export { type ErrorCode, type ErrorDetails, MdglError } from './support/error.js'
export type { Precision, Values } from './support/precision.js'
export type { TensorLayout, TensorOptions, TensorValues } from './support/tensor.js'
export type {
  Batch,
  ClassWindow,
  CrossEntropy,
  CustomLoss,
  CustomLossResult,
  InputValues,
  Loss,
  LossByReadout,
  Losses,
  ObjectiveOptions,
  RateSegment,
  ReadoutTrace,
  Regulariser,
  SquaredError,
  Targets
} from './task/batch.js'
export {
  type Adam,
  type Decay,
  defaultOptimiser,
  type GradientDescent,
  type Optimiser,
  type OptimiserBase
} from './task/optimiser.js'
export {
  type CosineSchedule,
  cosine,
  type LearningRate,
  type Schedule,
  type StepSchedule,
  stepDecay,
  type TableSchedule,
  type WarmUpSchedule,
  warmUp
} from './task/schedule.js'
export {
  type BatchOptions,
  type BatchRandom,
  fixedRandom,
  type KnownNames,
  makeBatch,
  type Random,
  type Split,
  type Task,
  type TaskContext,
  type TaskFor
} from './task/task.js'
export { delayedMatch, type MatchNames, type MatchOptions } from './tasks/delayed-match.js'
export { delayedXor, type XorNames, type XorOptions } from './tasks/delayed-xor.js'
export {
  type EvidenceNames,
  type EvidenceOptions,
  evidenceAccumulation
} from './tasks/evidence-accumulation.js'
export { type FunctionalType, functionalTypes, type WithFunctionalTypes } from './tasks/functional-types.js'
export { normalisedError } from './tasks/normalised-error.js'
export {
  type PatternNames,
  type PatternOptions,
  type PatternVariant,
  patternGeneration
} from './tasks/pattern-generation.js'
export type { CellNames, PresetTask } from './tasks/preset-task.js'
export { type DigitsNames, type DigitsOptions, sequentialDigits } from './tasks/sequential-digits.js'
export { type StoreRecallNames, type StoreRecallOptions, storeRecall } from './tasks/store-recall.js'
export { type SinesOptions, sumOfSines } from './tasks/sum-of-sines.js'
