import { isNumberList } from '../network/delays.js'
import type { Delay, Initialise, Projection } from '../network/description.js'

/** How a projection's synapses are drawn, or how many are listed. */
export function synapsesText(projection: Projection): string {
  const { autapses = false, multapses = false } = projection
  const allowed = [...(autapses ? ['autapses'] : []), ...(multapses ? ['several synapses per pair'] : [])]
  return [drawnText(projection), ...(allowed.length > 0 ? [`with ${allowed.join(' and ')}`] : [])].join(', ')
}

function drawnText(projection: Projection): string {
  const { connections, density, probability, fixedInDegree, fixedOutDegree, distance } = projection
  if (connections !== undefined) {
    const count = connections.pre.length
    return `${count} listed ${count === 1 ? 'synapse' : 'synapses'}`
  }
  if (density !== undefined) return `density ${density}`
  if (fixedInDegree !== undefined) return `${fixedInDegree} synapses per receiver`
  if (fixedOutDegree !== undefined) return `${fixedOutDegree} synapses per sender`
  const p = typeof probability === 'number' ? `probability ${probability}` : 'a probability per pair of types'
  if (distance === undefined) return p
  const middle = distance.midpoint === undefined ? '' : ` about ${distance.midpoint}`
  return `${p}, falling with distance (${distance.profile}, width ${distance.width} sites${middle})`
}

/** How long a projection's spikes take. */
export function delayText(delay: Delay): string {
  if (typeof delay === 'number') return `${delay} ms`
  if (isNumberList(delay)) {
    const [least, most] = Array.from(delay).reduce(
      ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
      [Number.POSITIVE_INFINITY, 0]
    )
    return least > most ? 'none' : `listed, ${least} to ${most} ms`
  }
  return delay.scheme === 'uniform'
    ? `uniform (${delay.low} to ${delay.high} ms)`
    : `normal (mean ${delay.mean} ms, sd ${delay.standardDeviation} ms)`
}

/** How a projection's weights start. */
export function initialText(initialise: Initialise): string {
  switch (initialise.scheme) {
    case 'balanced':
      return 'balanced'
    case 'by-type':
      return 'per pair of types drawn'
    case 'normal':
      return scaled(`normal (mean ${initialise.mean ?? 0}, sd ${initialise.standardDeviation})`, initialise.scaling)
    case 'lognormal':
      return scaled(`log-normal (mean ${initialise.mean}, sd ${initialise.standardDeviation})`, initialise.scaling)
    case 'uniform':
      return scaled(`uniform (${initialise.low} to ${initialise.high})`, initialise.scaling)
    case 'constant':
      return scaled(`constant (${initialise.value})`, initialise.scaling)
  }
}

const scaled = (text: string, scaling: 'none' | 'in-degree' | undefined) =>
  scaling === 'in-degree' ? `${text}, divided by the root of the in-degree,` : text
