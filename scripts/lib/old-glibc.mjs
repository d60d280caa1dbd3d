// Links the engine with an old glibc. A library needs the glibc that it was linked with or a newer one, and its code is the same.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, run } from './run.mjs'
import { SetupError } from './toolchain.mjs'

/** A GCC with glibc 2.17, which napi's authors publish in npm; cargo needs its linker alone. */
const VERSION = '1'

async function must(program, args) {
  const { code, output } = await run(program, args, { output: 'keep' })
  if (code !== 0) throw new SetupError(`\`${program} ${args.join(' ')}\` failed: ${output.trim()}`)
}

/**
 * What the environment of a build must have so that it links with glibc 2.17: nothing, unless it says MDGL_OLD_GLIBC=1, as the
 * release does for Linux with glibc. Installs the linker below `target`.
 *
 * @param {string} compiler - what `rustc --version --verbose` says
 */
export async function oldGlibc(compiler) {
  if (process.env.MDGL_OLD_GLIBC !== '1') return {}
  const [, triple, cpu] = /^host: ((\w+)-unknown-linux-gnu)$/m.exec(compiler) ?? []
  if (triple === undefined) throw new SetupError('MDGL_OLD_GLIBC=1 is for Linux with glibc; unset it on this system.')
  const name = `@napi-rs/cross-toolchain-${process.arch}-target-${cpu}`
  const folder = join(ROOT, 'target/old-glibc', VERSION)
  const linker = join(folder, 'bin', `${triple}-gcc`)
  if (!existsSync(linker)) {
    console.error('mdgl: installing a linker with glibc 2.17')
    mkdirSync(folder, { recursive: true })
    await must('npm', [
      'install',
      '--prefix',
      folder,
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      `${name}@${VERSION}`
    ])
    const archive = join(folder, 'node_modules', name, `${triple}.tar.xz`)
    await must('tar', ['--extract', '--xz', '--no-same-owner', '--file', archive, '--directory', folder])
  }
  return { [`CARGO_TARGET_${triple.toUpperCase().replaceAll('-', '_')}_LINKER`]: linker }
}
