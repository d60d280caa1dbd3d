import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import test from 'ava'
import ts from 'typescript'
import { build, type Rolldown } from 'vite'
import { compareVersions, neededGlibc, neededVersions } from '../scripts/package/glibc.mjs'
import { platforms } from '../scripts/package/platforms.mjs'
import { PLATFORMS } from '../src/addon/load-addon.js'
import { filesBelow, type Packed, packed, root } from './helpers/packed.js'

/** What is loaded on demand and not installed beside the copy that is bundled. */
const DEPENDENCIES = ['h5wasm/node', 'fflate']

interface Manifest {
  readonly version: string
  readonly scripts?: object
  readonly exports: Readonly<Record<string, unknown>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
  readonly main?: string
}

const manifestIn = (folder: string) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest

let packages: Packed
test.before(async () => {
  packages = await packed()
})

test('the library has these things at its top, no addon, and no dependency; what few functions load are optional peers', t => {
  const top = ['CITATION.cff', 'LICENSE', 'README.md', 'dist', 'index.d.ts', 'mdgl-bin.js', 'package.json', 'src']
  t.deepEqual(readdirSync(packages.library).sort(), top)
  const files = filesBelow(packages.library)
  t.deepEqual(
    files.filter(path => /\.node$|\.stamp$|__test__|\.test\.|tsconfig|vite|dist\/(?:cli|dashboard|runs)/.test(path)),
    []
  )
  t.deepEqual(
    files.filter(path => path.startsWith('dist/native/')),
    ['dist/native/native.cjs']
  )
  const { dependencies, peerDependencies, peerDependenciesMeta } = manifestIn(packages.library)
  t.is(dependencies, undefined)
  t.deepEqual(Object.keys(peerDependencies ?? {}).sort(), ['@types/node', 'fflate', 'h5wasm'])
  for (const name of Object.keys(peerDependencies ?? {})) t.true(peerDependenciesMeta?.[name]?.optional, name)
})

test('the library and its engine take at most 12 MB', t => {
  const size = [packages.library, packages.engine].flatMap(folder =>
    filesBelow(folder).map(path => statSync(join(folder, path)).size)
  )
  t.true(size.reduce((sum, bytes) => sum + bytes, 0) < 12e6)
})

test('the command line has what runs, and takes the library of its own version', t => {
  const files = filesBelow(packages.command)
  t.deepEqual(
    files.filter(path => !path.startsWith('dist/')),
    ['CITATION.cff', 'LICENSE', 'README.md', 'THIRD-PARTY.md', 'package.json']
  )
  const manifest = manifestIn(packages.command)
  t.is(manifest.dependencies?.mdgl, manifest.version)
  const library = new Set(filesBelow(packages.library))
  const modules = files.filter(path => path.endsWith('.js') && !path.startsWith('dist/dashboard/page/'))
  t.true(modules.length > 100)
  for (const path of modules) {
    const imported = ts.preProcessFile(readFileSync(join(packages.command, path), 'utf8'), true, true).importedFiles
    for (const { fileName } of imported) {
      if (fileName.startsWith('.')) t.true(files.includes(posix.join(posix.dirname(path), fileName)), fileName)
      else if (fileName.startsWith('mdgl/')) t.true(library.has(fileName.replace('mdgl/internal', 'dist')), fileName)
    }
  }
})

test('the command of the library alone names the package that is missing', async t => {
  const { code, stderr } = await exitOf(join(packages.library, 'mdgl-bin.js'))
  t.is(code, 1)
  const { version } = manifestIn(packages.library)
  t.is(stderr, `mdgl: the command line is the package mdgl-cli: \`npm install mdgl-cli@${version}\`\n`)
})

const exitOf = (script: string) =>
  new Promise<{ code: unknown; stderr: string }>(resolve => {
    execFile(process.execPath, [script], { cwd: tmpdir() }, (error, _, stderr) =>
      resolve({ code: error?.code, stderr })
    )
  })

test('every declaration and every source that a map names is there, and no other source', t => {
  const files = filesBelow(packages.library)
  const named = new Set<string>()
  for (const path of files.filter(path => path.endsWith('.map'))) {
    const { sources } = JSON.parse(readFileSync(join(packages.library, path), 'utf8')) as { sources: string[] }
    for (const source of sources) named.add(posix.join(posix.dirname(path), source))
  }
  t.deepEqual(
    [...named].sort(),
    files.filter(path => path.startsWith('src/'))
  )
  for (const path of files.filter(path => path.endsWith('.d.ts'))) {
    const imported = ts.preProcessFile(readFileSync(join(packages.library, path), 'utf8'), true, true).importedFiles
    for (const { fileName } of imported.filter(({ fileName }) => fileName.startsWith('.')))
      t.true(
        files.includes(posix.join(posix.dirname(path), fileName.replace(/\.js$/, '.d.ts'))),
        `${path}: ${fileName}`
      )
  }
})

