import { execFile } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { build } from 'vite'
import { PLATFORMS } from '../src/addon/load-addon.js'

/** What is loaded on demand and not installed beside the copy that is bundled. */
const DEPENDENCIES = ['h5wasm/node', 'fflate']

const root = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)
const addon = readdirSync(join(root, 'dist/native')).find(name => name.endsWith('.node')) ?? ''
/** This machine's platform. */
const here = addon.replace(/^mdgl\.(.+)\.node$/, '$1')

const made: string[] = []
test.after.always(() => {
  for (const folder of made) rmSync(folder, { recursive: true })
})

/** The built library outside the repository: without an addon, and with none of its dependencies in reach. */
function libraryAlone(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mdgl-alone-'))
  made.push(folder)
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true, filter: path => !path.endsWith('.node') })
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
  return folder
}

/** A package of that name beside the library. */
function addPackage(folder: string, version: string): void {
  const where = join(folder, 'node_modules', `mdgl-${here}`)
  mkdirSync(where, { recursive: true })
  copyFileSync(join(root, 'dist/native', addon), join(where, addon))
  writeFileSync(join(where, 'package.json'), JSON.stringify({ name: `mdgl-${here}`, version, main: addon }))
}

interface Failure {
  readonly name: string
  readonly code: string
  readonly message: string
}

/** What importing a file gives in a process that takes itself for another machine; null for no error. */
async function failure(file: string, machine: Partial<Record<'platform' | 'arch', string>> = {}): Promise<Failure> {
  const changes = Object.entries(machine).map(
    ([name, value]) => `Object.defineProperty(process, '${name}', { value: '${value}' })\n`
  )
  // On Windows an absolute path is no specifier.
  const body = `${changes.join('')}
    import(${JSON.stringify(pathToFileURL(file).href)}).then(
      () => console.log('null'),
      ({ name, code, message }) => console.log(JSON.stringify({ name, code, message }))
    )`
  const { stdout } = await run(process.execPath, ['--eval', body])
  return JSON.parse(stdout) as Failure
}

const entry = (folder: string) => join(folder, 'dist/index.js')
/** Names what each bundler's configuration has for it. */
const BUNDLED = /^mdgl has been bundled, .*`external: \['mdgl'\]`.*`externals: \{ mdgl: 'commonjs mdgl' \}`/
const HOW_TO_BUILD = /Rust 1\.89 or newer: clone .+ `npm run pack -- --out DIR`/

test('a platform without an engine is named, with those that have one', async t => {
  const folder = libraryAlone()
  const machines = [
    [{ platform: 'sunos', arch: 'x64' }, 'sunos-x64'],
    [{ platform: 'freebsd', arch: 'x64' }, 'freebsd-x64'],
    [{ platform: 'linux', arch: 'mips' }, 'linux-mips'],
    [{ platform: 'darwin', arch: 'ia32' }, 'darwin-ia32']
  ] as const
  for (const [machine, name] of machines) {
    const error = await failure(entry(folder), machine)
    t.is(error.name, 'MdglError')
    t.is(error.code, 'platform')
    t.true(error.message.startsWith(`mdgl has no engine for ${name}; `), error.message)
    for (const platform of PLATFORMS) t.true(error.message.includes(platform))
    t.regex(error.message, HOW_TO_BUILD)
  }
})

test('an engine that is published and not installed is named, with the command that installs it', async t => {
  const folder = libraryAlone()
  const machines = [
    [{}, here],
    [{ platform: 'darwin', arch: 'arm64' }, 'darwin-arm64'],
    [{ platform: 'win32', arch: 'arm64' }, 'win32-arm64-msvc']
  ] as const
  for (const [machine, name] of machines) {
    const error = await failure(entry(folder), machine)
    t.is(error.code, 'platform')
    t.true(error.message.startsWith(`mdgl's engine for ${name}, the package mdgl-${name}, is not installed.`))
    t.regex(error.message, /--omit=optional/)
    t.regex(error.message, new RegExp(`npm install mdgl-${name}@\\d`))
    t.regex(error.message, HOW_TO_BUILD)
  }
})

test('an engine that is there and does not load is told apart, with what the system says', async t => {
  const folder = libraryAlone()
  writeFileSync(join(folder, 'dist/native', addon), 'no addon')
  const error = await failure(entry(folder))
  t.is(error.code, 'platform')
  t.true(error.message.startsWith(`mdgl's engine for ${here} is there, but did not load: `), error.message)
  if (process.platform === 'linux') t.regex(error.message, /(?:file too short|invalid ELF header|Exec format)/)
})

test('an engine that was linked with a newer glibc says so, and which one is enough', async t => {
  const folder = libraryAlone()
  const { version } = (await import('../package.json', { with: { type: 'json' } })).default
  addPackage(folder, version)
  const where = join(folder, 'node_modules', `mdgl-${here}`)
  // What glibc's loader says, which names one version of those that it has not.
  const said = `/lib64/libc.so.6: version \`GLIBC_2.34' not found (required by ${join(where, addon)})`
  writeFileSync(join(where, 'index.js'), `throw new Error(${JSON.stringify(said)})`)
  writeFileSync(join(where, 'package.json'), JSON.stringify({ name: `mdgl-${here}`, version, main: 'index.js' }))
  const error = await failure(entry(folder))
  t.is(error.code, 'platform')
  t.regex(error.message, /was linked with glibc 2\.34 or newer, and this system has (?:glibc 2\.\d+|an older one)\./)
  t.regex(error.message, /published need glibc 2\.28 at most/)
  t.regex(error.message, HOW_TO_BUILD)
})

