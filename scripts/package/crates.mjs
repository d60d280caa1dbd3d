// The crates that are compiled into the addon, from cargo's own resolution.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT, run } from '../lib/run.mjs'
import { SetupError } from '../lib/toolchain.mjs'

const ADDON = 'mdgl-node'

async function metadata(triple) {
  const args = ['metadata', '--format-version', '1', '--locked', '--filter-platform', triple]
  const { code, output } = await run('cargo', args, { output: 'keep' })
  if (code !== 0) throw new SetupError(`cargo metadata failed: ${output.trim()}`)
  // What cargo tells of its progress stands before the one line of JSON.
  return JSON.parse(output.split('\n').find(line => line.startsWith('{')))
}

/** The SHA-256 of each crate's archive, by name and version. */
function checksums() {
  const lock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8')
  const entries = lock.matchAll(/^name = "(.+)"\nversion = "(.+)"\nsource = .+\nchecksum = "(.+)"$/gm)
  return new Map([...entries].map(([, name, version, checksum]) => [`${name}@${version}`, checksum]))
}

/** A macro's crate runs in the compiler: nothing of it, or of what it needs, is in the addon. */
const isLinked = ({ targets }) => !targets.some(({ kind }) => kind.includes('proc-macro'))
const isNormal = ({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null)

/** The addon's crate first; each with its id, name, version, licence, folder, checksum and the ids of what it needs. */
export async function linkedCrates(triple) {
  const { packages, resolve } = await metadata(triple)
  const byId = new Map(packages.map(each => [each.id, each]))
  const nodes = new Map(resolve.nodes.map(node => [node.id, node]))
  const sums = checksums()
  const found = new Map()
  const queue = [packages.find(({ name }) => name === ADDON).id]
  for (const id of queue) {
    if (found.has(id)) continue
    const { name, version, license, repository, manifest_path } = byId.get(id)
    const needs = nodes
      .get(id)
      .deps.filter(dep => isNormal(dep) && isLinked(byId.get(dep.pkg)))
      .map(dep => dep.pkg)
    const checksum = sums.get(`${name}@${version}`)
    // Older manifests write `A/B` for `A OR B`.
    const licence = license?.replaceAll('/', ' OR ')
    found.set(id, { id, name, version, licence, repository, folder: dirname(manifest_path), checksum, needs })
    queue.push(...needs)
  }
  return [...found.values()]
}
