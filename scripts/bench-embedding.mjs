// `npm run bench:embedding`: what a program notices of training that runs within it. The event loop's delay with four trainings
// in this process, in another process, and without them; and how long each function holds JavaScript's thread at most.
// Prints Markdown and writes it into docs/embedding.md. --seconds N is for a look, which is printed and not written.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { heldBy, quantile } from './lib/held.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'

const DOCUMENT = 'docs/embedding.md'
const { values } = parseArgs({ options: { seconds: { type: 'string' } } })
const milliseconds = 1000 * Number(values.seconds ?? 20)
/** Calls of each function. */
const CALLS = 20
/** Between two looks at the event loop. */
const PERIOD_MS = 1

/** The event loop's delay while something runs: how much later than it should a timer of 1 ms fires. */
async function delayDuring(body) {
  const histogram = monitorEventLoopDelay({ resolution: PERIOD_MS })
  histogram.enable()
  await body()
  histogram.disable()
  const ms = nanoseconds => (nanoseconds / 1e6 - PERIOD_MS).toFixed(2)
  return [50, 90, 99, 99.9].map(share => ms(histogram.percentile(share))).concat(ms(histogram.max))
}

async function elsewhere() {
  const program = fileURLToPath(new URL('lib/four-trainings.mjs', import.meta.url))
  const child = spawn(process.execPath, [program, String(milliseconds + 2000)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await once(child.stdout, 'data')
  await sleep(1000)
  const delay = await delayDuring(() => sleep(milliseconds))
  child.kill()
  await once(child, 'exit')
  return delay
}

async function loopTable() {
  const { fourTrainings } = await import('./lib/four-trainings.mjs')
  const alone = await delayDuring(() => sleep(milliseconds))
  const other = await elsewhere()
  const within = await delayDuring(() => fourTrainings(milliseconds))
  // Measured on its own: the hook that tells of every piece takes time itself.
  let iterations = 0
  const pieces = await heldBy(async () => {
    iterations = await fourTrainings(milliseconds)
  })
  const rows = [
    ['delay of the event loop, ms', 'median', '90 %', '99 %', '99.9 %', 'most'],
    ['nothing else', ...alone],
    ['four trainings in another process', ...other],
    ['four trainings in this process', ...within]
  ]
  const longest = [0.5, 0.99, 1].map(share => quantile(pieces, share).toFixed(2))
  return [
    markdown(rows),
    `Timed inside: ${pieces.length} pieces of work on JavaScript's thread in ${iterations} iterations of the four trainings; median ${longest[0]} ms, 99 % under ${longest[1]} ms, the longest ${longest[2]} ms.`
  ]
}

/** What is timed: a name, and what to do with the network of Fig. 3C or one of 1000 cells. */
async function calls(library, { task, model, batch, folder }) {
  const { loss } = task
  const file = join(folder, 'weights.safetensors')
  await model.save(file)
  const { values: weights } = model.weights.get('cells->cells')
  return [
    ['Model.createAsync', () => library.Model.createAsync(model.description)],
    ['Model.load', () => library.Model.load(file)],
    ['model.save', () => model.save(file)],
    ['model.clone', async () => model.clone().dispose()],
    ['weights.get', async () => model.weights.get('cells->cells')],
    ['weights.set', async () => model.weights.set('cells->cells', weights)],
    ['makeBatch', () => library.makeBatch(task, { split: 'test', size: 64, seed: 1 })],
    ['simulate', () => library.simulate(model, batch)],
    ['evaluate', () => library.evaluate(model, batch, { loss })],
    ['gradients', () => library.gradients(model, batch, { rule: 'mdgl', loss })],
    ['alignment', () => library.alignment(model, batch, { rules: ['mdgl'], loss })],
    ['train, an iteration', iteration(library, { task, model })],
    ['session.step', sessionStep(model)],
    ['Model.create', async () => library.Model.create(model.description).dispose()]
  ]
}

/** A training that is left after its first iteration. */
function iteration(library, { task, model }) {
  return async () => {
    for await (const _ of library.train(model, task, { rule: 'mdgl' })) break
  }
}

/** Steps of one session. */
function sessionStep(model) {
  const events = { cues: Uint32Array.of(1, 2, 3) }
  return async () => {
    const session = model.session({ rule: 'mdgl-online' })
    for (let step = 0; step < 100; step++)
      await new Promise(resolve => setImmediate(() => resolve(session.step(events))))
    session.dispose()
  }
}

/** Fig. 3C's cells, and ten times as many with the same number of synapses each. */
function networks(library) {
  const task = library.evidenceAccumulation()
  const large = library
    .network({ seed: 1 })
    .input('cues', 40)
    .alif('cells', 1000, { sign: { excitatory: 810, inhibitory: 190 } })
    .readout('choice', 2)
    .project('cues', 'cells', { density: 0.1 })
    .project('cells', 'cells', { density: 0.01 })
    .project('cells', 'choice', { density: 0.1 })
    .build()
  return { task, descriptions: [task.network({ seed: 1 }), large] }
}

async function heldTable(folder) {
  const library = await import('../dist/index.js')
  const { task, descriptions } = networks(library)
  const batch = await library.makeBatch(task, { split: 'test', size: 64, seed: 1 })
  const columns = []
  for (const description of descriptions) {
    const model = await library.Model.createAsync(description)
    const column = []
    for (const [name, call] of await calls(library, { task, model, batch, folder })) {
      await call()
      const longest = []
      for (let i = 0; i < CALLS; i++) longest.push(Math.max(...(await heldBy(call))))
      column.push({ name, median: quantile(longest, 0.5).toFixed(2), most: Math.max(...longest).toFixed(2) })
    }
    columns.push(column)
  }
  const [small, large] = columns
  return markdown([
    ['longest hold of a call, ms', '100 cells, median', 'most', '1000 cells, median', 'most'],
    ...small.map(({ name, median, most }, i) => [`\`${name}\``, median, most, large[i].median, large[i].most])
  ])
}

await guarded(async () => {
  await prepare()
  const load = await waitQuiet()
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-'))
  const [loop, inside] = await loopTable()
  const held = await heldTable(folder)
  await rm(folder, { recursive: true })
  const text = [
    loop,
    inside,
    `The longest piece of work on JavaScript's thread within one call, ${CALLS} calls each, with a batch of 64 trials of Fig. 3C:`,
    held,
    `\`npm run bench:embedding\` on ${circumstances(load)}`
  ].join('\n\n')
  console.log(text)
  if (values.seconds === undefined) writeGenerated(DOCUMENT, 'event-loop', text)
  return 0
})
