import { type Batch, network, type Task } from '../../src/index.js'

/** Names are inferred; a network that learns something within a few fast iterations. */
export function smallNetwork({ seed = 1 } = {}) {
  return network({ seed })
    .input('cues', 20)
    .lif('cells', 30, { sign: { excitatory: 24, inhibitory: 6 } })
    .alif('slow', 10, { sign: 'excitatory', adaptationTimeConstant: 200 })
    .readout('choice', 2)
    .type('inhibitory', { cells: { from: 0, to: 6 } })
    .type('excitatory', { cells: { from: 6, to: 30 }, slow: 'all' })
    .project('cues', 'cells', { density: 0.5 })
    .project('cues', 'slow', { density: 0.5 })
    .project('cells', 'cells', { density: 0.2 })
    .project('cells', 'slow', { density: 0.2 })
    .project('slow', 'cells', { density: 0.2, name: 'back' })
    .project('cells', 'choice', { density: 1 })
    .build()
}

export const STEPS = 60

/** A batch with one trial per class: its half of the cues fires. */
export function smallBatch(classes: readonly number[] = [0, 1, 1, 0]): Batch<'cues'> {
  const rates = classes.map((side, trial) => ({
    trial,
    units: [side * 10, side * 10 + 10] as const,
    from: 0,
    to: STEPS,
    rate: 100
  }))
  return { length: STEPS, inputs: { cues: { rates } }, targets: classes }
}

/** Which half of the cues fired? */
export const sides: Task = {
  name: 'sides',
  loss: { kind: 'cross-entropy' },
  optimiser: { kind: 'adam', l1: 0.01, rewiring: true },
  batchSize: 20,
  iterations: 3,
  validateEvery: 0,
  batch: ({ size, rng }) => smallBatch(Array.from({ length: size }, (_, trial) => rng.trial(trial).integer(2)))
}

/** All of an async iterable. */
export async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of iterable) all.push(item)
  return all
}