test('nothing in the packages names a place on the machine that packed them', t => {
  for (const folder of [packages.library, packages.command, packages.engine])
    for (const path of filesBelow(folder).filter(path => !path.endsWith('.node'))) {
      const text = readFileSync(join(folder, path), 'utf8')
      t.false(text.includes(root) || text.includes(dirname(packages.library)), path)
    }
})

test('the manifest asks for every published platform by exact version, and runs nothing at installation', t => {
  const manifest = manifestIn(packages.library)
  t.is(manifest.scripts, undefined)
  t.deepEqual(
    manifest.optionalDependencies,
    Object.fromEntries(PLATFORMS.map(name => [`mdgl-${name}`, manifest.version]))
  )
  const entries = ['.', './analysis', './encoders', './io', './profile', './tasks']
  t.deepEqual(Object.keys(manifest.exports), [...entries, './package.json', './internal/*'])
  for (const target of entries.flatMap(name => Object.values(manifest.exports[name] as Record<string, string>))) {
    t.true(existsSync(join(packages.library, target)), target)
  }
  const cargo = readFileSync(join(root, 'Cargo.toml'), 'utf8')
  t.is(/^version = "(.+)"$/m.exec(cargo)?.[1], manifest.version)
})

test('ARCHITECTURE.md gives a reason for every dependency, and has no other', t => {
  const [, section = ''] = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split('## Runtime dependencies')
  const rows = section.split('\n').filter(line => line.startsWith('| `'))
  const named = rows.flatMap(row => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name))
  const { dependencies } = manifestIn(packages.command)
  t.deepEqual(['mdgl', ...named].sort(), Object.keys(dependencies ?? {}).sort())
})

test("the platform's package has the addon, the licences, and what npm compares with the machine", t => {
  const addon = `mdgl.${packages.platform}.node`
  t.deepEqual(filesBelow(packages.engine), ['LICENSE', 'README.md', 'THIRD-PARTY.md', addon, 'package.json'])
  const { os, cpu, libc, main, version, scripts } = manifestIn(packages.engine)
  const libcs = process.platform === 'linux' ? [packages.platform.endsWith('musl') ? 'musl' : 'glibc'] : undefined
  t.deepEqual({ os, cpu, libc, main }, { os: [process.platform], cpu: [process.arch], libc: libcs, main: addon })
  t.is(version, manifestIn(packages.library).version)
  t.is(scripts, undefined)
})

test("the package of an engine for glibc says which it needs, and this machine's is enough", t => {
  const readme = readFileSync(join(packages.engine, 'README.md'), 'utf8')
  const said = / needs glibc ([\d.]+) or newer/.exec(readme)?.[1]
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } }
  if (!packages.platform.endsWith('-gnu')) {
    t.is(said, undefined)
    return
  }
  t.is(said, neededGlibc(readFileSync(join(packages.engine, `mdgl.${packages.platform}.node`))))
  t.true(compareVersions(said ?? '', header.glibcVersionRuntime ?? '') <= 0)
})

/** An ELF file that asks for versions of symbols, by file: nothing in it but what says so. */
function elf(files: readonly (readonly string[])[]): Buffer {
  const names = files.flat()
  const strings = Buffer.from(`\0${names.join('\0')}\0`)
  const offsetOf = (name: string) => strings.indexOf(`${name}\0`)
  const needed = files.map(versions => {
    const part = Buffer.alloc(16 * (1 + versions.length))
    part.writeUInt16LE(1, 0)
    part.writeUInt16LE(versions.length, 2)
    part.writeUInt32LE(16, 8)
    part.writeUInt32LE(versions === files.at(-1) ? 0 : part.length, 12)
    for (const [i, name] of versions.entries()) {
      part.writeUInt32LE(offsetOf(name), 16 * (i + 1) + 8)
      part.writeUInt32LE(i === versions.length - 1 ? 0 : 16, 16 * (i + 1) + 12)
    }
    return part
  })
  const sections = Buffer.alloc(3 * 64)
  const section = (i: number, type: number, offset: number, link: number, info: number) => {
    sections.writeUInt32LE(type, i * 64 + 4)
    sections.writeBigUInt64LE(BigInt(offset), i * 64 + 24)
    sections.writeUInt32LE(link, i * 64 + 40)
    sections.writeUInt32LE(info, i * 64 + 44)
  }
  const at = 64 + sections.length
  section(1, 3, at, 0, 0)
  section(2, 0x6ffffffe, at + strings.length, 1, files.length)
  const head = Buffer.alloc(64)
  head.write('\x7fELF', 'latin1')
  head.writeBigUInt64LE(64n, 40)
  head.writeUInt16LE(64, 58)
  head.writeUInt16LE(3, 60)
  return Buffer.concat([head, sections, strings, ...needed])
}

