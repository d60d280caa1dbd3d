// `npm run bench`: every workload, rule, thread count and instruction set, networks of numbers near 0 against an active one,
// and how the time grows with the network.
// Prints Markdown, writes it into docs/performance.md, and the curves to docs/pictures/scaling.{svg,png}.
// Options for a look at a part, which is printed and not written: --workloads W,W3 --rules mdgl --simd avx512 --no-scaling
// --no-ratios.
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bench, exponent, factor } from './lib/bench-runs.mjs'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'
import { ROOT } from './lib/run.mjs'

const { values } = parseArgs({
  options: {
    workloads: { type: 'string', default: 'W,W-paper,W2,W3,W-dense' },
    rules: { type: 'string', default: 'bptt,eprop,mdgl,nl-mdgl,mdgl-cell,on-mdgl' },
    simd: { type: 'string', default: 'avx512,avx2,portable' },
    'no-scaling': { type: 'boolean', default: false },
    'no-ratios': { type: 'boolean', default: false }
  }
})
const workloads = values.workloads.split(',')
const rules = values.rules.split(',')
const threadCounts = [1, 2]
const whole = process.argv.length === 2

/** The largest use of cores by others that was seen before a group of runs. */
let load = null

async function quiet() {
  const others = await waitQuiet()
  if (others !== null) load = Math.max(load ?? 0, others)
}

async function workloadTables() {
  const tables = []
  for (const workload of workloads) {
    const results = []
    for (const simd of values.simd.split(',')) {
      console.error(`mdgl: ${workload}, ${simd}`)
      await quiet()
      for (const threads of threadCounts) {
        for (const rule of rules) {
          const result = await bench(workload, { rule, threads, simd, repeats: 3 })
          if (result !== null) results.push(result)
        }
      }
    }
    tables.push(workloadTable(workload, results))
  }
  return tables.join('\n\n')
}

/** One row per instruction set and thread count, one column per rule; rates of MDGL, or of the first rule. */
function workloadTable(workload, results) {
  const rated = rules.includes('mdgl') ? 'mdgl' : rules[0]
  const rows = values.simd.split(',').flatMap(simd =>
    threadCounts.flatMap(threads => {
      const of = results.filter(result => result.simd === simd && result.threads === threads)
      const rate = of.find(({ rule }) => rule === rated)
      if (rate === undefined) return []
      const times = rules.map(rule => of.find(result => result.rule === rule).msPerIteration.toFixed(1))
      const rates = [rate.neuronUpdatesPerSecond, rate.synapticEventsPerSecond].map(value => (value / 1e6).toFixed(0))
      return [[simd, String(threads), ...times, ...rates]]
    })
  )
  const header = ['instructions', 'threads', ...rules.map(rule => `${rule}, ms`)]
  return [
    `### ${workload}: ms per iteration`,
    '',
    markdown([[...header, `${rated}: 10⁶ neuron updates/s`, '10⁶ synaptic events/s'], ...rows], 1)
  ].join('\n')
}

const PASSES = ['forward', 'gradient', 'neuron-update', 'backward-recursion']

/** Decayed state and faint learning signals must not slow a kernel: ratios to W, in turns. */
async function ratios() {
  const rows = []
  for (const workload of ['W-silent', 'W-faint']) {
    for (const simd of values.simd.split(',')) {
      console.error(`mdgl: ${workload} against W, ${simd}`)
      await quiet()
      for (const rule of SCALING_RULES) {
        const result = await bench(workload, { against: 'W', rule, simd, threads: 1, repeats: 20 })
        if (result !== null) rows.push([workload, simd, rule, ...PASSES.map(pass => result.ratio[pass].toFixed(2))])
      }
    }
  }
  return [
    '### Numbers near 0',
    '',
    'Processor time per neuron update over that of W, 1 thread, the least of 20 rounds in turns.',
    '',
    markdown([['workload', 'instructions', 'rule', ...PASSES], ...rows], 3)
  ].join('\n')
}

