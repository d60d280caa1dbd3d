import type { ProjectionValues } from '../model/projection-values.js'
import type { Values } from '../support/precision.js'

/** A projection's weights, now and at the start. */
export interface WeightsSnapshot {
  readonly name: string
  /** Edges of the bins, which end at 0 for weights of one sign. */
  readonly edges: readonly number[]
  /** How many weights each bin holds: now, and at the start. Those of 0 are no synapses, and left out. */
  readonly now: readonly number[]
  readonly first: readonly number[]
  /** ‖W − W_first‖ / ‖W_first‖. */
  readonly moved: number
  /** Synapses, weights other than 0, now and at the start. */
  readonly synapses: number
  readonly firstSynapses: number
}

/** The weights of a projection, by post, then pre. */
type Synapses = Pick<ProjectionValues, 'pre' | 'post' | 'values'>

const BINS = 40

/** A histogram of a projection's weights beside that of the weights at the start. */
export function weightsSnapshot(name: string, now: Synapses, first: Synapses = now): WeightsSnapshot {
  const [living, before] = [alive(now.values), alive(first.values)]
  const [low, high] = range(living, before)
  const width = (high - low) / BINS
  const edges = Array.from({ length: BINS + 1 }, (_, i) => Number((low + i * width).toPrecision(5)))
  const histogram = (values: Values) => {
    const bins = new Array<number>(BINS).fill(0)
    for (const value of values) {
      const bin = Math.max(0, Math.min(BINS - 1, Math.floor((value - low) / width)))
      bins[bin] = (bins[bin] ?? 0) + 1
    }
    return bins
  }
  return {
    name,
    edges,
    now: histogram(living),
    first: histogram(before),
    moved: Number((distance(now, first) / (norm(first.values) || 1)).toPrecision(5)),
    synapses: living.length,
    firstSynapses: before.length
  }
}

const alive = (values: Values): Values => values.filter(value => value !== 0) as Values

/** The range of the weights with 0 at an edge of a bin. */
function range(...all: readonly Values[]): [number, number] {
  let [low, high] = [0, 0]
  for (const values of all)
    for (const value of values) {
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
  if (low === 0 || high === 0) return low === high ? [0, 1] : [low, high]
  const width = (high - low) / (BINS - 1)
  const below = Math.ceil(-low / width)
  return [-below * width, (BINS - below) * width]
}

function norm(values: Values): number {
  let sum = 0
  for (const value of values) sum += value ** 2
  return Math.sqrt(sum)
}

/** Pairs that only one of the two has count as 0 in the other. */
function distance(one: Synapses, other: Synapses): number {
  let [sum, i, j] = [0, 0, 0]
  while (i < one.values.length || j < other.values.length) {
    const order = compare(one, i, other, j)
    const mine = order <= 0 ? (one.values[i++] ?? 0) : 0
    const theirs = order >= 0 ? (other.values[j++] ?? 0) : 0
    sum += (mine - theirs) ** 2
  }
  return Math.sqrt(sum)
}

/** Which of two synapses comes first, by post, then pre; one beyond the end comes last. */
function compare(one: Synapses, i: number, other: Synapses, j: number): number {
  const end = Number.POSITIVE_INFINITY
  const [post, otherPost] = [one.post[i] ?? end, other.post[j] ?? end]
  return post === otherPost ? (one.pre[i] ?? end) - (other.pre[j] ?? end) || 0 : post - otherPost
}
