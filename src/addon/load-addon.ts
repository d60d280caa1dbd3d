import { createRequire } from 'node:module'
import type * as Addon from '#native'
import { MdglError } from '../support/error.js'
import { isError, messageOf } from '../support/recognise.js'
import { version } from '../support/version.js'

/** The platforms whose engine is published, each as a package `mdgl-<platform>`: what `napi.targets` in package.json builds. */
export const PLATFORMS: readonly string[] = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc'
]

/**
 * Stands at the module's top and is called with a literal below, by which tools that look for files (`@vercel/nft`) find the engine. Its
 * argument is a call: webpack then puts nothing in its place, and does not look for the addons of all platforms to fail at the one that there is.
 */
const requireOwn = /* @__PURE__ */ createRequire(here())

/** In a bundle of CommonJS no module knows where it stands: then nothing is found, which {@link explain} explains. */
function here(): string {
  return import.meta.url ?? process.execPath
}

/**
 * Loads the engine: the file beside the loader that a build has left there, or this platform's package.
 *
 * @throws {@link MdglError} `'platform'` where there is none, it is not installed, or does not load.
 */
export function loadAddon(): typeof Addon {
  try {
    return checkingVersions(() => requireOwn('#native') as typeof Addon)
  } catch (error) {
    throw new MdglError({ code: 'platform', message: explain(error), cause: error })
  }
}

const CHECK = 'NAPI_RS_ENFORCE_VERSION_CHECK'

/** The generated loader compares the versions of the two packages if this variable says so; others that read it find it as it was. */
function checkingVersions<T>(load: () => T): T {
  const before = process.env[CHECK]
  process.env[CHECK] = before ?? '1'
  try {
    return load()
  } finally {
    if (before === undefined) delete process.env[CHECK]
  }
}

const BUILD = `To build it you need Rust 1.89 or newer: clone https://github.com/mdgl/mdgl, run \`npm run pack -- --out DIR\` in the clone, and install the two packages that it makes.`
const BUNDLED = `mdgl has been bundled, and its engine is an addon that cannot be: name mdgl as external to the bundler (esbuild, Rollup, Vite: \`external: ['mdgl']\`; webpack: \`externals: { mdgl: 'commonjs mdgl' }\`), and install it where the bundle runs.`
/** The least glibc of the engines that are published: Node's own. The release holds it. */
const LEAST_GLIBC = '2.28'
const NEWER_GLIBC = /version `GLIBC_([\d.]+)' not found/
const NOT_FOUND = /^Cannot find module '(?:\.\/mdgl\.|mdgl-)([a-z0-9-]+)/
/** Names that the loader tries for more than one platform, and that we do not publish. */
const COMMON = /(?:wasi|universal)$/

function explain(error: unknown): string {
  if (isBundled(error)) return BUNDLED
  const tried = attempts(error)
  const missing = tried.flatMap(message => NOT_FOUND.exec(message)?.[1] ?? [])
  // The loader tells gnu from musl; of a machine that it does not know it tries nothing.
  const platform = missing.find(name => !COMMON.test(name)) ?? `${process.platform}-${process.arch}`
  const failure = tried.find(message => !NOT_FOUND.test(message) && !message.startsWith('Unsupported '))
  const glibc = failure === undefined ? undefined : NEWER_GLIBC.exec(failure)?.[1]
  if (glibc !== undefined) return `mdgl's engine for ${platform} is there, but ${explainGlibc(glibc)} ${BUILD}`
  if (failure !== undefined) return `mdgl's engine for ${platform} is there, but did not load: ${failure}. ${BUILD}`
  if (!PLATFORMS.includes(platform))
    return `mdgl has no engine for ${platform}; there is one for ${PLATFORMS.join(', ')}. ${BUILD}`
  return `mdgl's engine for ${platform}, the package mdgl-${platform}, is not installed. npm leaves it out with --omit=optional, or where node_modules or the lock file were made on another platform. Install it with \`npm install mdgl-${platform}@${version()}\`. ${BUILD}`
}

/** An addon that was linked on a newer system. */
function explainGlibc(needed: string): string {
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } }
  const has = header.glibcVersionRuntime === undefined ? 'an older one' : `glibc ${header.glibcVersionRuntime}`
  return `was linked with glibc ${needed} or newer, and this system has ${has}. The engines that are published need glibc ${LEAST_GLIBC} at most; one of your own needs the glibc of the system that it was built on, so build it on this one or an older one.`
}

/** Webpack leaves nothing to call. `#native` is a name within this package: code that has left it finds no such name, or no such file. */
function isBundled(error: unknown): boolean {
  if (typeof requireOwn !== 'function') return true
  const { code, message } = error as NodeJS.ErrnoException
  return (
    code === 'ERR_PACKAGE_IMPORT_NOT_DEFINED' || (code === 'MODULE_NOT_FOUND' && /#native|native\.cjs/.test(message))
  )
}

/** What the loader says of each of its attempts, the last one first: it chains them as causes. */
function attempts(error: unknown): string[] {
  const messages: string[] = []
  for (let cause = (error as Error).cause; isError(cause); cause = cause.cause) messages.push(cause.message)
  return messages.length > 0 ? messages : [messageOf(error)]
}
