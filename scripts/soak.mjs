// The long tier: the laws of the engine on many random networks, what is hostile, the ten-seed table, memory. Run once an issue on a quiet
// machine; what it prints is kept under docs/records/, with the commit.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { guarded, prepare } from './lib/prepare.mjs'
import { ROOT, run } from './lib/run.mjs'

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
    title: 'Fig. 3C, ten seeds (finished runs of the same settings are used again)',
    program: 'node',
    args: ['dist/cli/main.js', 'compare', 'evidence-accumulation', '--rules', 'bptt,eprop,mdgl', '--seeds', '1-10']
  },
  {
    title: 'Memory of a process in which models come and go, ten minutes',
    program: 'node',
    args: ['--expose-gc', 'scripts/lib/memory-soak.mjs', '600']
  }
]

await guarded(async () => {
  await prepare()
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()
  const report = [
    `# Soak of ${new Date().toISOString().slice(0, 10)}`,
    `Commit ${commit}, ${cpus().length} × ${cpus()[0].model}.`
  ]
  let status = 0
  for (const { title, program, args, env } of steps) {
    const { code, output } = await run(program, args, { output: 'both', env })
    const settings = Object.entries(env ?? {}).map(([name, value]) => `${name}=${value} `)
    report.push(
      `## ${title}`,
      `\`${settings.join('')}${[program, ...args].join(' ')}\`, exit code ${code}:`,
      `\`\`\`\n${output.trim()}\n\`\`\``
    )
    if (code !== 0) status = 1
  }
  const folder = join(ROOT, 'docs/records')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `soak-${commit.slice(0, 8)}.md`)
  writeFileSync(path, `${report.join('\n\n')}\n`)
  console.log(`\n${path}`)
  return status
})
