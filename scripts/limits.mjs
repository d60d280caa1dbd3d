// `npm run limits`: what the kernels are limited by, on the AVX2 path, without hardware counters: the hottest loops of an
// iteration (perf), the cycles that their instructions need at least (llvm-mca), and what the caches would miss (cachegrind).
// Needs perf, llvm-mca and valgrind. Writes its part of docs/performance.md.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'
import { ROOT } from './lib/run.mjs'
import { SetupError } from './lib/toolchain.mjs'

const WORKLOAD = ['W', '--rule', 'eprop', '--threads', '1', '--simd', 'avx2']
const MODELS = ['znver3', 'icelake-server']
const LEAST_SHARE = 3
const LONGEST_LOOP = 240
const folder = join(ROOT, 'target', 'limits')

const get = (program, args, env) => {
  try {
    const options = { cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 2 ** 30 }
    return execFileSync(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    if (error.code === 'ENOENT') throw new SetupError(`${program} is needed and was not found`)
    throw new SetupError(`${program} failed: ${String(error.stderr).trim().split('\n').at(-1)}`)
  }
}

/** The addon's functions as perf has sampled them: lines of address, samples, instruction, and the source function they are of. */
function sampledFunctions() {
  const data = join(folder, 'perf.data')
  const bench = ['dist/cli/main.js', 'bench', ...WORKLOAD, '--repeats', '150']
  get('perf', ['record', '-F', '8000', '-o', data, 'node', ...bench])
  const functions = []
  let rows = null
  let source = ''
  const text = get('perf', ['annotate', '-i', data, '--stdio', '--show-nr-samples'])
  for (const line of text.split('\n')) {
    if (line.includes('Source code & Disassembly of')) {
      rows = line.includes('mdgl.') ? [] : null
      if (rows !== null) functions.push(rows)
      continue
    }
    const name = /^\s+:\s+\d+\s+(?:<.*::)?([a-z_0-9]+)(?:<.*>)?\(\):/.exec(line)
    if (name !== null) source = name[1]
    const found = /^\s+(\d+)\s+:\s+([0-9a-f]+):\s+(.*)/.exec(line)
    if (found === null || rows === null) continue
    rows.push({ samples: Number(found[1]), address: parseInt(found[2], 16), instruction: plain(found[3]), source })
  }
  return functions
}

const plain = instruction =>
  instruction
    .replace(/\s+<.*/, '')
    .replace(/\s*#.*/, '')
    .trim()

/** Innermost loops: from the target of a backward jump to the jump, with no other such loop inside. */
function innermostLoops(rows) {
  const places = new Map(rows.map(({ address }, place) => [address, place]))
  const loops = []
  for (const [end, { instruction }] of rows.entries()) {
    const jump = /^j\w+\s+([0-9a-f]+)$/.exec(instruction)
    const first = jump === null ? undefined : places.get(parseInt(jump[1], 16))
    if (first !== undefined && first < end && end - first < LONGEST_LOOP) loops.push({ first, end })
  }
  const inside = (a, b) => a !== b && a.first >= b.first && a.end <= b.end
  return loops
    .filter(loop => !loops.some(other => inside(other, loop)))
    .map(({ first, end }) => rows.slice(first, end + 1))
}

/** Cycles of one pass through a loop, were nothing but its instructions in the way. */
function leastCycles(loop, model) {
  const jumps = /^(j\w+)\s+[0-9a-f]+$/
  const path = join(folder, 'loop.s')
  const body = loop.map(({ instruction }) => instruction.replace(jumps, '$1 begin')).join('\n')
  writeFileSync(path, `begin:\n${body}\n`)
  const report = get('llvm-mca', [`-mcpu=${model}`, '-iterations=200', path])
  const read = name => Number(new RegExp(`${name}:\\s+([\\d.]+)`).exec(report)[1])
  return { cycles: read('Total Cycles') / 200, ipc: read('IPC') }
}

/** The source function that most of a loop's instructions are of. */
function ownFunction(loop) {
  const counts = new Map()
  for (const { source } of loop) counts.set(source, (counts.get(source) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])[0][0]
}

function loopTable(functions) {
  const total = functions.flat().reduce((sum, { samples }) => sum + samples, 0)
  const share = loop => (100 * loop.reduce((sum, { samples }) => sum + samples, 0)) / total
  const loops = functions.flatMap(innermostLoops).filter(loop => share(loop) >= LEAST_SHARE)
  const rows = loops
    .sort((a, b) => share(b) - share(a))
    .map(loop => {
      const models = MODELS.map(model => leastCycles(loop, model))
      const cells = models.map(({ cycles, ipc }) => `${cycles.toFixed(1)} (${ipc.toFixed(1)})`)
      return [`\`${ownFunction(loop)}\``, share(loop).toFixed(0), String(loop.length), ...cells]
    })
  const header = [
    'loop of',
    '% of the time in the engine',
    'instructions',
    ...MODELS.map(m => `cycles on ${m} (instructions per cycle)`)
  ]
  return markdown([header, ...rows], 1)
}

/** Instructions and cache misses of an iteration of Fig. 3C, as the difference of two runs. */
function cacheTable() {
  const env = { MDGL_SIMD: 'avx2' }
  get('cargo', ['build', '--release', '--quiet', '-p', 'mdgl-core', '--example', 'evidence_accumulation'])
  const program = join(ROOT, 'target/release/examples/evidence_accumulation')
  const counts = iterations => {
    const out = join(folder, `cachegrind.${iterations}`)
    const args = ['--tool=cachegrind', '--cache-sim=yes', `--cachegrind-out-file=${out}`, program]
    get('valgrind', [`--log-file=${out}.log`, ...args, 'mdgl', String(iterations), '1'], env)
    const report = readFileSync(`${out}.log`, 'utf8')
    const read = name => Number(new RegExp(`${name}:\\s+([\\d,]+)`).exec(report)[1].replaceAll(',', ''))
    return {
      instructions: read('I\\s+refs'),
      data: read('D\\s+refs'),
      first: read('D1\\s+misses'),
      last: read('LLd misses')
    }
  }
  const [one, three] = [counts(1), counts(3)]
  const each = name => ((three[name] - one[name]) / 2 / 1e6).toFixed(2)
  const timed = JSON.parse(
    get('node', [
      'dist/cli/main.js',
      'bench',
      'W-paper',
      '--rule',
      'mdgl',
      '--threads',
      '1',
      '--simd',
      'avx2',
      '--json'
    ])
  )
  const rate = (Number(each('instructions')) / timed.engineMs).toFixed(1)
  return markdown(
    [
      [
        '10⁶ per iteration',
        'instructions',
        'data accesses',
        'misses of the first-level cache',
        'of the last level',
        'ms',
        '10⁹ instructions/s'
      ],
      [
        'W-paper, mdgl, avx2, 1 thread',
        each('instructions'),
        each('data'),
        each('first'),
        each('last'),
        timed.engineMs.toFixed(1),
        rate
      ]
    ],
    1
  )
}

await guarded(async () => {
  // The loops are named by their source functions.
  process.env.CARGO_PROFILE_RELEASE_DEBUG = 'line-tables-only'
  await prepare()
  mkdirSync(folder, { recursive: true })
  const load = (await waitQuiet()) ?? 0
  const text = [circumstances(load), '', loopTable(sampledFunctions()), '', cacheTable()].join('\n')
  console.log(text)
  writeGenerated('docs/performance.md', 'limits', text)
  return 0
})
