import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import {
  arrowsUpwards,
  circle,
  directoryOf,
  files,
  filesOf,
  modulesOf,
  ROOT,
  source,
  upwards
} from './helpers/imports.js'

const document = source('ARCHITECTURE.md')

/** The crates that a crate's manifest takes from beside it. */
function cratesOf(crate: string): string[] {
  const dependencies = source(`crates/${crate}/Cargo.toml`).match(/^\[dependencies\][^[]*/m)?.[0] ?? ''
  return Array.from(dependencies.matchAll(/^(\S+) = \{ path/gm), ([, name = '']) => `${crate} --> ${name}`)
}

test('of the crates, the binding and the messages between processes import the engine or nothing', t => {
  t.deepEqual(readdirSync(join(ROOT, 'crates')).flatMap(cratesOf), ['mdgl-node --> mdgl-core'])
})

/** The directories of `src` in the order that the document has them. */
const directories = (/^ {4}(support → [\s\S]*?)\n\n/m.exec(document)?.[1] ?? '').split(/\s*→\s*/)

test('a directory of src imports only what is before it, and the root has index.ts alone', t => {
  const used = new Set(files.map(directoryOf).filter(directory => directory !== '.'))
  t.deepEqual([...used].sort(), directories.toSorted())
  t.deepEqual(
    files.filter(file => !file.includes('/')),
    ['index.ts']
  )
  t.deepEqual(arrowsUpwards(directories), [])
  t.true(arrowsUpwards(directories.toReversed()).includes('task --> network'))
})

test('no files import each other in a circle', t => {
  t.is(circle(), undefined)
})

for (const crate of ['mdgl-core', 'mdgl-node', 'mdgl-mpi']) {
  test(`no files of ${crate} need each other in a circle`, t => {
    const modules = modulesOf(crate)
    t.true(modules.size > 0)
    t.is(
      circle([...modules.keys()], file => modules.get(file) ?? []),
      undefined
    )
  })
}

/** The engine's directories in the order that the document has them, after what stands at its root. */
const order = ['error', ...(/^ {4}(numeric → .*)$/m.exec(document)?.[1]?.split(' → ') ?? [])]

test('a directory of the engine imports only what is before it', t => {
  const modules = modulesOf('mdgl-core')
  t.deepEqual([...new Set(Array.from(modules.keys(), module => module.split('/')[0]))].sort(), order.toSorted())
  t.deepEqual(upwards(modules, order), [])
  t.deepEqual(upwards(new Map([['numeric/scalar', ['error', 'numeric/memory', 'learn/plan']]]), order), [
    'numeric/scalar --> learn/plan'
  ])
})

test('the engine names its modules where they stand, not what the crate passes on', t => {
  for (const path of filesOf('mdgl-core').filter(path => path !== 'lib.rs')) {
    const [code = ''] = source(`crates/mdgl-core/src/${path}`).split('#[cfg(test)]\nmod tests')
    const named = code.replaceAll(/\/\/.*/g, '').matchAll(/\bcrate::(\w+|\{)/g)
    for (const [, name = ''] of named) t.true(order.includes(name), `crate::${name} in ${path}`)
  }
})

test('the root of the engine has two files', t => {
  t.deepEqual(
    filesOf('mdgl-core').filter(path => !path.includes('/')),
    ['error.rs', 'lib.rs']
  )
})

for (const crate of ['mdgl-core', 'mdgl-node', 'mdgl-mpi'])
  test(`a directory of ${crate} has its own file in it, mod.rs`, t => {
    const paths = filesOf(crate)
    const beside = paths.filter(path => paths.some(other => other.startsWith(`${path.slice(0, -'.rs'.length)}/`)))
    t.deepEqual(beside, [])
  })

test('every directory of src has a row', t => {
  const section = /^## The directories of `src`\n([\s\S]*?)^`mdgl-core`/m.exec(document)?.[1] ?? ''
  const rows = Array.from(section.matchAll(/^\| (`.*`) \| [^|]{12,} \|$/gm), ([, names = '']) => quoted(names)).flat()
  const expected = directories.filter(directory => directory !== 'dashboard/page')
  t.deepEqual(rows.map(name => name.replace(/\/$/, '')).sort(), [...expected, 'data'].sort())
})

test("every directory of the engine has a row, and every file's first line says what it holds, as no other does", t => {
  const section = /^## The engine's directories\n([\s\S]*?)^## /m.exec(document)?.[1] ?? ''
  const rows = Array.from(section.matchAll(/^\| `(\w+)\/` \| [^|]{20,} \|$/gm), ([, name]) => name)
  t.deepEqual(['error', ...rows], order)
  const lines = new Map<string, string>()
  for (const path of filesOf('mdgl-core')) {
    const [first = ''] = source(`crates/mdgl-core/src/${path}`).split('\n')
    t.regex(first, /^\/\/! .{12,}/, path)
    t.is(lines.get(first), undefined, `the first line of ${path} is another's`)
    lines.set(first, path)
  }
})

test('what the two walks name is there', t => {
  const walks = /^## Two walks\n([\s\S]*?)^## /m.exec(document)?.[1] ?? ''
  const rows = walks.split('\n').filter(line => line.startsWith('| `'))
  t.true(rows.length > 20)
  for (const row of rows) {
    const [places = [], names = []] = row.split('|').slice(1, 3).map(quoted)
    const text = places.map(source).join('\n')
    for (const name of names) t.true(new RegExp(`(?<![\\w])${name}\\b`).test(text), `${name} in ${places}`)
  }
})

function quoted(cell: string): string[] {
  return Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = '']) => name)
}
