// What the packages are made of, as CycloneDX: npm's own account, joined with the crates in the addon.
import { run } from '../lib/run.mjs'
import { checkRust, SetupError } from '../lib/toolchain.mjs'
import { BUNDLED } from './notices.mjs'
import { COMMAND_PACKAGE, readManifest } from './platforms.mjs'

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

/** One of our own packages. */
function ownComponent(name, { version, license }, scope) {
  const ref = `${name}@${version}`
  return {
    'bom-ref': ref,
    type: 'library',
    name,
    version,
    scope,
    purl: `pkg:npm/${ref}`,
    licenses: [{ license: { id: license } }]
  }
}

/** The document for the command line with the library and one platform's engine. */
export async function billOfMaterials(platform, crates) {
  const manifest = readManifest()
  const document = await npmAccount()
  const { kept, edges } = shipped(document)
  const library = ownComponent(manifest.name, manifest, 'required')
  const addon = ownComponent(platform.package, manifest, 'optional')
  const byId = new Map(crates.map(crate => [crate.id, crateRef(crate)]))
  const [, rustc] = /^rustc (\S+)/.exec(checkRust())
  // npm's account is of the repository, which installs what the command line does.
  const command = { ...document.metadata.component, ...ownComponent(COMMAND_PACKAGE, manifest, 'required') }
  document.metadata.component = command
  document.metadata.tools.push({ vendor: 'rust-lang', name: 'rustc', version: rustc })
  const [root, ...rest] = edges
  document.components = [...kept, library, addon, ...crates.map(crateComponent)]
  document.dependencies = [
    { ref: command['bom-ref'], dependsOn: [...root.dependsOn, library['bom-ref']] },
    { ref: library['bom-ref'], dependsOn: [addon['bom-ref']] },
    ...rest,
    { ref: addon['bom-ref'], dependsOn: [crateRef(crates[0])] },
    ...crates.map(crate => ({ ref: crateRef(crate), dependsOn: crate.needs.map(id => byId.get(id)) }))
  ]
  return document
}
