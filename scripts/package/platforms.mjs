// The platforms of napi's scheme: one package each, which holds the addon and nothing else that runs.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseTriple } from '@napi-rs/cli'
import { ROOT } from '../lib/run.mjs'
import { checkRust } from '../lib/toolchain.mjs'

const LIBC = { gnu: 'glibc', musl: 'musl' }

/** The package of the command line. */
export const COMMAND_PACKAGE = 'mdgl-cli'

/** The package's manifest as it stands in the repository. */
export const readManifest = () => JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/**
 * @typedef {{ triple: string, name: string, package: string, file: string, os: string, cpu: string, libc?: string }} Platform
 */

/** What a target of Rust's is called in npm: its package, the addon's file, and what npm compares with the machine. @returns {Platform} */
export function platformOf(triple) {
  const { name: parent, napi } = readManifest()
  const { platformArchABI: name, platform: os, arch: cpu, abi } = parseTriple(triple)
  const libc = os === 'linux' ? LIBC[abi] : undefined
  return { triple, name, package: `${parent}-${name}`, file: `${napi.binaryName}.${name}.node`, os, cpu, libc }
}

/** Every platform that is published. @returns {Platform[]} */
export const platforms = () => readManifest().napi.targets.map(platformOf)

/** This machine's, as its compiler sees it; it need not be among the published ones. */
export function thisPlatform() {
  const [, triple] = /^host: (.+)$/m.exec(checkRust())
  return platformOf(triple)
}
