import { Model } from '../model/model.js'
import { network } from '../network/builder.js'
import type { InputPopulation, WholeDescription } from '../network/description.js'
import { simulate } from '../operations/simulate.js'
import { isUint32Array } from '../support/recognise.js'
import type { Batch, InputValues } from '../task/batch.js'

/** No memory, so that a cell's voltage is its input of the step alone. */
const INSTANTLY = 0

/** The input events of a batch, triples (trial, step, unit), as {@link simulate} draws them. */
export async function inputEvents(batch: Batch, description: WholeDescription): Promise<Map<string, Uint32Array>> {
  const events = new Map<string, Uint32Array>()
  for (const population of description.inputs) {
    const input: InputValues | undefined = batch.inputs[population.name]
    if (input !== undefined && 'events' in input && isUint32Array(input.events)) {
      events.set(population.name, input.events)
    } else if (input !== undefined) {
      events.set(population.name, await drawn(batch, input, population, description.seed))
    }
  }
  return events
}

/** The engine's draws are seen through cells that repeat each unit's events. Holds for the first input population. */
async function drawn(batch: Batch, input: InputValues, { name, size }: InputPopulation, seed: number) {
  const units = Array.from({ length: size }, (_, i) => i)
  const relay = network({ seed })
    .input(name, size)
    .lif('relay', size, { membraneTimeConstant: INSTANTLY, refractoryPeriod: 0 })
    .project(name, 'relay', { connections: { pre: units, post: units, values: units.map(() => 1) } })
    .build()
  using model = Model.create(relay)
  const { length, trials } = batch
  const { spikes } = await simulate(model, {
    length,
    ...(trials !== undefined && { trials }),
    inputs: { [name]: input }
  })
  return spikes
}
