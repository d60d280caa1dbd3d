/**
 * Inputs of batches: rates, frozen noise, population codes, recorded events, dense tensors.
 *
 * @module mdgl/encoders
 */

export type { TensorLayout, TensorOptions, TensorValues } from '../support/tensor.js'
export { type AnalogueInput, type AnalogueShape, analogueCurrent } from './analogue-current.js'
export { type BinnedEventsOptions, binnedEvents, type TimedEvents } from './binned-events.js'
export { denseCurrents, denseEvents } from './dense.js'
export { type EventInput, type FrozenPoissonOptions, frozenPoisson } from './frozen-poisson.js'
export { poissonRates, type TimeWindow } from './poisson.js'
export { populationCode, type Tuning } from './population-code.js'
