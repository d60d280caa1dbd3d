// `npm run bench:delays`: what delays per synapse cost, in the network of sequential MNIST: processor time of an iteration on one
// thread, by rule. Prints Markdown and writes it into docs/performance.md.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'
import { ROOT } from './lib/run.mjs'

const RULES = ['eprop', 'mdgl', 'bptt']
const ONE_TO_TEN = { scheme: 'uniform', low: 1, high: 10 }
/** Delays of synapses between cells, and of those from inputs. */
const ROWS = [
  ['one step', 1, 1],
  ['1 to 10 steps between cells', ONE_TO_TEN, 1],
  ['from inputs, too', ONE_TO_TEN, ONE_TO_TEN]
]
const [TRIALS, STEPS, INPUTS] = [64, 840, 80]
const ROUNDS = 5

/** Ms of processor time of each rule, the least of some rounds. */
async function times({ Model, gradients, network }, between, fromInputs) {
  const description = network({ seed: 1 })
    .input('pixels', INPUTS)
    .lif('lif', 120)
    .alif('alif', 100)
    .readout('digit', 10)
    .project('pixels', ['lif', 'alif'], { density: 0.12, delay: fromInputs })
    .project(['lif', 'alif'], ['lif', 'alif'], { density: 0.12, delay: between })
    .project(['lif', 'alif'], 'digit', { density: 0.12 })
    .build()
  const model = Model.create(description)
  const everywhere = { units: [0, INPUTS], from: 0, to: STEPS, rate: 20 }
  const rates = Array.from({ length: TRIALS }, (_, trial) => ({ trial, ...everywhere }))
  const targets = Array.from({ length: TRIALS }, (_, trial) => trial % 10)
  const batch = { length: STEPS, trials: TRIALS, inputs: { pixels: { rates } }, targets }
  const loss = { kind: 'cross-entropy', window: 28 }
  const least = []
  for (const rule of RULES) {
    const rounds = []
    for (let round = 0; round <= ROUNDS; round++) {
      const begun = process.cpuUsage()
      await gradients(model, batch, { rule, loss, threads: 1 })
      const { user, system } = process.cpuUsage(begun)
      rounds.push((user + system) / 1000)
    }
    least.push(Math.min(...rounds.slice(1)))
  }
  model.dispose()
  return least
}

await guarded(async () => {
  await prepare()
  const library = await import(pathToFileURL(join(ROOT, 'dist/index.js')).href)
  const load = await waitQuiet()
  const rows = []
  for (const [name, between, fromInputs] of ROWS) {
    rows.push([name, ...(await times(library, between, fromInputs)).map(ms => ms.toFixed(1))])
  }
  const text = [
    markdown([['delays', ...RULES.map(rule => `${rule}, ms`)], ...rows]),
    '',
    `Processor time of an iteration on one thread, the least of ${ROUNDS} after a first one that is not counted. \`npm run bench:delays\` on ${circumstances(load)}`
  ].join('\n')
  console.log(text)
  writeGenerated('docs/performance.md', 'delays', text)
  return 0
})