/** Each from the same network: W with 1000 steps. */
const BASE = { neurons: 100, steps: 1000, batch: 64, density: 0.1, threads: 2 }
const SWEEPS = [
  { key: 'neurons', label: 'neurons N', xs: [50, 100, 200, 400, 800] },
  { key: 'steps', label: 'steps T (ms)', xs: [250, 500, 1000, 2000, 4000] },
  { key: 'batch', label: 'batch (trials)', xs: [1, 4, 16, 64, 256] },
  { key: 'density', label: 'density', xs: [0.02, 0.05, 0.1, 0.2, 0.5, 1] },
  { key: 'threads', label: 'threads', xs: [1, 2, 4, 8, 16].filter(count => count <= cpus().length) }
]
const SCALING_RULES = ['bptt', 'eprop', 'mdgl']

async function scaling() {
  const panels = []
  for (const { key, label, xs } of SWEEPS) {
    console.error(`mdgl: scaling with ${key}`)
    await quiet()
    const points = []
    for (const x of xs) {
      for (const rule of SCALING_RULES) {
        const { msPerIteration } = await bench('W', { ...BASE, rule, repeats: 3, [key]: x })
        points.push({ rule, x, ms: msPerIteration })
      }
    }
    panels.push({ key, label, points })
  }
  await drawPicture(panels)
  return [
    '### Scaling',
    '',
    `W with ${BASE.steps} steps, ${BASE.threads} threads, one quantity changed at a time.`,
    '',
    '![ms per iteration over neurons, steps, batch, density and threads](pictures/scaling.png)',
    '',
    'Exponents k of time ∝ xᵏ, by least squares over each curve:',
    '',
    exponents(panels),
    '',
    modulationTerm(panels)
  ].join('\n')
}

async function drawPicture(panels) {
  const [{ scalingCurves }, { toPng }] = await Promise.all([
    import('../dist/plots/scaling.js'),
    import('../dist/plots/png.js')
  ])
  const folder = join(ROOT, whole ? 'docs/pictures' : 'target/bench')
  await mkdir(folder, { recursive: true })
  const svg = scalingCurves(panels)
  await writeFile(join(folder, 'scaling.svg'), svg)
  await writeFile(join(folder, 'scaling.png'), toPng(svg))
}

function exponents(panels) {
  const rows = SCALING_RULES.map(rule => [
    rule,
    ...panels.map(({ points }) => exponent(points.filter(point => point.rule === rule)).toFixed(2))
  ])
  return markdown([['rule', ...panels.map(({ key }) => key)], ...rows])
}

/** What MDGL and BPTT cost beside e-prop: local Γ adds work in proportion to synapses × steps × trials. */
function modulationTerm(panels) {
  const lines = ['mdgl', 'bptt'].map(rule => {
    const pairs = panels
      .filter(({ key }) => key === 'neurons' || key === 'density')
      .flatMap(({ key, points }) => points.map(point => ({ key, ...point })))
      .filter(point => point.rule === rule)
      .map(({ key, x, ms }) => {
        const { neurons, density, steps, batch } = { ...BASE, [key]: x }
        const eprop = panels.find(panel => panel.key === key).points.find(p => p.rule === 'eprop' && p.x === x).ms
        return [density * neurons * (neurons - 1) * steps * batch, (ms - eprop) * 1e6]
      })
    return `${rule} ${factor(pairs).toFixed(3)} ns`
  })
  return `Beyond e-prop, for each recurrent synapse, step and trial (fitted over N and density): ${lines.join(', ')}.`
}

await guarded(async () => {
  await prepare()
  const parts = [await workloadTables()]
  if (!values['no-ratios']) parts.push(await ratios())
  if (!values['no-scaling']) parts.push(await scaling())
  const text = [circumstances(load), ...parts].join('\n\n')
  console.log(text)
  if (whole) writeGenerated('docs/performance.md', 'bench', text)
  return 0
})
