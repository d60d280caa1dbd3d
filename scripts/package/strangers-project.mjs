// A project as a stranger has it: an empty folder outside the repository, npm and Node on the PATH, and no Rust.
import { spawn } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

const RUST = ['cargo', 'rustc']
/** What npm and the programs that it starts need, and what pnpm's commands are made of. */
const TOOLS = ['node', 'npm', 'npx', 'sh', 'dirname', 'sed', 'uname']
const isWindows = process.platform === 'win32'

const folders = () => (process.env.PATH ?? '').split(delimiter).filter(folder => folder !== '')

function runs(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Links to the few tools, since the folders that have them may have Rust too. */
function toolsFolder(folder) {
  const tools = join(folder, 'tools')
  mkdirSync(tools)
  for (const name of TOOLS) {
    const found =
      name === 'node'
        ? process.execPath
        : folders()
            .map(each => join(each, name))
            .find(runs)
    if (found !== undefined) symlinkSync(realpathSync(found), join(tools, name))
  }
  return tools
}

/** On Windows links are not for everybody: there the folders with Rust are left out. */
const withoutRust = () =>
  [dirname(process.execPath), ...folders()].filter(each => !RUST.some(name => existsSync(join(each, `${name}.exe`))))

/** Makes the project. `run` resolves to the output, of a program in the project's folder or in `cwd`, with variables of `env`, and rejects with it where the program fails. */
export function makeProject() {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'mdgl-stranger-')))
  const folder = join(root, 'project')
  mkdirSync(folder)
  const path = isWindows ? withoutRust().join(delimiter) : toolsFolder(root)
  // None of npm's, cargo's and Node's variables of the process that runs this, but for the certificates of the machine's own.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|cargo|rust|init_cwd$|node_(?!extra_ca)|path$)/i.test(name)
  )
  const base = { ...Object.fromEntries(inherited), PATH: path }
  const run = (program, args, { cwd = folder, env } = {}) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, {
        cwd,
        env: { ...base, ...env },
        shell: isWindows,
        stdio: ['ignore', 'pipe', 'pipe']
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (output += text))
      child.on('error', reject)
      child.on('close', code =>
        code === 0 ? resolve(output) : reject(new Error(`${program} ${args.join(' ')}: exit code ${code}\n${output}`))
      )
    })
  const write = (name, text) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return { root, folder, run, write }
}

/** Rejects unless neither cargo nor rustc can be started from the project. */
export async function assertNoRust({ run }) {
  for (const tool of RUST) {
    const found = await run(tool, ['--version']).then(
      output => output.trim(),
      () => undefined
    )
    if (found !== undefined) throw new Error(`${found} is on the PATH of the project, which should have no Rust`)
  }
}
