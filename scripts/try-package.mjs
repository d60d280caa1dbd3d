// `npm run try-package`: packs, installs the library and its engine into an empty folder outside the repository, without Rust on
// the PATH, and runs the README's examples there from ESM, by require, in TypeScript and in a worker; then the command line beside
// them; then both under other people's tools, with `--all` under those whose installation takes long and by the guide's recipes, too; with
// `--only 'Recipe: (Bun|Deno)'` those alone whose names the regular expression finds. It needs the registry.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { examplesOf } from './lib/document-examples.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { ROOT } from './lib/run.mjs'
import { tryCompilers } from './package/compilers.mjs'
import { tryProgram } from './package/embedding-program.mjs'
import { QUICK_TOOLS, SLOW_TOOLS } from './package/foreign-tools.mjs'
import { assertNoRust, makeProject } from './package/strangers-project.mjs'
import { namesCommandLine, runCommandLine, WAYS } from './package/ways-of-use.mjs'

const QUIET = ['--no-audit', '--no-fund', '--loglevel=error']

async function timed(what, work) {
  const begun = performance.now()
  const result = await work()
  console.log(`ok     ${what}, ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  return result
}

/** Gives the paths of the tarballs that stay in the project. */
async function install(project, tarballs) {
  for (const path of tarballs) cpSync(path, join(project.folder, basename(path)))
  const files = tarballs.map(path => `./${basename(path)}`)
  await timed(`npm install ${files.join(' ')}`, () => project.run('npm', ['install', ...files, ...QUIET]))
  return files.map(file => join(project.folder, file))
}

/** How many packages an installation has, and how large they are. */
function installedSize({ folder }) {
  const modules = join(folder, 'node_modules')
  const packages = readdirSync(modules).filter(name => !name.startsWith('.'))
  const entries = readdirSync(modules, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const bytes = entries.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
  return `installed: ${packages.join(', ')}; ${(bytes / 1e6).toFixed(1)} MB`
}

/** The compiler that the repository has, and the types of Node. */
function installCompiler(project) {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const names = ['typescript', '@types/node'].map(name => `${name}@${devDependencies[name]}`)
  return project.run('npm', ['install', '--save-dev', ...names, ...QUIET])
}

async function tryTools(project, tools, tarballs) {
  const packages = [...new Set(tools.flatMap(([, each]) => each ?? []))]
  if (packages.length > 0)
    await timed(`npm install ${packages.join(' ')}`, () =>
      project.run('npm', ['install', '--save-dev', ...packages, ...QUIET])
    )
  for (const [name, , use] of tools) await timed(name, () => use(project, tarballs))
}

/** Tools alone, whose names a regular expression finds. */
async function trySome(project, expression) {
  const tools = [...QUICK_TOOLS, ...SLOW_TOOLS].filter(([name]) => new RegExp(expression).test(name))
  if (tools.length === 0) throw new Error(`no tool's name matches ${expression}`)
  const { packInto } = await import('./package/pack.mjs')
  const out = mkdtempSync(join(tmpdir(), 'mdgl-tarballs-'))
  const { library, command, engine } = await packInto(out)
  const tarballs = await install(project, [library, engine, command])
  rmSync(out, { recursive: true })
  await tryTools(project, tools, tarballs)
}

async function tryPackage(project, tools) {
  const { packInto } = await import('./package/pack.mjs')
  const out = mkdtempSync(join(tmpdir(), 'mdgl-tarballs-'))
  const { library, command, engine } = await packInto(out)
  await assertNoRust(project)
  const tarballs = await install(project, [library, engine])
  console.log(`ok     ${installedSize(project)}`)
  await installCompiler(project)
  const examples = examplesOf('README.md')
  const outputs = []
  for (const [name, use] of WAYS) outputs.push(await timed(name, () => use(project, examples)))
  const [first, ...others] = outputs.map(output => output.replaceAll(/(?<=msPerIteration: )[\d.]+/g, '…'))
  if (first === '' || others.some(output => output !== first))
    throw new Error(`the ways of use do not print the same:\n${[first, ...others].join('\n---\n')}`)
  console.log(
    `ok     the same ${first.trimEnd().split('\n').length} lines each time, the first: ${first.split('\n')[0]}`
  )
  await timed('the embedding program, from ESM and TypeScript', () => tryProgram(project))
  await timed('TypeScript 5.2, 5.4, 5.6 and the newest', () => tryCompilers(project))
  await timed('npx mdgl without mdgl-cli names it', () => namesCommandLine(project))
  tarballs.push(...(await install(project, [command])))
  rmSync(out, { recursive: true })
  await timed('npx mdgl', () => runCommandLine(project))
  await tryTools(project, tools, tarballs)
}

await guarded(async () => {
  const { values } = parseArgs({ options: { all: { type: 'boolean' }, only: { type: 'string' } } })
  await prepare()
  const project = makeProject()
  try {
    if (values.only !== undefined) await trySome(project, values.only)
    else await tryPackage(project, values.all ? [...QUICK_TOOLS, ...SLOW_TOOLS] : QUICK_TOOLS)
    return 0
  } catch (error) {
    console.error(`FAILED ${error.message}`)
    return 1
  } finally {
    rmSync(project.root, { recursive: true })
  }
})
