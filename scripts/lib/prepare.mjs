// Brings node_modules, the addon and dist up to date, redoing only what has changed.
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { oldGlibc } from './old-glibc.mjs'
import { ROOT, run } from './run.mjs'
import { checkNode, checkRust, SetupError } from './toolchain.mjs'

const at = path => join(ROOT, path)

const NATIVE = 'dist/native'
const STAGE = 'target/napi'
const STAMPS = {
  install: 'node_modules/.mdgl-lock',
  native: `${NATIVE}/.stamp`,
  library: 'dist/.stamp'
}

/** The files at a path, which may be a folder, a file or nothing, relative to the root. */
function files(path) {
  if (!existsSync(at(path))) return []
  if (!statSync(at(path)).isDirectory()) return [path]
  return readdirSync(at(path)).flatMap(name => files(`${path}/${name}`))
}

function hash(paths, ...extra) {
  const digest = createHash('sha256')
  for (const path of paths.flatMap(files).sort()) {
    digest
      .update(`${path}\0`)
      .update(readFileSync(at(path)))
      .update('\0')
  }
  return digest.update(extra.join('\0')).digest('hex')
}

const isCurrent = (stamp, value) => existsSync(at(stamp)) && readFileSync(at(stamp), 'utf8') === value

async function must(description, program, args, options) {
  console.error(`mdgl: ${description}`)
  const { code } = await run(program, args, options)
  if (code !== 0)
    throw new SetupError(
      `${description} failed (\`${program} ${args.join(' ')}\`, exit code ${code}); see the messages above.`
    )
}

/** Installs node_modules as the lock file says, unless they are. */
export async function install() {
  checkNode()
  const value = hash(['package-lock.json'])
  if (isCurrent(STAMPS.install, value)) return
  await must('installing the npm packages; this takes about half a minute', 'npm', [
    'ci',
    '--no-audit',
    '--no-fund',
    '--loglevel=error'
  ])
  writeFileSync(at(STAMPS.install), value)
}

/** Seconds that compiling the engine and its dependencies takes on one core alone, and seconds that all cores share. */
const ENGINE_SECONDS = { alone: 20, shared: 130 }

/** About how long the engine compiles if cargo has compiled nothing yet. */
function engineTime() {
  const seconds = ENGINE_SECONDS.alone + ENGINE_SECONDS.shared / Math.min(availableParallelism(), 8)
  return `the first time this takes about ${Math.ceil(seconds / 30) / 2} minutes, later less`
}

/** Builds the addon. It is put in place by renaming, so that a running process keeps the file it has open. */
async function buildNative(compiler) {
  const sources = [
    'crates/mdgl-core',
    'crates/mdgl-node',
    'Cargo.toml',
    'Cargo.lock',
    '.cargo/config.toml',
    'rust-toolchain.toml',
    // The generated loader knows the package's name and version.
    'package.json',
    'package-lock.json',
    'scripts/lib/prepare.mjs',
    'scripts/lib/old-glibc.mjs'
  ]
  const how = [
    compiler,
    process.platform,
    process.arch,
    process.env.MDGL_OLD_GLIBC === '1' ? 'old glibc' : '',
    process.env.CARGO_PROFILE_RELEASE_DEBUG ?? ''
  ]
  if (isCurrent(STAMPS.native, hash(sources, ...how))) return
  rmSync(at(STAGE), { recursive: true, force: true })
  const args = [
    'build',
    '--platform',
    '--release',
    '--manifest-path',
    'crates/mdgl-node/Cargo.toml',
    '--output-dir',
    STAGE,
    '--js',
    'native.cjs',
    '--dts',
    'index.d.ts'
  ]
  await must(`building the engine in Rust, optimised; ${engineTime()}`, 'napi', args, { env: await oldGlibc(compiler) })
  mkdirSync(at(NATIVE), { recursive: true })
  for (const name of readdirSync(at(STAGE))) {
    copyFileSync(at(`${STAGE}/${name}`), at(`${NATIVE}/${name}.new`))
    renameSync(at(`${NATIVE}/${name}.new`), at(`${NATIVE}/${name}`))
  }
  // The build itself may complete Cargo.lock.
  writeFileSync(at(STAMPS.native), hash(sources, ...how))
}

async function buildLibrary() {
  const sources = [
    'src',
    'tsconfig.json',
    'index.d.ts',
    'package.json',
    'package-lock.json',
    'scripts/lib/join-library.mjs'
  ]
  const value = hash(sources)
  if (isCurrent(STAMPS.library, value)) return
  for (const name of existsSync(at('dist')) ? readdirSync(at('dist')) : []) {
    if (name !== 'native') rmSync(at(`dist/${name}`), { recursive: true, force: true })
  }
  await must('compiling the library; this takes about 15 seconds', 'tsc', ['--project', 'tsconfig.json'])
  console.error("mdgl: joining the library's modules")
  // What it imports is installed by now.
  const { joinLibrary } = await import('./join-library.mjs')
  await joinLibrary(at('dist'))
  await must("building the dashboard's page", 'vite', ['build', '--config', 'src/dashboard/page/vite.config.mjs'])
  if (existsSync(at('src/data'))) cpSync(at('src/data'), at('dist/data'), { recursive: true })
  writeFileSync(at(STAMPS.library), value)
}

/** The declarations that the addon's build has generated; the committed copy is index.d.ts at the root. */
export const GENERATED_TYPES = `${NATIVE}/index.d.ts`

/**
 * Makes everything ready to run. With `types`, the generated declarations replace index.d.ts at the root
 * (`npm run build`); otherwise that file stays as committed, so that drift can be seen.
 */
export async function prepare({ types = false } = {}) {
  checkNode()
  const compiler = checkRust()
  await install()
  await buildNative(compiler)
  if (types || !existsSync(at('index.d.ts'))) copyFileSync(at(GENERATED_TYPES), at('index.d.ts'))
  await buildLibrary()
}

/** Runs `main` and turns a `SetupError` into one clear line. */
export async function guarded(main) {
  try {
    process.exitCode = await main()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.error(`\nmdgl: ${error.message}`)
    process.exitCode = 1
  }
}
