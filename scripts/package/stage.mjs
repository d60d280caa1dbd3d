// Lays out what is packed, in a folder of its own: manifests differ from the repository's, and nothing is there by chance.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT, run } from '../lib/run.mjs'
import { SetupError } from '../lib/toolchain.mjs'
import { compareVersions, neededGlibc } from './glibc.mjs'
import { addonNotices, pageNotices } from './notices.mjs'
import { readManifest } from './platforms.mjs'

/** The exit code of a program that is not there. */
const NOT_FOUND = 127
const NOTICES = 'THIRD-PARTY.md'
/** What a user of the package reads in its manifest; scripts, and what they need, stay in the repository. */
const PUBLIC = [
  'name',
  'version',
  'description',
  'keywords',
  'license',
  'repository',
  'type',
  'sideEffects',
  'engines',
  'bin',
  'types',
  'exports',
  'imports',
  'files',
  'dependencies',
  'peerDependencies',
  'peerDependenciesMeta'
]

const pick = (manifest, keys) => Object.fromEntries(keys.map(key => [key, manifest[key]]))
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)

/** The files that `files` of package.json names, as npm reads it. */
async function packedFiles() {
  const { code, output } = await run('npm', ['pack', '--dry-run', '--json', '--loglevel=error'], { output: 'keep' })
  if (code !== 0) throw new SetupError(`npm pack failed: ${output.trim()}`)
  const [{ files }] = Object.values(JSON.parse(output.slice(output.search(/^[[{]/m))))
  return files.map(({ path }) => path)
}

/**
 * The main package, without an addon; `engines` are the platforms it names. Their packages become its optional
 * dependencies only here: in the repository's own manifest `npm ci` would ask the registry for packages that this very
 * commit is to publish.
 */
export async function stageMain(folder, engines) {
  for (const path of await packedFiles()) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    copyFileSync(join(ROOT, path), join(folder, path))
  }
  const manifest = readManifest()
  writeFileSync(join(folder, NOTICES), pageNotices())
  writeJson(join(folder, 'package.json'), {
    ...pick(manifest, PUBLIC),
    files: [...manifest.files, NOTICES],
    optionalDependencies: Object.fromEntries(engines.map(each => [each.package, manifest.version]))
  })
}

/** The addon without the tables that only profilers read; they are five sixths of it. Windows keeps them in another file. */
async function copyAddon(from, to) {
  if (process.platform === 'win32') return copyFileSync(from, to)
  const strip = await run('strip', ['-S', '-o', to, from], { output: 'keep' })
  if (strip.code === NOT_FOUND) {
    console.error('mdgl: there is no `strip` here; the addon is packed with its tables for profilers')
    return copyFileSync(from, to)
  }
  if (strip.code !== 0) throw new SetupError(`strip failed: ${strip.output.trim()}`)
  if (process.platform !== 'darwin') return
  // A changed file needs a new signature, or macOS refuses to load it.
  const sign = await run('codesign', ['--force', '--sign', '-', to], { output: 'keep' })
  if (sign.code !== 0) throw new SetupError(`codesign failed: ${sign.output.trim()}`)
}

/** What an addon needs of the system, in words; refuses one that needs a newer glibc than `most`. */
function requirement({ libc }, addon, most) {
  if (libc !== 'glibc') return ''
  const least = neededGlibc(readFileSync(addon))
  if (most !== undefined && compareVersions(least, most) > 0)
    throw new SetupError(
      `the engine needs glibc ${least}, and at most ${most} is allowed. MDGL_OLD_GLIBC=1 builds it with an old glibc.`
    )
  return ` It needs glibc ${least} or newer.`
}

/** One platform's package: the addon that the build has left in dist/native. */
export async function stagePlatform(folder, platform, crates, mostGlibc) {
  const manifest = readManifest()
  const { os, cpu, libc, file } = platform
  await copyAddon(join(ROOT, 'dist/native', file), join(folder, file))
  const needs = requirement(platform, join(folder, file), mostGlibc)
  copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
  writeFileSync(join(folder, NOTICES), addonNotices(crates))
  writeFileSync(
    join(folder, 'README.md'),
    `# ${platform.package}\n\nThe engine of [${manifest.name}](https://www.npmjs.com/package/${manifest.name}) for \`${platform.triple}\`. Install \`${manifest.name}\`, which takes what fits the machine.${needs}\n`
  )
  writeJson(join(folder, 'package.json'), {
    name: platform.package,
    version: manifest.version,
    description: `The engine of ${manifest.name} for ${platform.triple}`,
    ...pick(manifest, ['license', 'repository', 'engines']),
    os: [os],
    cpu: [cpu],
    ...(libc !== undefined && { libc: [libc] }),
    type: 'commonjs',
    main: file,
    files: [file, NOTICES]
  })
}
