import type { Model } from '../model/model.js'
import type { WholeDescription, WholeProjection } from '../network/description.js'
import { writeAside } from '../support/write-aside.js'
import { inputEvents } from './input-events.js'
import type { Work } from './work.js'

/** The format of an exported workload. */
const BENCH_FORMAT = 'mdgl-bench/1'

/**
 * Writes a workload to one JSON file that any language reads: the network with every synapse and its weight, one batch
 * with its input events and targets, the loss and the optimiser. `network` and `batch` are what `Model.create`
 * and `simulate` take.
 */
export async function exportWork({ name, seed, model, task, batch }: Work, path: string): Promise<void> {
  const events = await inputEvents(batch, model.description)
  const exported = {
    format: BENCH_FORMAT,
    workload: name,
    seed,
    network: withConnections(model),
    loss: task.loss,
    optimiser: task.optimiser,
    batch: {
      length: batch.length,
      trials: batch.trials,
      inputs: Object.fromEntries(
        [...events].map(([population, triples]) => [population, { events: inThrees(triples) }])
      ),
      targets: ArrayBuffer.isView(batch.targets)
        ? Array.from<number | bigint, number>(batch.targets, Number)
        : batch.targets
    }
  }
  await writeAside(path, Buffer.from(`${JSON.stringify(exported)}\n`))
}

/** The network with the model's current synapses and weights in place of densities. */
function withConnections(model: Model): WholeDescription {
  return { ...model.description, projections: model.description.projections.map(part => listed(model, part)) }
}

function listed(model: Model, { name, from, to, delay, plastic }: WholeProjection): WholeProjection {
  const { pre, post, values } = model.weights.get(name)
  const connections = { pre: Array.from(pre), post: Array.from(post), values: Array.from(values) }
  return { name, from, to, connections, delay, plastic }
}

function inThrees(flat: Uint32Array): number[][] {
  return Array.from({ length: flat.length / 3 }, (_, i) => Array.from(flat.subarray(3 * i, 3 * i + 3)))
}
