// `npm run try-package`: packs, installs the two tarballs into an empty folder outside the repository, without Rust on the
// PATH, and runs the README's examples there from ESM, by require, in TypeScript and in a worker; then under other people's tools,
// with `--all` under those whose installation takes long, too. It needs the registry.
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
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
import { WAYS } from './package/ways-of-use.mjs'

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

/** The compiler that the repository has, and the types of Node. */
function installCompiler(project) {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const names = ['typescript', '@types/node'].map(name => `${name}@${devDependencies[name]}`)
  return project.run('npm', ['install', '--save-dev', ...names, ...QUIET])
}

async function tryPackage(project, tools) {
  const { packInto } = await import('./package/pack.mjs')
  const out = mkdtempSync(join(tmpdir(), 'mdgl-tarballs-'))
  const { main, engine } = await packInto(out)
  await assertNoRust(project)
  const tarballs = await install(project, [main, engine])
  rmSync(out, { recursive: true })
  await installCompiler(project)
  const examples = examplesOf('README.md')
  const outputs = []
  for (const [name, use] of WAYS) outputs.push(await timed(name, () => use(project, examples)))
  // The last is the command line's help.
  const [first, ...others] = outputs.slice(0, -1)
  if (first === '' || others.some(output => output !== first))
    throw new Error(`the ways of use do not print the same:\n${outputs.slice(0, -1).join('\n---\n')}`)
  console.log(
    `ok     the same ${first.trimEnd().split('\n').length} lines each time, the first: ${first.split('\n')[0]}`
  )
  await timed('the embedding program, from ESM and TypeScript', () => tryProgram(project))
  await timed('TypeScript 5.2, 5.4, 5.6 and the newest', () => tryCompilers(project))
  const packages = tools.map(([, each]) => each)
  await timed(`npm install ${packages.join(' ')}`, () =>
    project.run('npm', ['install', '--save-dev', ...packages, ...QUIET])
  )
  for (const [name, , use] of tools) await timed(name, () => use(project, tarballs))
}

await guarded(async () => {
  const { values } = parseArgs({ options: { all: { type: 'boolean' } } })
  await prepare()
  const project = makeProject()
  try {
    await tryPackage(project, values.all ? [...QUICK_TOOLS, ...SLOW_TOOLS] : QUICK_TOOLS)
    return 0
  } catch (error) {
    console.error(`FAILED ${error.message}`)
    return 1
  } finally {
    rmSync(project.root, { recursive: true })
  }
})
