// The recipes of docs/guide/recipes.md: files and commands of its sections, run as they stand there.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from '../lib/run.mjs'
import { thisPlatform } from './platforms.mjs'

const PAGE = 'docs/guide/recipes.md'
/** What `program.mjs` prints, and what a command's line says of its output: `node bundled.mjs # 6`. */
const SAYS = / # (.+)$/

/** Sections by heading: files by name, and the lines of commands. */
function sections() {
  const found = new Map()
  let section = { files: {}, commands: [] }
  for (const [, heading, language, file, text] of readFileSync(join(ROOT, PAGE), 'utf8').matchAll(
    /^#+ (.+)$|^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm
  )) {
    if (heading !== undefined) {
      section = { files: {}, commands: [] }
      found.set(heading, section)
    } else if (file !== undefined) section.files[file] = text
    else if (language === 'sh') section.commands.push(...text.trim().split('\n'))
  }
  return found
}

const RECIPES = sections()
/** The program of the sections that name no other. */
const PROGRAM = RECIPES.get('Recipes').files

function sectionOf(name) {
  const section = RECIPES.get(name)
  if (section === undefined) throw new Error(`${PAGE} has no section ${name}`)
  return section
}

/** Runs a section's commands in a folder of the project's that has its files; one that says what it prints must print that at the end. */
export async function runRecipe(project, name, { cwd = project.folder, env } = {}) {
  const { commands } = sectionOf(name)
  if (commands.length === 0) throw new Error(`the section ${name} of ${PAGE} has no commands`)
  writeRecipe(project, name)
  for (const line of commands) {
    const [, says] = SAYS.exec(line) ?? []
    const output = await project.run('sh', ['-c', line.replace(/(^| )npx /, '$1npx --no-install ')], { cwd, env })
    if (says !== undefined && output.trimEnd().split('\n').at(-1) !== says)
      throw new Error(`${line}\nprinted:\n${output}`)
  }
}

/** Writes a section's files, and the common program. */
export function writeRecipe(project, name) {
  const { files } = sectionOf(name)
  for (const [file, text] of Object.entries({ ...PROGRAM, ...files })) project.write(file, text)
  return files
}

/** A client that goes after the first line of an answer; ends well once the service has said that training has stopped. */
const CLIENT = `import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

const service = spawn(process.execPath, [process.argv[2]], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] })
const lines = createInterface({ input: service.stdout })[Symbol.asyncIterator]()
const patience = setTimeout(() => {
  console.error('training has not stopped within five minutes')
  service.kill()
  process.exitCode = 1
}, 300_000)
const { value: address } = await lines.next()
const client = new AbortController()
const { body } = await fetch(\`\${address}/train\`, { signal: client.signal })
const { value } = await body.getReader().read()
console.log(new TextDecoder().decode(value).split('\\n')[0])
client.abort()
const { value: stopped } = await lines.next()
clearTimeout(patience)
service.kill()
await once(service, 'exit')
if (stopped !== 'training has stopped') process.exitCode = 1
`

/** A service of the page: a client gets a line and goes, and the training stops. */
export function serving(name) {
  return async project => {
    const [file] = Object.keys(writeRecipe(project, name))
    project.write('client.mjs', CLIENT)
    const output = await project.run('node', ['client.mjs', file])
    if (JSON.parse(output).iteration !== 1) throw new Error(`the first line of ${file}:\n${output}`)
  }
}

/** The commands of a section, in the project's folder, which has the files of others too that it speaks of. */
export function running(name, ...others) {
  return project => {
    for (const other of others) writeRecipe(project, other)
    return runRecipe(project, name)
  }
}

/** A section's commands in a project of its own, whose files no tool of the others takes for its sources. */
export function alone(name, packages) {
  return async (project, [library, engine]) => {
    const folder = join(project.root, name.replaceAll(/\W+/g, '-'))
    const own = {
      ...project,
      folder,
      run: (program, args, options) => project.run(program, args, { cwd: folder, ...options }),
      write: (file, text) => {
        mkdirSync(dirname(join(folder, file)), { recursive: true })
        writeFileSync(join(folder, file), text)
      }
    }
    own.write('package.json', '{ "private": true }\n')
    await own.run('npm', ['install', library, engine, ...packages, '--no-audit', '--no-fund', '--loglevel=error'])
    await runRecipe(own, name)
  }
}

/** Where each package manager's program is among the project's packages; npm is on the PATH. */
const MANAGERS = {
  npm: undefined,
  pnpm: ['pnpm', 'pnpm/bin/pnpm.cjs'],
  'yarn 1': ['yarn', 'yarn/bin/yarn.js'],
  "yarn 4, Plug'n'Play": ['yarn', '@yarnpkg/cli-dist/bin/yarn.js'],
  'yarn 4, node_modules': ['yarn', '@yarnpkg/cli-dist/bin/yarn.js']
}
/** Of this run, not of a reader's: no cache but its own, no lock that must stay, nothing sent. */
const YARNRC = 'enableTelemetry: false\nenableImmutableInstalls: false\nenableGlobalCache: false\n'
const OWN_CACHE = { YARN_CACHE_FOLDER: './cache', npm_config_store_dir: './store' }

/** A manager's section, in a folder of its own beside the tarballs of a library that names this platform alone. */
export function managedBy(name) {
  return async project => {
    const { packInto } = await import('./pack.mjs')
    const folder = join(project.root, name.replaceAll(/\W+/g, '-'))
    const packages = join(project.root, 'packages')
    mkdirSync(folder)
    if (!existsSync(packages)) await packInto(packages, { local: true })
    const program = MANAGERS[name]
    if (program !== undefined) {
      const [command, path] = program
      const shim = join(project.root, 'tools', command)
      rmSync(shim, { force: true })
      writeFileSync(shim, `#!/bin/sh\nexec node '${join(project.folder, 'node_modules', path)}' "$@"\n`, {
        mode: 0o755
      })
    }
    const { files } = sectionOf('Package managers')
    const manifest = files['package.json'].replaceAll('mdgl-linux-x64-gnu', thisPlatform().package)
    for (const [file, text] of Object.entries({
      ...PROGRAM,
      'package.json': manifest,
      'yarn.lock': '',
      '.yarnrc.yml': YARNRC
    }))
      writeFileSync(join(folder, file), text)
    await runRecipe(project, name, { cwd: folder, env: OWN_CACHE })
  }
}
