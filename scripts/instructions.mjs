// `npm run instructions`: instructions that training iterations execute on AVX2, beside the recorded ones; no clock. Fails where
// one has grown by more than 5 %, and where a kernel calls intrinsics. `-- --record` records them anew. Needs valgrind and nm.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { instructionTable, MOST_GROWTH } from './lib/instruction-table.mjs'
import { outlinedIntrinsics } from './lib/outlined-intrinsics.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { ROOT } from './lib/run.mjs'
import { SetupError } from './lib/toolchain.mjs'

const WORKLOADS = ['W', 'W-paper', 'W3']
const RULES = ['eprop', 'mdgl', 'bptt']
const RECORD = join(ROOT, 'scripts/instructions.json')
const folder = join(ROOT, 'target', 'instructions')

const get = (program, args, env) => {
  try {
    const options = { cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 2 ** 28 }
    return execFileSync(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    if (error.code === 'ENOENT') throw new SetupError(`${program} is needed and was not found`)
    throw new SetupError(`${program} failed: ${String(error.stderr).trim().split('\n').at(-1)}`)
  }
}

/** Instructions of so many iterations on one thread, from starting the program to its end. */
function total(workload, rule, iterations) {
  const log = join(folder, 'cachegrind.log')
  const tool = ['--tool=cachegrind', '--cache-sim=no', `--cachegrind-out-file=${join(folder, 'cachegrind.out')}`]
  const program = join(ROOT, 'target/release/examples/instructions')
  const args = [program, join(folder, `${workload}.json`), rule, String(iterations)]
  get('valgrind', [`--log-file=${log}`, ...tool, ...args], { MDGL_SIMD: 'avx2' })
  return Number(/I\s+refs:\s+([\d,]+)/.exec(readFileSync(log, 'utf8'))[1].replaceAll(',', ''))
}

/** The example, and the addon as cargo has linked it, with its symbols, where it is on Linux. */
function programs() {
  const [, host] = /^host: (.+)$/m.exec(get('rustc', ['-vV']))
  const addons = ['', host].map(folder => join(ROOT, 'target', folder, 'release/libmdgl_node.so'))
  return [join(ROOT, 'target/release/examples/instructions'), ...addons.filter(existsSync)]
}

function count(workload) {
  get('node', ['dist/cli/main.js', 'bench', '--export', workload, '--out', join(folder, `${workload}.json`)])
  return RULES.map(rule => [`${workload} ${rule}`, total(workload, rule, 2) - total(workload, rule, 1)])
}

await guarded(async () => {
  const { values } = parseArgs({ options: { record: { type: 'boolean', default: false } } })
  await prepare()
  mkdirSync(folder, { recursive: true })
  get('cargo', ['build', '--release', '--quiet', '-p', 'mdgl-core', '--example', 'instructions'])
  const compiler = get('rustc', ['--version']).trim()
  const outlined = outlinedIntrinsics(
    programs()
      .map(path => get('nm', ['--demangle', path]))
      .join('\n')
  )
  const counts = Object.fromEntries(WORKLOADS.flatMap(count))
  const before = JSON.parse(readFileSync(RECORD, 'utf8'))
  const { text, grown } = instructionTable(before, { compiler, counts })
  console.log(text)
  if (values.record) writeFileSync(RECORD, `${JSON.stringify({ compiler, counts }, null, 2)}\n`)
  else if (grown.length > 0) {
    console.log(`\nMore than ${100 * MOST_GROWTH} % above scripts/instructions.json: ${grown.join(', ')}.`)
    return 1
  }
  if (outlined.length > 0) {
    console.log(
      `\nIntrinsics that kernels call as functions, which are closures or methods with closures: ${outlined.join(', ')}.`
    )
    return 1
  }
  return 0
})
