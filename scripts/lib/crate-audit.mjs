// What cargo-deny can tell without the network (.cargo/deny.toml), by its version that is named here.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, run } from './run.mjs'

const VERSION = '0.20.2'
const tools = join(ROOT, 'target/tools')
const program = join(tools, 'bin', 'cargo-deny')

if (!existsSync(program)) {
  const args = ['install', 'cargo-deny', '--version', VERSION, '--locked', '--root', tools]
  const { code, output } = await run('cargo', args, { output: 'keep' })
  if (code !== 0) throw new Error(output)
}
const { code } = await run(program, ['--offline', 'check', 'bans', 'licenses', 'sources'])
process.exitCode = code
