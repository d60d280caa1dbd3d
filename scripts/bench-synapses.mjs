// `npm run bench:synapses`: how long networks take whose synapses are listed one by one, and how much memory, each in a fresh
// process: from typed arrays to a description, a model and its first steps; then to a file and back. Prints Markdown and writes it into
// docs/performance.md. --synapses N is for a look at one size, which is printed and not written.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'
import { ROOT } from './lib/run.mjs'

const { values: given } = parseArgs({ options: { synapses: { type: 'string' } } })
const SIZES = given.synapses === undefined ? [750_000, 3_000_000] : [Number(given.synapses)]
const RUNS = given.synapses === undefined ? 3 : 1

/** What one process does; it prints seconds of processor time by stage, and the most memory that it had before the file and after it. */
async function program(entry, synapses, listed) {
  const { mkdtempSync, rmSync, statSync } = await import('node:fs')
  const { tmpdir } = await import('node:os')
  const { join } = await import('node:path')
  const { Model, network, simulate } = await import(entry)
  const each = 300
  const cells = synapses / each
  const [pre, post, values] = [new Uint32Array(synapses), new Uint32Array(synapses), new Float32Array(synapses)]
  // Ordered by sender, which is not the engine's order: receivers lie 7 apart, each once.
  for (let i = 0; i < synapses; i++) {
    pre[i] = Math.floor(i / each)
    post[i] = (pre[i] + 1 + 7 * (i % each)) % cells
    values[i] = Math.sin(i) / 100
  }
  const connections = listed ? { pre: [...pre], post: [...post], values: [...values] } : { pre, post, values }
  const megabytes = () => process.resourceUsage().maxRSS / 1024
  const result = {}
  const stage = async (name, body) => {
    const begun = process.cpuUsage()
    const value = await body()
    const { user, system } = process.cpuUsage(begun)
    result[name] = (user + system) / 1e6
    return value
  }
  const begun = performance.now()
  const description = await stage('build', () =>
    network({ seed: 1 })
      .input('in', 1)
      .lif('cells', cells)
      .readout('out', 1)
      .project('in', 'cells', { density: 0.1, initialise: { scheme: 'normal', standardDeviation: 1 } })
      .project('cells', 'cells', { connections })
      .project('cells', 'out', { density: 0.1, initialise: { scheme: 'normal', standardDeviation: 1 } })
      .build()
  )
  const model = await stage('create', () => Model.create(description))
  const inputs = { in: { rates: [{ trial: 0, units: [0, 1], from: 0, to: 10, rate: 500 }] } }
  await stage('simulate', () => simulate(model, { length: 10, trials: 1, inputs }))
  result.elapsed = (performance.now() - begun) / 1000
  result.peak = megabytes()
  const folder = mkdtempSync(join(tmpdir(), 'mdgl-synapses-'))
  try {
    const path = join(folder, 'weights.safetensors')
    await stage('save', () => model.save(path))
    result.file = statSync(path).size / 2 ** 20
    await stage('load', () => Model.load(path))
  } finally {
    rmSync(folder, { recursive: true })
  }
  result.end = megabytes()
  console.log(JSON.stringify(result))
}

function measure(synapses, listed) {
  const entry = pathToFileURL(join(ROOT, 'dist/index.js')).href
  const code = `${program}\nawait program(${JSON.stringify(entry)}, ${synapses}, ${listed})`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8'
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

/** Of each figure the least, which other processes have disturbed least. */
function least(synapses, listed) {
  const runs = Array.from({ length: RUNS }, () => measure(synapses, listed))
  return Object.fromEntries(Object.keys(runs[0]).map(key => [key, Math.min(...runs.map(run => run[key]))]))
}

function table() {
  const header = ['synapses', 'given as', 'build, s', 'create, s', 'simulate, s', 'elapsed, s', 'peak, MB']
  const filed = ['file, MB', 'save, s', 'load, s', 'peak, MB']
  const rows = SIZES.flatMap(synapses =>
    [false, true].map(listed => {
      const { build, create, simulate, elapsed, peak, file, save, load, end } = least(synapses, listed)
      const stages = [build, create, simulate, elapsed].map(seconds => seconds.toFixed(2))
      const later = [file.toFixed(0), save.toFixed(2), load.toFixed(2), end.toFixed(0)]
      return [synapses, listed ? 'arrays' : 'typed arrays', ...stages, peak.toFixed(0), ...later]
    })
  )
  return markdown([[...header, ...filed], ...rows], 2)
}

await guarded(async () => {
  await prepare()
  const load = await waitQuiet()
  const text = [
    table(),
    `The least of ${RUNS} processes each; \`npm run bench:synapses\` on ${circumstances(load)}`
  ].join('\n\n')
  console.log(text)
  if (given.synapses === undefined) writeGenerated('docs/performance.md', 'synapses', text)
  return 0
})
