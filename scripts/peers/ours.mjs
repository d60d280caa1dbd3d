// mdgl's side of the comparison, through the public API: node ours.mjs FILE RULE THREADS PRECISION, with the protocol of
// work.py; `check FILE` writes the gradients there.
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { evidenceAccumulation, gradients, Model, simulate, train } from '../../dist/index.js'

const [path, rule, threads, precision] = process.argv.slice(2)
const { workload, seed, network, loss, optimiser, batch: exported } = JSON.parse(readFileSync(path, 'utf8'))
const model = Model.create(network, { precision })

const inputs = Object.fromEntries(
  Object.entries(exported.inputs).map(([name, { events }]) => [name, { events: Uint32Array.from(events.flat()) }])
)
const targets = loss.kind === 'cross-entropy' ? Uint32Array.from(exported.targets) : Float64Array.from(exported.targets)
const batch = { ...exported, inputs, targets }
const fixed = { name: workload, loss, optimiser, batchSize: exported.trials, batch: () => batch }
// Fig. 3C draws a new batch every iteration; that is part of its work, and the peers have theirs for nothing.
const task = workload === 'W-paper' ? evidenceAccumulation() : fixed
const options = { rule, threads: Number(threads), seed, batchSize: exported.trials, iterations: 1e6, validateEvery: 0 }

async function check(to) {
  const { evaluation, projections } = await gradients(model, batch, { rule, loss })
  const { spikes } = await simulate(model, batch)
  const values = Object.entries(projections).map(([name, projection]) => [name, Array.from(projection.values)])
  writeFileSync(to, JSON.stringify({ gradients: Object.fromEntries(values) }))
  return { loss: evaluation.loss, spikes: spikes.length / 3 }
}

let training
async function step(count) {
  training ??= train(model, task, options)
  const ms = []
  for (let i = 0; i < count; i++) {
    const begun = performance.now()
    await training.next()
    ms.push(performance.now() - begun)
  }
  return { ms }
}

const say = value => console.log(JSON.stringify(value))
say({ peer: 'mdgl' })
for await (const line of createInterface({ input: process.stdin })) {
  const [command, argument] = line.split(' ')
  say(command === 'check' ? await check(argument) : await step(Number(argument)))
}
await training?.return()
