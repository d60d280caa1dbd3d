import { withoutKeys } from '../support/check.js'
import type { Population } from './description.js'

/** Parameters of LIF neurons. */
export type LifOptions = Omit<AlifOptions, 'adaptationTimeConstant' | 'adaptationStrength'>
/** Parameters of ALIF neurons. */
export type AlifOptions = Omit<CubaAlifOptions, 'synapticTimeConstant'>
/** Parameters of current-based LIF neurons. */
export type CubaLifOptions = Omit<CubaAlifOptions, 'adaptationTimeConstant' | 'adaptationStrength'>
/** Parameters of current-based ALIF neurons. */
export type CubaAlifOptions = Omit<Population, 'name' | 'size' | 'model'>
/** Parameters of rate units. */
export type RateOptions = Pick<Population, 'sign' | 'membraneTimeConstant' | 'noise' | 'currents'>

/** A neuron model and its parameters, for {@link NetworkBuilder.population}: plain data. */
export type Neurons = Omit<Population, 'name' | 'size'>

/**
 * Leaky integrate-and-fire neurons; the equations are those of {@link Population}.
 *
 * @example
 * ```ts
 * const neurons = lif({ membraneTimeConstant: 15, sign: 'excitatory' });
 * const description = network().population('cells', 20, neurons).build();
 * ```
 * @param options - Parameters, each a number or one value per neuron.
 * @throws {@link MdglError} `'invalid'` for options that are no object or have a key `model`.
 */
export const lif = (options: LifOptions = {}): Neurons => neurons('lif', options)

/**
 * LIF neurons whose threshold adapts; see {@link Population}.
 *
 * @example
 * ```ts
 * const description = network().population('cells', 20, alif({ adaptationTimeConstant: 500 })).build();
 * ```
 * @param options - Parameters, each a number or one value per neuron; an adaptation strength of 0 makes a neuron LIF.
 * @throws {@link MdglError} `'invalid'` for options that are no object or have a key `model`.
 */
export const alif = (options: AlifOptions = {}): Neurons => neurons('alif', options)

/**
 * LIF neurons that receive a decaying synaptic current (current-based neurons); see {@link Population}.
 *
 * @example
 * ```ts
 * const description = network().population('cells', 20, cubaLif({ synapticTimeConstant: 10 })).build();
 * ```
 * @param options - Parameters, each a number or one value per neuron; a synaptic time constant of 0 makes a neuron LIF.
 * @throws {@link MdglError} `'invalid'` for options that are no object or have a key `model`.
 */
export const cubaLif = (options: CubaLifOptions = {}): Neurons => neurons('cuba-lif', options)

/**
 * Current-based LIF neurons whose threshold adapts; see {@link Population}.
 *
 * @example
 * ```ts
 * const description = network().population('cells', 20, cubaAlif({ adaptationStrength: 1 })).build();
 * ```
 * @param options - Parameters, each a number or one value per neuron.
 * @throws {@link MdglError} `'invalid'` for options that are no object or have a key `model`.
 */
export const cubaAlif = (options: CubaAlifOptions = {}): Neurons => neurons('cuba-alif', options)

/**
 * Rate units: leaky ReLU units, which send max(0, v) instead of spikes; see {@link Population}.
 *
 * @example
 * ```ts
 * const description = network().population('units', 20, rate({ membraneTimeConstant: 50 })).build();
 * ```
 * @param options - Sign and membrane time constant (default 100 ms), a number or one value per unit.
 * @throws {@link MdglError} `'invalid'` for options that are no object or have a key `model`.
 */
export const rate = (options: RateOptions = {}): Neurons => neurons('rate', options)

function neurons(model: Population['model'], options: CubaAlifOptions): Neurons {
  return Object.freeze({ ...withoutKeys(options, ['name', 'size', 'model']), model })
}
