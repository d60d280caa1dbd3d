import { network } from '../network/builder.js'
import type { Connections, NetworkDescription, NumberList } from '../network/description.js'
import type { Batch, Targets } from '../task/batch.js'
import { batchRandom, type Random } from '../task/task.js'
import type { Shape } from './workloads.js'

const THRESHOLD = 0.01
const ADAPTATION_STRENGTH = 1.8
/** 1 − exp(−1 ms / 20 ms): what membrane and readout scale their input by. */
const GAIN = 1 - Math.exp(-1 / 20)
const SLOWEST_INPUT = 0.01
const FASTEST_INPUT = 0.04

/** Each part is drawn from numbers of its own, so that one part's size does not change another. */
const PARTS = { inputWeights: 0, weights: 1, readoutWeights: 2, inputs: 3, targets: 4 } as const

function randomOf(part: keyof typeof PARTS, seed: number): Random {
  return batchRandom(seed, 'test', 0).trial(PARTS[part])
}

/** LIF and ALIF cells with random weights at which they fire at a few to some tens of Hz; no Dale's law, no bias. */
export function syntheticNetwork(shape: Shape, seed: number): NetworkDescription {
  const { inputs, neurons, outputs, density, recurrentStrength = 1, readoutStrength = 1 } = shape
  const regular = Math.floor(neurons / 2)
  const adaptationStrength = Array.from({ length: neurons }, (_, i) => (i < regular ? 0 : ADAPTATION_STRENGTH))
  const inputScale = (THRESHOLD * 0.75 * Math.sqrt(40 / inputs) * (0.1 / density)) / GAIN
  const recurrentScale = (recurrentStrength * THRESHOLD * 0.3 * Math.sqrt(10 / (neurons * density))) / GAIN
  const into = randomOf('inputWeights', seed)
  const among = randomOf('weights', seed)
  const outOf = randomOf('readoutWeights', seed)
  const out = readoutStrength / Math.sqrt(neurons) / GAIN
  return network({ seed })
    .input('inputs', inputs)
    .alif('cells', neurons, { adaptationStrength })
    .readout('out', outputs, { bias: false })
    .type('regular', { cells: { from: 0, to: regular } })
    .type('adaptive', { cells: { from: regular, to: neurons } })
    .project('inputs', 'cells', {
      connections: connect(inputs, neurons, density, into, () => Math.abs(into.normal()) * inputScale)
    })
    .project('cells', 'cells', {
      connections: withoutAutapses(connect(neurons, neurons, density, among, () => among.normal() * recurrentScale))
    })
    .project('cells', 'out', { connections: connect(neurons, outputs, 1, outOf, () => outOf.normal() * out) })
    .build()
}

/** Every pair with the probability `density`, ordered by postsynaptic, then presynaptic index. */
function connect(from: number, to: number, density: number, random: Random, weight: () => number): Connections {
  const pre: number[] = []
  const post: number[] = []
  const values: number[] = []
  for (let p = 0; p < to; p++) {
    for (let q = 0; q < from; q++) {
      if (density < 1 && random.uniform() > density) continue
      pre.push(q)
      post.push(p)
      values.push(weight())
    }
  }
  return { pre, post, values }
}

function withoutAutapses({ pre, post, values }: Connections): Connections {
  const kept = Array.from(pre).flatMap((q, i) => (q === post[i] ? [] : [i]))
  const take = (column: NumberList) => kept.map(i => column[i] ?? 0)
  return { pre: take(pre), post: take(post), values: take(values) }
}

/** Binary inputs, each unit at a rate of its own, and one target per trial or per step. */
export function syntheticBatch(shape: Shape, seed: number): Batch {
  const { steps, batch } = shape
  return {
    length: steps,
    trials: batch,
    inputs: { inputs: { events: events(shape, randomOf('inputs', seed)) } },
    targets: targets(shape, randomOf('targets', seed))
  }
}

/** Triples (trial, step, unit) in ascending order; a unit has the same number of events in every trial, of which a burst keeps the first. */
function events({ inputs, steps, batch, burst = steps }: Shape, random: Random): Uint32Array {
  const counts = Array.from({ length: inputs }, () =>
    Math.round(steps * (SLOWEST_INPUT + (FASTEST_INPUT - SLOWEST_INPUT) * random.uniform()))
  )
  const triples = new Uint32Array(3 * batch * counts.reduce((sum, count) => sum + count, 0))
  let used = 0
  for (let trial = 0; trial < batch; trial++) {
    const fires = new Uint8Array(steps * inputs)
    counts.forEach((count, unit) => {
      for (const step of random.permutation(steps).subarray(0, count)) fires[step * inputs + unit] = 1
    })
    fires.forEach((fired, i) => {
      if (fired !== 1 || i >= burst * inputs) return
      triples.set([trial, Math.floor(i / inputs), i % inputs], used)
      used += 3
    })
  }
  return triples.slice(0, used)
}

const SINE_HZ = [0.5, 1, 2] as const

function targets({ loss, outputs, steps, batch }: Shape, random: Random): Targets {
  if (loss.kind === 'cross-entropy') return Uint32Array.from({ length: batch }, () => random.integer(outputs))
  const wave = (step: number, unit: number) => Math.sin((2 * Math.PI * (SINE_HZ[unit] ?? 1) * step) / 1000)
  return Float64Array.from({ length: batch * steps * outputs }, (_, i) =>
    wave(Math.floor(i / outputs) % steps, i % outputs)
  )
}
