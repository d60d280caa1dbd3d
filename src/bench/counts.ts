import { simulate } from '../operations/simulate.js'
import { inputEvents } from './input-events.js'
import type { Work } from './work.js'

/** What one forward pass over a batch does. */
export interface Counts {
  /** Cells × steps × trials. */
  readonly neuronUpdates: number
  /** Spikes of the cells. */
  readonly spikes: number
  /** Spikes of cells and inputs, each times its synapses onto cells. */
  readonly synapticEvents: number
}

/** Counts exactly, from a recorded simulation of the work's batch with the weights as they are. */
export async function countEvents({ model, batch }: Work): Promise<Counts> {
  const { spikes, shape } = await simulate(model, batch)
  const events = new Map<string, Uint32Array>(await inputEvents(batch, model.description))
  for (const [name, { from, to }] of Object.entries(shape.populations)) events.set(name, within(spikes, from, to))
  let synapticEvents = 0
  for (const { name, from, to } of model.description.projections) {
    if (!Object.hasOwn(shape.populations, to)) continue
    const { pre, shape: matrix } = model.weights.get(name)
    synapticEvents += weighted(events.get(from) ?? new Uint32Array(), fanOut(pre, matrix[0]))
  }
  return { neuronUpdates: shape.neurons * shape.steps * shape.trials, spikes: spikes.length / 3, synapticEvents }
}

/** The spikes of the neurons `[from, to)`, numbered from 0. */
function within(spikes: Uint32Array, from: number, to: number): Uint32Array {
  const kept: number[] = []
  for (let i = 2; i < spikes.length; i += 3) {
    const neuron = spikes[i] ?? 0
    if (neuron >= from && neuron < to) kept.push(spikes[i - 2] ?? 0, spikes[i - 1] ?? 0, neuron - from)
  }
  return Uint32Array.from(kept)
}

function fanOut(pre: Uint32Array, units: number): Uint32Array {
  const synapses = new Uint32Array(units)
  for (const unit of pre) synapses[unit] = (synapses[unit] ?? 0) + 1
  return synapses
}

function weighted(events: Uint32Array, weights: Uint32Array): number {
  let sum = 0
  for (let i = 2; i < events.length; i += 3) sum += weights[events[i] ?? 0] ?? 0
  return sum
}
