// Which files of `dist` belong to the library, `mdgl`, and which to the command line, `mdgl-cli`.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'
import { readManifest } from './platforms.mjs'

/** Files that a module loads by an address relative to itself. */
const ADDRESSED = /new URL\(\s*["'](\.[^"']*)["'],\s*import\.meta\.url/g

/** What a module names: others that it imports in either way, and files beside them. */
function named(code) {
  const imported = ts.preProcessFile(code, true, true).importedFiles.map(({ fileName }) => fileName)
  return [...imported, ...Array.from(code.matchAll(ADDRESSED), ([, path]) => path)]
}

/** The package that a module's name begins with. */
const packageOf = name => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name

/**
 * What the entry points of package.json reach, at once or when a function is called, with declarations and maps.
 *
 * @param {string} dist - the folder of the build
 * @returns {{ files: Set<string>, packages: Set<string> }} the files relative to `dist`, and the packages that some of them load
 */
export function libraryFiles(dist) {
  const entries = Object.values(readManifest().exports).filter(entry => typeof entry === 'object')
  const paths = entries.flatMap(entry => [entry.default, entry.types])
  const files = new Set(paths.map(path => posix.relative('dist', path)))
  const packages = new Set()
  // What is added while the set is walked is walked, too.
  for (const file of files) {
    if (!/\.(?:js|d\.ts)$/.test(file)) continue
    if (existsSync(join(dist, `${file}.map`))) files.add(`${file}.map`)
    for (const name of named(readFileSync(join(dist, file), 'utf8'))) {
      const path = posix.join(posix.dirname(file), name)
      if (!name.startsWith('.')) packages.add(packageOf(name))
      else if (!path.startsWith('..')) files.add(file.endsWith('.d.ts') ? path.replace(/\.js$/, '.d.ts') : path)
    }
  }
  return { files, packages }
}

/** All other files that run: those of the command line, which has no API and so needs neither declarations nor maps. */
export function commandFiles(dist, library) {
  return readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => posix.relative(dist, join(entry.parentPath, entry.name).replaceAll('\\', '/')))
    .filter(path => !library.has(path) && !path.startsWith('native/') && !/\.d\.ts$|\.map$|\.stamp$/.test(path))
}

/** A module of the command line as it is packed: what it takes of the library comes from there. */
export function packedModule(code, file, library) {
  return code
    .replaceAll(/((?:\bfrom|\bimport)\s*\(?\s*["'])(\.[^"']*)(?=["'])/g, (all, head, name) => {
      const path = posix.join(posix.dirname(file), name)
      return library.has(path) ? `${head}mdgl/internal/${path}` : all
    })
    .replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n')
}
