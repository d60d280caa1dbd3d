import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's root. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Reads a file of the project. */
export const source = (path: string) => readFileSync(join(ROOT, path), 'utf8')

/** The TypeScript files of `src`, without that folder's name. */
export const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .map(path => path.replaceAll(sep, '/'))
  .filter(path => path.endsWith('.ts'))
  .sort()

/** What a file imports of the project: other files of `src`, and `#native`. */
export function importsOf(file: string): string[] {
  const found = source(`src/${file}`).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']*|#native)'/g)
  return Array.from(found, ([, to = '']) => {
    return to === '#native' ? to : posix.join(dirname(file), to).replace(/\.js$/, '.ts')
  })
}

/** The directory of a file in `src`; `.` for its root. */
export const directoryOf = (file: string): string => dirname(file)

/** Imports `A --> B` between directories of `src` whose order is the other way, sorted. */
export function arrowsUpwards(order: readonly string[]): string[] {
  const found = files
    .filter(file => directoryOf(file) !== '.')
    .flatMap(file => importsOf(file).map(to => [directoryOf(file), directoryOf(to)] as const))
    .filter(([from, to]) => order.indexOf(to) > order.indexOf(from))
  return [...new Set(found.map(([from, to]) => `${from} --> ${to}`))].sort()
}

/** The modules of a crate, each with the others that it names by `crate::` or `super::`, its tests left out. */
export function modulesOf(crate: string): ReadonlyMap<string, readonly string[]> {
  const root = `crates/${crate}/src`
  const paths = filesOf(crate).filter(path => !/(^|\/)(lib|tests)\.rs$/.test(path))
  const nameOf = (path: string) => path.replace(/(\/mod)?\.rs$/, '')
  const names = new Set(paths.map(nameOf))
  const known = (parts: readonly string[]) =>
    parts
      .map((_, i) => parts.slice(0, i + 1).join('/'))
      .filter(name => names.has(name))
      .at(-1)
  return new Map(
    paths.map(path => {
      const name = nameOf(path)
      const [code = ''] = source(`${root}/${path}`).split('#[cfg(test)]\nmod tests')
      const used = code.replaceAll(/\/\/.*/g, '').matchAll(/\b(crate|super)((?:::[a-z_]+)+)/g)
      const found = Array.from(used, ([, from, rest = '']) =>
        known([...(from === 'super' ? name.split('/').slice(0, -1) : []), ...rest.slice(2).split('::')])
      )
      return [name, [...new Set(found.filter(other => other !== undefined && other !== name))] as string[]]
    })
  )
}

/** The files of a crate, without the name of its `src`. */
export const filesOf = (crate: string): string[] =>
  readdirSync(join(ROOT, `crates/${crate}/src`), { recursive: true, encoding: 'utf8' })
    .map(path => path.replaceAll(sep, '/'))
    .filter(path => path.endsWith('.rs'))
    .sort()

/** Imports `a --> b` of modules whose directory comes before the other's in an order, or is not in it. */
export function upwards(modules: ReadonlyMap<string, readonly string[]>, order: readonly string[]): string[] {
  const placeOf = (module: string) => order.indexOf(module.split('/')[0] ?? '')
  return Array.from(modules).flatMap(([module, used]) =>
    used.filter(other => placeOf(other) < 0 || placeOf(other) > placeOf(module)).map(other => `${module} --> ${other}`)
  )
}

/** A circle of files that import one another, if there is one. */
export function circle(
  all: readonly string[] = files,
  importsOfOne: (file: string) => readonly string[] = importsOf
): string[] | undefined {
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file) || !all.includes(file)) return undefined
    for (const to of importsOfOne(file)) {
      const found = walk(to, [...path, file])
      if (found) return found
    }
    done.add(file)
    return undefined
  }
  for (const file of all) {
    const found = walk(file, [])
    if (found) return found
  }
  return undefined
}
