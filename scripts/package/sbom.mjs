// What the packages are made of, as CycloneDX: npm's own account, joined with the crates in the addon.
import { run } from '../lib/run.mjs'
import { checkRust, SetupError } from '../lib/toolchain.mjs'
import { BUNDLED } from './notices.mjs'
import { readManifest } from './platforms.mjs'

async function npmAccount() {
  const { code, output } = await run('npm', ['sbom', '--sbom-format', 'cyclonedx', '--loglevel=error'], {
    output: 'keep'
  })
  if (code !== 0) throw new SetupError(`npm sbom failed: ${output.trim()}`)
  return JSON.parse(output.slice(output.indexOf('{')))
}

const isDevelopment = ({ properties }) => properties?.some(({ name }) => name === 'cdx:npm:package:development')

/** What is installed with the package, and what is built into it; nothing of what only develops it. */
function shipped({ components, dependencies }) {
  const kept = components.filter(each => !isDevelopment(each) || BUNDLED.includes(each.name))
  const refs = new Set(kept.map(each => each['bom-ref']))
  const edges = dependencies
    .filter(({ ref }, i) => i === 0 || refs.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter(each => refs.has(each)) }))
  return { kept, edges }
}

const crateRef = ({ name, version }) => `pkg:cargo/${name}@${version}`

function crateComponent(crate) {
  const { name, version, licence, checksum, repository } = crate
  return {
    'bom-ref': crateRef(crate),
    type: 'library',
    name,
    version,
    scope: 'required',
    purl: crateRef(crate),
    ...(checksum !== undefined && { hashes: [{ alg: 'SHA-256', content: checksum }] }),
    licenses: [{ expression: licence }],
    ...(repository && { externalReferences: [{ type: 'vcs', url: repository }] })
  }
}

function platformComponent(platform, version, licence) {
  return {
    'bom-ref': `${platform.package}@${version}`,
    type: 'library',
    name: platform.package,
    version,
    scope: 'optional',
    purl: `pkg:npm/${platform.package}@${version}`,
    licenses: [{ license: { id: licence } }]
  }
}

/** The document for the main package together with one platform's. */
export async function billOfMaterials(platform, crates) {
  const { name, version, license } = readManifest()
  const document = await npmAccount()
  const { kept, edges } = shipped(document)
  const addon = platformComponent(platform, version, license)
  const byId = new Map(crates.map(crate => [crate.id, crateRef(crate)]))
  const [, rustc] = /^rustc (\S+)/.exec(checkRust())
  // npm takes the folder's name for the package's.
  Object.assign(document.metadata.component, { name })
  document.metadata.tools.push({ vendor: 'rust-lang', name: 'rustc', version: rustc })
  edges[0].dependsOn.push(addon['bom-ref'])
  document.components = [...kept, addon, ...crates.map(crateComponent)]
  document.dependencies = [
    ...edges,
    { ref: addon['bom-ref'], dependsOn: [crateRef(crates[0])] },
    ...crates.map(crate => ({ ref: crateRef(crate), dependsOn: crate.needs.map(id => byId.get(id)) }))
  ]
  return document
}
