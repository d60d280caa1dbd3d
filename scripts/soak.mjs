// The long tier: the laws of the engine on many random networks, what is hostile, sanitizers, crates, the ten-seed table, memory, Slurm, MPI, NEON.
// Run once an issue on a quiet machine; what it prints is kept under target/soak/, with the commit. `--only 1,3` takes the first and the
// third part alone, after something was mended.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { guarded, prepare } from './lib/prepare.mjs'
import { ROOT, run } from './lib/run.mjs'
import { SetupError } from './lib/toolchain.mjs'

const CASES = 3000

const steps = [
  {
    title: `The engine's laws on ${CASES} random networks each`,
    program: 'cargo',
    args: ['test', '--release', '-p', 'mdgl-core', '--test', 'engine', '--color=never', 'laws::'],
    env: { PROPTEST_CASES: String(CASES), PROPTEST_RNG_SEED: String(Date.now() % 2 ** 32), RUST_BACKTRACE: '0' }
  },
  {
    title: `Damaged descriptions and weight files, ${CASES} of each kind`,
    program: 'cargo',
    args: ['test', '--release', '-p', 'mdgl-core', '--test', 'engine', '--color=never', 'hostile::'],
    env: { PROPTEST_CASES: String(CASES), PROPTEST_RNG_SEED: String(Date.now() % 2 ** 32), RUST_BACKTRACE: '0' }
  },
  {
    title: 'Hostile arguments and damaged files',
    program: 'node',
    args: ['scripts/lib/fuzz-api.mjs', '--seed', String(Date.now() % 2 ** 31)]
  },
  {
    title: 'The engine under AddressSanitizer and valgrind',
    program: 'node',
    args: ['scripts/lib/sanitize.mjs']
  },
  {
    title: 'Crates: sources, bans, licences (advisories need the network: the release workflow)',
    program: 'node',
    args: ['scripts/lib/crate-audit.mjs']
  },
  {
    title: 'Fig. 3C, ten seeds (finished runs of the same settings are used again)',
    program: 'node',
    args: ['dist/cli/main.js', 'compare', 'evidence-accumulation', '--rules', 'bptt,eprop,mdgl', '--seeds', '1-10']
  },
  {
    title: 'Memory of a process in which models come and go, ten minutes',
    program: 'node',
    args: ['--expose-gc', 'scripts/lib/memory-soak.mjs', '600']
  },
  {
    title:
      'A sweep as a Slurm job array on this machine (Debian, as root; installs slurm-wlm and munge where they are missing)',
    program: 'node',
    args: ['scripts/lib/slurm-soak.mjs']
  },
  {
    title: 'The package under every tool that is tried: test runners, bundlers, Yarn',
    program: 'node',
    args: ['scripts/try-package.mjs', '--all']
  },
  {
    title: 'Training over MPI: the same weights on 1, 2 and 4 ranks, a rank that is killed, what messages cost',
    program: 'node',
    args: ['scripts/lib/mpi-soak.mjs']
  },
  {
    title: "The engine's tests on NEON, under qemu-user (Debian, as root; installs it where it is missing)",
    program: 'node',
    args: ['scripts/lib/neon-soak.mjs']
  },
  {
    title: 'Instructions per iteration on AVX2, beside the recorded ones (needs valgrind)',
    program: 'node',
    args: ['scripts/instructions.mjs']
  }
]

await guarded(async () => {
  const { values } = parseArgs({ options: { only: { type: 'string' } } })
  const chosen = values.only?.split(',').map(number => {
    const step = steps[Number(number) - 1]
    if (step === undefined) throw new SetupError(`--only has '${number}'; it must be numbers from 1 to ${steps.length}`)
    return step
  })
  await prepare()
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()
  const report = [
    `# Soak of ${new Date().toISOString().slice(0, 10)}`,
    `Commit ${commit}, ${cpus().length} × ${cpus()[0].model}.`
  ]
  let status = 0
  for (const { title, program, args, env } of chosen ?? steps) {
    const { code, output } = await run(program, args, { output: 'both', env })
    const settings = Object.entries(env ?? {}).map(([name, value]) => `${name}=${value} `)
    report.push(
      `## ${title}`,
      `\`${settings.join('')}${[program, ...args].join(' ')}\`, exit code ${code}:`,
      `\`\`\`\n${output.trim()}\n\`\`\``
    )
    if (code !== 0) status = 1
  }
  const folder = join(ROOT, 'target/soak')
  mkdirSync(folder, { recursive: true })
  const part = values.only === undefined ? '' : `-${values.only.replaceAll(',', '-')}`
  const path = join(folder, `soak-${commit.slice(0, 8)}${part}.md`)
  writeFileSync(path, `${report.join('\n\n')}\n`)
  console.log(`\n${path}`)
  return status
})
