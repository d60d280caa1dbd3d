import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { scratch } from './scratch.js'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

/** What `npm run pack` makes, unpacked. */
export interface Packed {
  /** Has all of this. */
  readonly folder: string
  /** The library's folder. */
  readonly library: string
  /** The command line's. */
  readonly command: string
  /** The folder of this platform's package. */
  readonly engine: string
  /** This platform, in napi's scheme. */
  readonly platform: string
  /** The bill of materials. */
  readonly bill: Bill
}

/** The parts of a CycloneDX document that the tests read. */
export interface Bill {
  readonly bomFormat: string
  readonly metadata: { readonly component: { readonly name: string; readonly 'bom-ref': string } }
  readonly components: readonly {
    readonly 'bom-ref': string
    readonly name: string
    readonly purl: string
    readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
  }[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

/** Unpacks a tarball of the folder into another one there. */
async function unpack(folder: string, tarball: string, name: string): Promise<string> {
  mkdirSync(join(folder, name))
  // Names relative to the folder: a drive's letter looks like a host's name to some tars.
  await run('tar', ['-xzf', tarball, '-C', name, '--strip-components', '1'], { cwd: folder })
  return join(folder, name)
}

/** Packs into a folder outside the repository. */
export async function packed(): Promise<Packed> {
  const folder = scratch('packed')
  await run(process.execPath, [join(root, 'scripts/pack.mjs'), '--out', folder], { cwd: root })
  const names = readdirSync(folder)
  const find = (pattern: RegExp) => names.find(name => pattern.test(name)) ?? ''
  const engineTarball = find(/^mdgl-(?!cli-)[a-z].*\.tgz$/)
  return {
    folder,
    library: await unpack(folder, find(/^mdgl-\d.*\.tgz$/), 'mdgl'),
    command: await unpack(folder, find(/^mdgl-cli-.*\.tgz$/), 'mdgl-cli'),
    engine: await unpack(folder, engineTarball, 'engine'),
    platform: engineTarball.replace(/^mdgl-(.+?)-\d.*$/, '$1'),
    bill: JSON.parse(readFileSync(join(folder, find(/\.cdx\.json$/)), 'utf8')) as Bill
  }
}

/** The files below a folder, with `/` between names. */
export function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .map(path => path.replaceAll('\\', '/'))
    .sort()
}
