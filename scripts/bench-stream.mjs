// `npm run bench:stream`: how long a step of an online session takes, which learns from an error at every step. Percentiles of the
// time of `step` and `addLoss` together, and of `update`. Prints Markdown and writes it into docs/performance.md; --steps N is for
// a look, which is printed and not written.
import { parseArgs } from 'node:util'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { quantile } from './lib/held.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'

const { values: given } = parseArgs({ options: { steps: { type: 'string' } } })
const STEPS = Number(given.steps ?? 5000)
const CELLS = [100, 1000]
const RULES = ['eprop-online', 'mdgl-online']
/** Steps between two updates. */
const PERIOD = 100
const INPUTS = 40

function describe({ network }, cells) {
  return network({ seed: 1 })
    .input('in', INPUTS)
    .lif('lif', cells / 2)
    .alif('alif', cells / 2)
    .readout('out', 2)
    .project('in', ['lif', 'alif'], { density: 0.1 })
    .project(['lif', 'alif'], ['lif', 'alif'], { density: 0.1 })
    .project(['lif', 'alif'], 'out', { density: 1 })
    .build()
}

/** One session: µs of each step and each update, processor time per step, spikes per cell and step. */
function measure(library, description, rule) {
  const session = library.Model.create(description).session({ rule })
  const [steps, updates] = [[], []]
  let spikes = 0
  const timed = (list, call) => {
    const begun = performance.now()
    const result = call()
    list.push(1000 * (performance.now() - begun))
    return result
  }
  const step = i => {
    const events = { in: Uint32Array.of(i % INPUTS, (3 * i) % INPUTS, (7 * i + 1) % INPUTS) }
    const result = timed(steps, () => {
      const after = session.step(events)
      session.addLoss({ out: { target: Math.floor(i / 50) % 2 } })
      return after
    })
    for (const list of Object.values(result.spikes)) spikes += list.length
    if (i % PERIOD === PERIOD - 1) timed(updates, () => session.update())
  }
  for (let i = 0; i < 2 * PERIOD; i++) step(i)
  steps.length = updates.length = spikes = 0
  const before = process.threadCpuUsage?.() ?? process.cpuUsage()
  for (let i = 0; i < STEPS; i++) step(i)
  const after = process.threadCpuUsage?.() ?? process.cpuUsage()
  session.dispose()
  const processor = (after.user + after.system - before.user - before.system) / STEPS
  return { steps, updates, spikes: spikes / STEPS, processor }
}

await guarded(async () => {
  await prepare()
  const library = await import('../dist/index.js')
  const load = await waitQuiet()
  const shares = [0.5, 0.9, 0.99, 0.999, 1]
  const rows = []
  for (const cells of CELLS) {
    const description = describe(library, cells)
    for (const rule of RULES) {
      const { steps, updates, spikes, processor } = measure(library, description, rule)
      const percentiles = shares.map(share => quantile(steps, share).toFixed(0))
      const update = quantile(updates, 0.5).toFixed(0)
      rows.push([String(cells), rule, spikes.toFixed(1), ...percentiles, processor.toFixed(0), update])
    }
  }
  const header = [
    'cells',
    'rule',
    'spikes per step',
    'median, µs',
    '90 %',
    '99 %',
    '99.9 %',
    'most',
    'processor',
    'update'
  ]
  const text = [
    markdown([header, ...rows], 2),
    '',
    `${STEPS} steps each after ${2 * PERIOD} others, an update every ${PERIOD}; *processor*: processor time per step, updates included, in µs; *update*: its`,
    `median. \`npm run bench:stream\` on ${circumstances(load)}`
  ].join('\n')
  console.log(text)
  if (given.steps === undefined) writeGenerated('docs/performance.md', 'stream', text)
  return 0
})
