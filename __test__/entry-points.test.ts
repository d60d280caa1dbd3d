import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import ts from 'typescript'
import { PROGRAM } from '../scripts/package/embedding-program.mjs'
import { scratch } from './helpers/scratch.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Sources of the entry points by the name that a program imports; the root is `.`. */
const sources = new Map(
  Object.entries<string | { readonly default: string }>(manifest.exports).flatMap(([name, target]) =>
    typeof target === 'string' ? [] : [[name, target.default.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts')] as const]
  )
)
const program = ts.createProgram(
  [...sources.values()].map(path => join(root, path)),
  { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022 }
)

/** Names of values and types. */
function namesOf(entry: string): readonly string[] {
  const checker = program.getTypeChecker()
  const file = program.getSourceFile(join(root, sources.get(entry) ?? ''))
  const symbol = file && checker.getSymbolAtLocation(file)
  return checker.getExportsOfModule(symbol as ts.Symbol).map(({ name }) => name)
}

const parts = [...sources.keys()].filter(name => name !== '.')

test('the entry points are those of the documentation, and name themselves', t => {
  t.deepEqual(parts, ['./analysis', './encoders', './io', './profile', './tasks'])
  t.deepEqual([...sources.values()].sort(), [...manifest.typedocOptions.entryPoints].sort())
  for (const [name, path] of sources) {
    const module = `@module ${name.replace(/^\./, 'mdgl')}\n`
    t.true(readFileSync(join(root, path), 'utf8').includes(module), path)
  }
})

test('a name has one entry point, and the root has it too', async t => {
  const all = parts.flatMap(namesOf)
  t.true(all.length > 60)
  t.deepEqual(
    all.filter((name, i) => all.indexOf(name) !== i),
    []
  )
  const inRoot = new Set(namesOf('.'))
  t.deepEqual(
    all.filter(name => !inRoot.has(name)),
    []
  )
  const library = await import('../src/index.js')
  for (const part of parts) {
    const own = await import(join(root, sources.get(part) ?? ''))
    for (const [name, value] of Object.entries(own)) t.true(library[name as keyof typeof library] === value, name)
  }
})

test('the embedding program runs on the built library', async t => {
  const file = join(scratch('entry-points', { inCheckout: true }), 'program.mjs')
  writeFileSync(file, PROGRAM)
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file])
  t.is(stderr, '')
  const { iterations, validations, classes, probabilities, values, same } = JSON.parse(stdout)
  t.true(iterations >= 50 && iterations <= 200, `${iterations}`)
  t.is(validations, Math.floor(iterations / 10))
  t.deepEqual([classes.length, values, same], [3, 6, true])
  for (const [trial, best] of classes.entries()) {
    const [first, second] = probabilities.slice(2 * trial, 2 * trial + 2)
    t.true(Math.abs(first + second - 1) < 1e-6)
    t.is(best, second > first ? 1 : 0)
  }
})
