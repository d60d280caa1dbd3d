// Lays out what is packed, in a folder of its own: manifests differ from the repository's, and nothing is there by chance.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { ROOT, run } from '../lib/run.mjs'
import { SetupError } from '../lib/toolchain.mjs'
import { compareVersions, neededGlibc } from './glibc.mjs'
import { addonNotices, pageNotices } from './notices.mjs'
import { COMMAND_PACKAGE, readManifest } from './platforms.mjs'
import { commandFiles, libraryFiles, packedModule } from './split.mjs'

/** The exit code of a program that is not there. */
const NOT_FOUND = 127
const NOTICES = 'THIRD-PARTY.md'
const DIST = join(ROOT, 'dist')
/** What both packages have at their top. */
const DOCUMENTS = ['LICENSE', 'CITATION.cff']
/** What a user of the library reads in its manifest; scripts, and what they need, stay in the repository. */
const PUBLIC = [
  'name',
  'version',
  'description',
  'keywords',
  'license',
  'repository',
  'type',
  'engines',
  'types',
  'exports',
  'imports'
]

const pick = (manifest, keys) => Object.fromEntries(keys.map(key => [key, manifest[key]]))
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)

/** Copies files of the repository to the same places in a folder. */
function copyFiles(folder, paths) {
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    copyFileSync(join(ROOT, path), join(folder, path))
  }
}

/** The sources that the maps among some files name. */
function sourcesOf(paths) {
  const maps = paths.filter(path => path.endsWith('.map'))
  return new Set(
    maps.flatMap(path => {
      const { sources } = JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
      return sources.map(source => posix.join(posix.dirname(path), source))
    })
  )
}

/**
 * The library, without an addon; `engines` are the platforms it names. Their packages become its optional dependencies only here: in the
 * repository's own manifest `npm ci` would ask the registry for packages that this very commit is to publish. What only some functions
 * load are optional peers.
 */
export function stageLibrary(folder, engines) {
  const manifest = readManifest()
  const { files, packages } = libraryFiles(DIST)
  const dist = [...files].map(path => `dist/${path}`)
  copyFiles(folder, [...dist, ...sourcesOf(dist), 'dist/native/native.cjs', ...DOCUMENTS, 'index.d.ts', 'README.md'])
  copyFileSync(join(import.meta.dirname, 'mdgl-bin.mjs'), join(folder, 'mdgl-bin.js'))
  const peers = Object.fromEntries(Object.entries(manifest.dependencies).filter(([name]) => packages.has(name)))
  const optional = Object.keys(peers).map(name => [name, { optional: true }])
  writeJson(join(folder, 'package.json'), {
    ...pick(manifest, PUBLIC),
    sideEffects: false,
    bin: { mdgl: 'mdgl-bin.js' },
    exports: { ...manifest.exports, './internal/*': './dist/*' },
    optionalDependencies: Object.fromEntries(engines.map(each => [each.package, manifest.version])),
    peerDependencies: { ...manifest.peerDependencies, ...peers },
    peerDependenciesMeta: { ...manifest.peerDependenciesMeta, ...Object.fromEntries(optional) }
  })
}

/** The command line, which takes the library of the same version. */
export function stageCommand(folder) {
  const manifest = readManifest()
  const { files: library } = libraryFiles(DIST)
  copyFiles(folder, DOCUMENTS)
  for (const path of commandFiles(DIST, library)) {
    const to = join(folder, 'dist', path)
    mkdirSync(dirname(to), { recursive: true })
    if (path.endsWith('.js') && !path.startsWith('dashboard/page/'))
      writeFileSync(to, packedModule(readFileSync(join(DIST, path), 'utf8'), path, library))
    else copyFileSync(join(DIST, path), to)
  }
  writeFileSync(join(folder, NOTICES), pageNotices())
  writeFileSync(
    join(folder, 'README.md'),
    `# ${COMMAND_PACKAGE}\n\nThe command \`mdgl\`: train, compare, sweep, profile and plot recurrent spiking networks, with a dashboard in the browser. The library is [${manifest.name}](https://www.npmjs.com/package/${manifest.name}), which this installs.\n\n    npm install ${COMMAND_PACKAGE}\n    npx mdgl train evidence-accumulation --rule mdgl --live\n`
  )
  writeJson(join(folder, 'package.json'), {
    name: COMMAND_PACKAGE,
    version: manifest.version,
    description: `The command line of ${manifest.name}: training runs, comparisons, sweeps, a dashboard, pictures and profiles.`,
    ...pick(manifest, ['keywords', 'license', 'repository', 'type', 'engines', 'bin']),
    exports: { './main': './dist/cli/main.js', './package.json': './package.json' },
    dependencies: { [manifest.name]: manifest.version, ...manifest.dependencies }
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
