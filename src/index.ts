/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Trains recurrent spiking networks with BPTT, e-prop and multidigraph learning (MDGL).
 *
 * Parts of it have their own entry points: `mdgl/tasks`, `mdgl/encoders`, `mdgl/analysis`, `mdgl/io` and `mdgl/profile`. In this version their names are
 * exported here, too.
 *
 * Examples are whole programs without their imports; constants that they do not define are these:
 *
 * ```ts
 * const task = evidenceAccumulation({ cues: 1, delay: 100 });
 * const description = task.network({ seed: 1 });
 * const model = Model.create(description);
 * const batch = await makeBatch(task, { split: 'test', size: 4, seed: 1 });
 * ```
 *
 * @module mdgl
 */
export * from './analysis/index.js'
export * from './encoders/index.js'
export type { Collective, MergeMessages } from './engine/collective.js'
export type { RunOptions } from './engine/engine-session.js'
export * from './interchange/index.js'
export { type Biases, Model, type ModelOptions, type SaveOptions, type Weights } from './model/model.js'
export {
  type InputsInTransit,
  type OnlineRuleName,
  OnlineSession,
  type PopulationNames,
  type SessionInput,
  type SessionNoise,
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
  ByTypes,
  CellType,
  Channel,
  Connections,
  Conventions,
  Delay,
  DelayDistribution,
  Distance,
  Distribution,
  ExponentialKernel,
  Gain,
  Initialise,
  InputGain,
  InputPopulation,
  Kernel,
  Lesion,
  MembraneKernel,
  Names,
  NamesOf,
  NetworkDescription,
  NoiseCurrent,
  NumberList,
  Parameter,
  Population,
  Projection,
  PseudoDerivative,
  PseudoDerivativeShape,
  Reach,
  Readout,
  Scaled,
  Sheet,
  Sign,
  StepCurrent,
  WholeDescription,
  WholePopulation,
  WholeProjection
} from './network/description.js'
export type { BiasNames, InputNames, ProjectionNames, ReadoutNames, RecordableNames } from './network/names.js'
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
export type {
  ChosenRecording,
  ChosenUnits,
  RecordedPart,
  RecordedVariable,
  RecordOptions,
  SignalOptions,
  SimulateChosenOptions,
  VariableOf
} from './operations/chosen-recording.js'
export {
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  type ReadoutMetrics,
  type SharedEvaluateOptions
} from './operations/evaluate.js'
export { type Fit, type FitCheckpoint, type FitOptions, fit } from './operations/fit.js'
export { type Gradients, type GradientsOptions, gradients } from './operations/gradients.js'
export { type Prediction, type Predictions, type PredictOptions, predict } from './operations/predict.js'
export { type Recording, type SimulateOptions, simulate } from './operations/simulate.js'
export { type Metrics, type Training, train } from './operations/train.js'
export type { StopAt, TrainOptions } from './operations/training-plan.js'
export { networkGraph } from './plots/network-graph.js'
export * from './profile/index.js'
export { perturbChannels } from './rule/channels-of.js'
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
export type {
  Batch,
  ClassWindow,
  CrossEntropy,
  CustomLoss,
  CustomLossResult,
  InputValues,
  Loss,
  LossBase,
  LossByReadout,
  Losses,
  ObjectiveOptions,
  RateSegment,
  ReadoutTrace,
  Regulariser,
  SquaredError,
  StepLoss,
  Targets,
  TrialRange
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
  type Share,
  type Split,
  type Task,
  type TaskContext,
  type TaskFor
} from './task/task.js'
export * from './tasks/index.js'
