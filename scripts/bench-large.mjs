// `npm run bench:large`: what networks of up to 100 000 cells cost, each in a fresh process: seconds to create, memory, and the
// time of an iteration by rule; and how these grow. Prints Markdown and writes it into docs/performance.md; --cells N is for a look
// at one size, which is printed and not written.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'
import { ROOT } from './lib/run.mjs'

const { values: given } = parseArgs({ options: { cells: { type: 'string' } } })
/** A hundred synapses per cell, whatever their number: 10 %, 1 % and 0.1 % of all pairs. */
const SYNAPSES_PER_CELL = 100
const CELLS = given.cells === undefined ? [1000, 10_000, 100_000] : [Number(given.cells)]
const RULES = ['eprop', 'mdgl', 'bptt']

/** What one process does; it prints ms of processor time and MB. */
async function program(entry, cells, each, rules) {
  const { Model, gradients, network, simulate } = await import(entry)
  const initialise = { scheme: 'normal', standardDeviation: 0.07 }
  const megabytes = () => process.memoryUsage().rss / 2 ** 20
  const timed = async body => {
    const begun = process.cpuUsage()
    const value = await body()
    const { user, system } = process.cpuUsage(begun)
    return [(user + system) / 1000, value]
  }
  const result = {}
  const description = network({ seed: 1 })
    .input('in', 40)
    .lif('lif', cells / 2)
    .alif('alif', cells / 2)
    .readout('out', 2)
    .project('in', ['lif', 'alif'], { density: 0.1, initialise: { scheme: 'normal', standardDeviation: 0.5 } })
    .project(['lif', 'alif'], ['lif', 'alif'], { density: each / cells, initialise })
    .project(['lif', 'alif'], 'out', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.01 } })
    .build()
  const before = megabytes()
  const [create, model] = await timed(() => Model.create(description))
  Object.assign(result, { create, model: megabytes() - before })
  const [trials, length] = [16, 100]
  const rates = Array.from({ length: trials }, (_, trial) => ({ trial, units: [0, 40], from: 0, to: length, rate: 40 }))
  const targets = Array.from({ length: trials }, (_, trial) => trial % 2)
  const batch = { length, trials, inputs: { in: { rates } }, targets }
  const { spikes } = await simulate(model, batch)
  result.spikes = spikes.length / 3 / (cells * trials * length)
  for (const rule of rules) {
    const iteration = () => gradients(model, batch, { rule, loss: { kind: 'cross-entropy' }, threads: 1 })
    await iteration()
    const times = []
    for (let i = 0; i < (cells > 10_000 ? 1 : 3); i++) times.push((await timed(iteration))[0])
    result[rule] = Math.min(...times)
  }
  result.peak = process.resourceUsage().maxRSS / 1024
  console.log(JSON.stringify(result))
}

function measure(cells, rules) {
  const entry = pathToFileURL(join(ROOT, 'dist/index.js')).href
  const call = [entry, cells, SYNAPSES_PER_CELL, rules].map(value => JSON.stringify(value)).join(', ')
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', `${program}\nawait program(${call})`],
    { encoding: 'utf8' }
  )
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

/** One row per size: rules in turn, each in a process of its own, whose peak is the rule's. */
function row(cells) {
  const runs = RULES.map(rule => measure(cells, [rule]))
  const [{ create, model, spikes }] = runs
  const times = runs.map((run, i) => run[RULES[i]])
  return { cells, create, model, spikes, times, peaks: runs.map(({ peak }) => peak) }
}

/** k of y ∝ cellsᵏ between the first row and the last. */
function exponent(rows, of) {
  const [first, last] = [rows[0], rows.at(-1)]
  return (Math.log(of(last) / of(first)) / Math.log(last.cells / first.cells)).toFixed(2)
}

function table(rows) {
  const header = ['cells', 'synapses', 'spikes per cell and s', 'create, s', 'model, MB']
  const each = RULES.flatMap(rule => [`${rule}, ms`, 'peak, MB'])
  const cellsOf = ({ cells, create, model, spikes, times, peaks }) => [
    String(cells),
    String(cells * SYNAPSES_PER_CELL),
    (1000 * spikes).toFixed(0),
    (create / 1000).toFixed(2),
    model.toFixed(0),
    ...times.flatMap((ms, i) => [ms.toFixed(0), peaks[i].toFixed(0)])
  ]
  const growth = [
    'exponent',
    '',
    '',
    exponent(rows, ({ create }) => create),
    exponent(rows, ({ model }) => model),
    ...RULES.flatMap((_, i) => [exponent(rows, ({ times }) => times[i]), exponent(rows, ({ peaks }) => peaks[i])])
  ]
  return markdown([[...header, ...each], ...rows.map(cellsOf), ...(rows.length > 1 ? [growth] : [])])
}

await guarded(async () => {
  await prepare()
  const load = await waitQuiet()
  const text = [
    table(CELLS.map(row)),
    '',
    `Processor time of an iteration of 16 trials of 100 steps on one thread, after a first one that is not counted; up to 10 000 cells the least of 3; peak of the`,
    `process of each rule; exponents k of cellsᵏ from the first row to the last. \`npm run bench:large\` on ${circumstances(load)}`
  ].join('\n')
  console.log(text)
  if (given.cells === undefined) writeGenerated('docs/performance.md', 'large', text)
  return 0
})