test('the glibc that a library needs is the newest version of all that it asks for', t => {
  const libraries = [['GLIBC_2.9', 'GLIBC_2.28', 'GLIBC_2.3.4'], ['GCC_3.0'], ['GLIBC_2.2.5', 'GLIBC_PRIVATE']]
  t.deepEqual(neededVersions(elf(libraries)), libraries.flat())
  t.is(neededGlibc(elf(libraries)), '2.28')
  t.is(neededGlibc(elf([['GCC_3.0']])), undefined)
  t.true(compareVersions('2.3.4', '2.28') < 0 && compareVersions('2.28.1', '2.28') > 0)
  t.is(compareVersions('2.28', '2.28'), 0)
  t.throws(() => neededGlibc(Buffer.from('no library')), { message: /no ELF/ })
})

test('the licences of all that the packages hold stand beside it', t => {
  t.regex(readFileSync(join(packages.command, 'THIRD-PARTY.md'), 'utf8'), /## uplot [\d.]+\n\nMIT\n\n.*Copyright/s)
  const addon = readFileSync(join(packages.engine, 'THIRD-PARTY.md'), 'utf8')
  for (const name of ['nalgebra', 'rayon', 'safetensors']) t.regex(addon, new RegExp(`^## ${name} `, 'm'))
})

test('the bill of materials names what is shipped, and how it hangs together', t => {
  const { bomFormat, metadata, components, dependencies } = packages.bill
  t.is(bomFormat, 'CycloneDX')
  t.is(metadata.component.name, 'mdgl-cli')
  const refs = new Set([metadata.component['bom-ref'], ...components.map(each => each['bom-ref'])])
  t.is(refs.size, components.length + 1)
  for (const { ref, dependsOn } of dependencies) for (const each of [ref, ...dependsOn]) t.true(refs.has(each), each)
  const names = components.map(({ name }) => name)
  for (const name of ['mdgl', 'linkedom', 'uplot', 'rayon', 'mdgl-core', `mdgl-${packages.platform}`])
    t.true(names.includes(name), name)
  // What builds and tests is not shipped, nor are macros and their crates.
  for (const name of ['ava', 'vite', 'napi-derive', 'syn', 'proptest']) t.false(names.includes(name), name)
  const foreign = components.filter(({ purl }) => purl.startsWith('pkg:cargo/') && !purl.startsWith('pkg:cargo/mdgl-'))
  t.true(foreign.length > 20)
  for (const { name, hashes } of foreign) t.regex(hashes?.[0]?.content ?? '', /^[0-9a-f]{64}$/, name)
})

/** A bundle of what is imported by these names, with all else of the library left out that can be. */
async function bundled(names: string): Promise<string> {
  const entry = 'virtual:entry'
  const main = join(packages.library, 'dist/index.js')
  const code = `import { ${names} } from ${JSON.stringify(main)}\nconsole.log(${names})`
  const result = (await build({
    configFile: false,
    logLevel: 'silent',
    root: packages.library,
    build: { ssr: true, write: false, rolldownOptions: { input: entry, external: DEPENDENCIES } },
    plugins: [{ name: 'entry', resolveId: id => (id === entry ? id : null), load: id => (id === entry ? code : null) }]
  })) as Rolldown.RolldownOutput
  return result.output[0].code
}

/** Names of functions, which a bundle that is not minified keeps. */
const has = (bundle: string, name: string) => new RegExp(`function\\*? ${name}\\b`).test(bundle)

test('a bundle has what is imported, and nothing of the rest', async t => {
  const task = await bundled('evidenceAccumulation')
  t.true(has(task, 'evidenceAccumulation'))
  for (const name of ['sequentialDigits', 'storeRecall', 'train', 'simulate', 'networkGraph', 'traceProfile', 'digits'])
    t.false(has(task, name), name)
  // Some constants stay, since a spread could do anything; no function, and no addon.
  const error = await bundled('MdglError')
  t.true(error.length < 10_000, `${error.length} characters`)
  for (const name of ['evidenceAccumulation', 'loadAddon', 'wholeNumber', 'network']) t.false(has(error, name), name)
})

test('every platform of napi.targets is one that the library knows', t => {
  const names = platforms().map(({ name }) => name)
  t.deepEqual(names, [...PLATFORMS])
})

test('the release links every engine for glibc with an old one, holds that, and tries it on such a system', t => {
  const workflow = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8')
  const rows = [...workflow.matchAll(/platform: \S+-gnu, .*/g)].map(([row]) => row)
  t.is(rows.length, PLATFORMS.filter(name => name.endsWith('-gnu')).length)
  for (const row of rows) t.regex(row, /glibc: "2\.28"/)
  t.regex(workflow, /'--glibc \{0\}', matrix\.glibc/)
  t.regex(workflow, /MDGL_OLD_GLIBC: .*matrix\.glibc && '1'/)
  t.regex(workflow, /almalinux:8/)
})

test('the release builds every platform', t => {
  const workflow = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8')
  const built = [...workflow.matchAll(/platform: ([a-z0-9-]+)/g)].map(([, name]) => name)
  t.deepEqual(built.sort(), [...PLATFORMS].sort())
})
