// The engine's tests under AddressSanitizer with each instruction set, and under valgrind with those that it knows (it has no
// AVX-512). Needs valgrind; the sanitizer's runtime comes with Rust. `--only address` and `--only valgrind` take one of the two.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { run } from './run.mjs'

const TARGET = 'x86_64-unknown-linux-gnu'

/** What the processor must have for each set. */
const FLAGS = { avx512: ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl'], avx2: ['avx2', 'fma'], portable: [] }

/** The sets that this processor has; says which it has not. */
function available(sets) {
  const flags = /^flags\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? []
  const lacks = set => FLAGS[set].some(flag => !flags.includes(flag))
  for (const set of sets.filter(lacks)) console.log(`${set}: not tried, this processor has none`)
  return sets.filter(set => !lacks(set))
}

/** Short pieces of code at a time, or the kernels' long ones exhaust valgrind's memory; and what it is not to tell of. */
const VALGRIND = [
  '--error-exitcode=99',
  '--quiet',
  '--vex-guest-max-insns=20',
  '--vex-guest-chase=no',
  `--suppressions=${new URL('valgrind.supp', import.meta.url).pathname}`
]

/** Comparisons to the last bit of each operation alone: valgrind's own fused multiply-add differs where a result is subnormal. */
const NOT_UNDER_VALGRIND = ['--skip', 'lanes::tests::every_operation']

/** Tests that enter every kernel; valgrind is some fifty times slower than the processor, so that it has few of them. */
const UNDER_VALGRIND = ['first_adam_step', 'golden_hashes', 'both_layouts', 'fixtures::', 'stream::', 'lanes::']

const ADDRESS = {
  // Unlocks the flag on the stable compiler, for these programs alone.
  RUSTC_BOOTSTRAP: '1',
  RUSTFLAGS: '-Zsanitizer=address',
  CARGO_TARGET_DIR: 'target/sanitizer'
}

/** Tests ask for more memory than there is, and are to hear it as they do from the system. */
const REFUSING = { ASAN_OPTIONS: 'allocator_may_return_null=1' }

/** Builds the test programs; gives their paths. */
async function programs(args, env) {
  const build = ['test', '-p', 'mdgl-core', '--lib', '--test', 'engine', '--no-run', '--message-format=json', ...args]
  const { code, output } = await run('cargo', build, { output: 'keep', env })
  if (code !== 0) throw new Error(output)
  const messages = output.split('\n').filter(line => line.startsWith('{'))
  return messages.map(line => JSON.parse(line).executable).filter(path => typeof path === 'string')
}

async function must(title, program, args, env) {
  const begun = performance.now()
  const { code, output } = await run(program, args, { output: 'keep', env })
  const counted = output.match(/^test result: .*?; (?=\d+ ignored)/gm) ?? []
  console.log(`${title}: ${counted.join(' ')}exit code ${code}, ${((performance.now() - begun) / 1000).toFixed(0)} s`)
  if (code === 0) return
  console.log(output)
  process.exitCode = 1
}

async function underAddressSanitizer() {
  for (const path of await programs(['--target', TARGET], ADDRESS))
    for (const set of available(['avx512', 'avx2', 'portable']))
      await must(`AddressSanitizer, ${set}`, path, ['--color=never'], { MDGL_SIMD: set, ...REFUSING })
}

async function underValgrind() {
  for (const path of await programs(['--release'], {}))
    for (const set of available(['avx2', 'portable'])) {
      const args = [...VALGRIND, path, '--color=never', '--test-threads=1', ...NOT_UNDER_VALGRIND, ...UNDER_VALGRIND]
      await must(`valgrind, ${set}`, 'valgrind', args, { MDGL_SIMD: set, PROPTEST_CASES: '4' })
    }
}

const { only } = parseArgs({ options: { only: { type: 'string' } } }).values
if (only !== 'valgrind') await underAddressSanitizer()
if (only !== 'address') await underValgrind()
