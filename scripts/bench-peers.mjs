// `npm run bench:peers`: JAX, PyTorch, NEST, spyx and braintrace on the same work as mdgl, in turns, with ratios and their spread.
// Options: --workloads W,W3 --rules eprop,bptt --peers jax,torch,nest,spyx,braintrace --rounds 5 --threads 2 --seed 1 --simd avx2.
// With all workloads, rules and libraries it also writes its part of docs/performance.md.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { ROOT, run } from './lib/run.mjs'
import { SetupError } from './lib/toolchain.mjs'
import { LIMIT, runContest } from './peers/contest.mjs'
import { setUpPeers } from './peers/setup.mjs'

const { values } = parseArgs({
  options: {
    workloads: { type: 'string', default: 'W,W-paper,W2,W3,W-dense' },
    rules: { type: 'string', default: 'eprop,bptt' },
    peers: { type: 'string', default: 'jax,torch,nest,spyx,braintrace' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    simd: { type: 'string' }
  }
})
const whole = !['workloads', 'rules', 'peers'].some(name => process.argv.some(given => given.startsWith(`--${name}`)))
const folder = join(ROOT, 'target', 'bench')

await guarded(async () => {
  await prepare()
  await mkdir(folder, { recursive: true })
  const libraries = (await setUpPeers(values.peers.split(','))).filter(name => name !== 'numpy')
  const rows = []
  for (const workload of values.workloads.split(',')) {
    const file = join(folder, `${workload}.json`)
    const exported = ['bench', '--export', workload, '--out', file, '--seed', values.seed]
    const { code } = await run('node', ['dist/cli/main.js', ...exported])
    if (code !== 0) throw new SetupError(`the workload ${workload} could not be exported`)
    for (const rule of values.rules.split(',')) {
      const contest = { workload, rule, file, threads: Number(values.threads), simd: values.simd }
      rows.push(...(await runContest(contest, libraries, { folder, count: Number(values.rounds) })))
    }
  }
  const text = report(rows)
  console.log(`\n${text}`)
  if (whole) writeGenerated('docs/performance.md', 'bench-peers', text)
  return 0
})

function report(rows) {
  const header = ['workload', 'rule', 'peer', 'form', 'spikes, ours and theirs', 'gradient difference']
  const load = Math.max(0, ...rows.map(({ results }) => results?.others ?? 0))
  const versions = new Set(rows.map(({ peer, version }) => `${peer} ${version}`))
  return [
    `${values.threads} threads on both sides, f32 (NEST f64), whole training iterations: ${[...versions].join(', ')}. ${circumstances(load)}`,
    '',
    markdown([[...header, 'ours, ms', 'theirs, ms', 'ratio', 'from – to'], ...rows.map(row)], 4),
    '',
    `Each library's fastest form was timed in turns with ours, ${values.rounds} rounds; ratio: median of the rounds. Where gradients`,
    `differ by more than ${LIMIT} of the largest entry there is no ratio. NEST learns by another e-prop, one trial at a time,`,
    'and is here for information; braintrace has no BPTT, and is not run on W2 and W-dense. All forms, ms per iteration before the rounds:',
    '',
    markdown([['workload', 'rule', 'peer', 'forms'], ...rows.map(formsRow)], 4)
  ].join('\n')
}

function row({ workload, rule, peer, form, mine, spikes, difference, otherRule, results }) {
  const same = otherRule ? 'another e-prop' : difference.toExponential(1)
  const words = [workload, rule, peer, form, `${mine.spikes}, ${spikes}`, same]
  if (results === null) return [...words, '–', '–', 'not the same work', '–']
  const { ours, theirs, ratio, least, most } = results
  return [
    ...words,
    ours.toFixed(1),
    theirs.toFixed(1),
    otherRule ? `(${ratio.toFixed(1)})` : ratio.toFixed(1),
    `${least.toFixed(1)} – ${most.toFixed(1)}`
  ]
}

function formsRow({ workload, rule, peer, forms }) {
  return [workload, rule, peer, forms.map(({ form, ms }) => `${form} ${ms.toFixed(0)}`).join(', ')]
}
