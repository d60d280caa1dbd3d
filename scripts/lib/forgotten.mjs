// How much memory a process takes that forgets models, online sessions and trainings without a word: `node scripts/lib/forgotten.mjs
// [count] [cells]`. In a loop that never gives the event loop a turn finalizers wait, so that memory comes back where it would be refused.

import { spawnSync } from 'node:child_process'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Model, network, train } from '../../dist/index.js'

const [count, cells] = [process.argv[2] ?? '100', process.argv[3] ?? '200'].map(Number)
const way = process.argv[4]

const description = network({ seed: 1 })
  .input('in', 4)
  .lif('cells', cells)
  .readout('out', 2)
  .project('in', 'cells', { density: 1 })
  .project('cells', 'cells', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.001 } })
  .project('cells', 'out', { density: 1 })
  .build()
const task = {
  name: 'silence',
  loss: { kind: 'cross-entropy' },
  batch: ({ size }) => ({ length: 1000, trials: size, inputs: {}, targets: new Uint32Array(size) })
}
const session = () => Model.create(description).session({ rule: 'mdgl-online' }).step()
const copy = () => Model.create(description).clone()

const WAYS = {
  'online sessions, a turn each': () => turn(session()),
  'online sessions, no turn': session,
  'models and clones, a turn each': () => turn(copy()),
  'models and clones, no turn': copy,
  'trainings after an iteration': () =>
    train(Model.create(description), task, { rule: 'mdgl', batchSize: 16, validateEvery: 0, threads: 1 }).next()
}

if (way === undefined) {
  console.log(`${count} of ${cells} cells, each forgotten      peak MB   seconds`)
  for (const name of Object.keys(WAYS)) {
    // Each in a process of its own, for its peak.
    const args = [fileURLToPath(import.meta.url), String(count), String(cells), name]
    process.stdout.write(
      spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).stdout
    )
  }
} else {
  const begun = performance.now()
  for (let i = 0; i < count; i++) {
    const forgotten = WAYS[way]()
    if (forgotten instanceof Promise) await forgotten
  }
  const peak = process.resourceUsage().maxRSS / 1024
  const seconds = (performance.now() - begun) / 1000
  console.log(`${way.padEnd(34)} ${peak.toFixed(0).padStart(12)} ${seconds.toFixed(1).padStart(9)}`)
  // A training that was forgotten is no reason to stay.
  process.exit()
}
