// Makes the packages and the account of what is in them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../lib/run.mjs'
import { SetupError } from '../lib/toolchain.mjs'
import { linkedCrates } from './crates.mjs'
import { COMMAND_PACKAGE, platforms, readManifest, thisPlatform } from './platforms.mjs'
import { billOfMaterials } from './sbom.mjs'
import { stageCommand, stageLibrary, stagePlatform } from './stage.mjs'

/** Packs what `stage` lays out in a folder; gives the tarball's path. */
async function pack(name, out, stage) {
  const folder = mkdtempSync(join(tmpdir(), 'mdgl-pack-'))
  try {
    await stage(folder)
    const args = ['pack', folder, '--pack-destination', out, '--ignore-scripts', '--loglevel=error']
    const { code, output } = await run('npm', args, { output: 'keep' })
    if (code !== 0) throw new SetupError(`npm pack failed: ${output.trim()}`)
    return join(out, `${name}-${readManifest().version}.tgz`)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/**
 * Writes the tarballs into a folder, with the bill of materials beside them.
 *
 * @param {string} out - an absolute path
 * @param {{ platformOnly?: boolean, local?: boolean, glibc?: string }} options - with `local` the library names no other platform;
 *   `glibc` is the newest that this platform's engine may need
 * @returns the paths of the library and the command line (undefined with `platformOnly`), this platform's engine, and the bill
 */
export async function packInto(out, { platformOnly = false, local = false, glibc } = {}) {
  mkdirSync(out, { recursive: true })
  const { name, version } = readManifest()
  const platform = thisPlatform()
  const crates = await linkedCrates(platform.triple)
  const engines = local ? [platform] : platforms()
  const library = platformOnly ? undefined : await pack(name, out, folder => stageLibrary(folder, engines))
  const command = platformOnly ? undefined : await pack(COMMAND_PACKAGE, out, stageCommand)
  const engine = await pack(platform.package, out, folder => stagePlatform(folder, platform, crates, glibc))
  const bill = join(out, `${platform.package}-${version}.cdx.json`)
  writeFileSync(bill, `${JSON.stringify(await billOfMaterials(platform, crates), null, 2)}\n`)
  return { library, command, engine, bill }
}