test("the platform's package serves where no build is, and one of another version is refused", async t => {
  const folder = libraryAlone()
  const { version } = (await import('../package.json', { with: { type: 'json' } })).default
  addPackage(folder, version)
  t.is(await failure(entry(folder)), null as never)
  addPackage(folder, '0.0.1')
  const error = await failure(entry(folder))
  t.is(error.code, 'platform')
  t.regex(error.message, /did not load: .*version mismatch, expected \S+ but got 0\.0\.1/)
})

test('a bundle that took the library in says that it must stay outside', async t => {
  const folder = libraryAlone()
  writeFileSync(join(folder, 'entry.mjs'), "import { Model } from './dist/index.js'\nconsole.log(Model)\n")
  const out = mkdtempSync(join(tmpdir(), 'mdgl-bundle-'))
  made.push(out)
  await build({
    configFile: false,
    logLevel: 'silent',
    root: folder,
    build: { ssr: 'entry.mjs', outDir: out, emptyOutDir: true, rolldownOptions: { external: DEPENDENCIES } }
  })
  const [bundle = ''] = readdirSync(out).filter(name => /js$/.test(name))
  const error = await failure(join(out, bundle))
  t.is(error.code, 'platform')
  t.regex(error.message, BUNDLED)
})

// `npm run try-package` has these bundlers themselves; here what they leave of the module.
const leftovers = [
  ['esbuild leaves no address of the module', /import\.meta/g, '({})'],
  ['webpack leaves nothing to require with', 'createRequire(here())', 'undefined']
] as const
for (const [title, before, after] of leftovers) {
  test(`in a bundle of CommonJS ${title}: it must stay outside, which needs no Rust`, async t => {
    const folder = libraryAlone()
    const library = join(folder, 'dist/joined/library.js')
    const code = readFileSync(library, 'utf8')
    const bundled = code.replace(before, after)
    t.not(bundled, code)
    writeFileSync(library, bundled)
    const error = await failure(entry(folder))
    t.is(error.code, 'platform')
    t.regex(error.message, BUNDLED)
    t.notRegex(error.message, /Rust/)
  })
}

test("import 'mdgl' needs none of the dependencies, and nothing of the command line", async t => {
  const folder = libraryAlone()
  copyFileSync(join(root, 'dist/native', addon), join(folder, 'dist/native', addon))
  for (const room of ['bench', 'cli', 'compare', 'dashboard', 'data', 'runs', 'verify'])
    rmSync(join(folder, 'dist', room), { recursive: true })
  t.is(await failure(entry(folder)), null as never)
})

test('no module of the library waits at its top: require takes it whole', async t => {
  const { stdout } = await run(process.execPath, [
    '--eval',
    `const required = require(${JSON.stringify(entry(root))})
    import(${JSON.stringify(pathToFileURL(entry(root)).href)}).then(imported => {
      try { required.network({ dt: -1 }) } catch (error) { console.log(error instanceof imported.MdglError, error.code) }
      console.log(required.MdglError === imported.MdglError)
    })`
  ])
  t.is(stdout, 'true invalid\ntrue\n')
})

test('a package that only some functions need is named where it is missing, with the command that installs it', async t => {
  const folder = libraryAlone()
  copyFileSync(join(root, 'dist/native', addon), join(folder, 'dist/native', addon))
  const { dependencies } = (await import('../package.json', { with: { type: 'json' } })).default
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const uses = [
    ['readNpz(file)', 'fflate'],
    ['writeNpz(file, { a: Uint8Array.of(1) })', 'fflate'],
    ['loadNir(file)', 'h5wasm'],
    ['openSpikingHeidelbergDigits(file)', 'h5wasm']
  ] as const
  const program = `
    const file = ${JSON.stringify(file)}
    const { ${uses.map(([call]) => call.replace(/\(.*/, '')).join(', ')} } = await import(${JSON.stringify(pathToFileURL(entry(folder)).href)})
    const told = ({ name, code, message }) => ({ name, code, message })
    console.log(JSON.stringify([${uses.map(([call]) => `await ${call}.catch(told)`).join(', ')}]))`
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', program])
  const found = JSON.parse(stdout) as Failure[]
  for (const [i, [call, needed]] of uses.entries()) {
    const message = `The package ${needed}, which this needs, is not installed: \`npm install ${needed}@${dependencies[needed]}\`.`
    t.deepEqual(found[i], { name: 'MdglError', code: 'platform', message }, call)
  }
  t.is(stderr, '')
})

test('the command says in one line which package is missing', async t => {
  const folder = libraryAlone()
  copyFileSync(join(root, 'dist/native', addon), join(folder, 'dist/native', addon))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(join(root, 'node_modules/cli-progress'), join(folder, 'node_modules/cli-progress'), 'junction')
  const args = [
    join(folder, 'dist/cli/main.js'),
    'plot',
    'network',
    'evidence-accumulation',
    '--out',
    join(folder, 'x.png')
  ]
  const { code, stderr } = await t.throwsAsync<Error & { code: number; stderr: string }>(run(process.execPath, args))
  t.is(code, 1)
  t.regex(
    stderr,
    /^mdgl: The package @resvg\/resvg-js, which this needs, is not installed: `npm install @resvg\/resvg-js@\S+`\.\n$/
  )
})
