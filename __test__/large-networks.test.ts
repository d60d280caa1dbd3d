import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import ts from 'typescript'
import { scratch } from './helpers/scratch.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = scratch('large-networks', { inCheckout: true })

const LAYERS = ['L23', 'L4', 'L5', 'L6'].flatMap(layer => [`${layer}E`, `${layer}I`])
const SIX = ['a', 'b', 'c', 'd', 'e', 'f']
const HUNDRED_AND_FIFTY = Array.from({ length: 150 }, (_, i) => `p${i}`)

type Pair = readonly [string, string]

/** A network as one chain of calls, and names that it has and has not. */
function chain(names: readonly string[], pairs: readonly Pair[], parts = ''): string {
  const [first, last] = [names[0], names.at(-1)]
  return `import { Model, network } from 'mdgl'
export const description = network()
  .input('in', 2)
${names.map(name => `  .lif('${name}', 2)`).join('\n')}
  .readout('out', 2)${parts}
  .project('in', '${first}', { density: 1 })
${pairs.map(([from, to]) => `  .project('${from}', '${to}', { density: 0.5 })`).join('\n')}
  .project('${last}', 'out', { density: 1 })
  .build()
const { weights } = Model.create(description)
weights.get('in->${first}')
weights.get('${last}->out')
// @ts-expect-error no such projection
weights.get('out->in')
`
}

const everyPair = (names: readonly string[]) => names.flatMap(from => names.map((to): Pair => [from, to]))
const neighbours = (names: readonly string[]) => names.slice(1).map((to, i): Pair => [names[i] ?? '', to])

const PROGRAMS = {
  '150 populations': chain(HUNDRED_AND_FIFTY, neighbours(HUNDRED_AND_FIFTY)),
  'six types, all 36 projections': chain(
    SIX,
    everyPair(SIX),
    SIX.map(name => `\n  .type('T${name}', { ${name}: 'all' })`).join('')
  ),
  'a cortical column: 8 populations, 64 projections': chain(LAYERS, everyPair(LAYERS)),
  'a loop': `import { type AnyNetworkBuilder, Model, network } from 'mdgl'
const names = [${LAYERS.map(name => `'${name}'`).join(', ')}]
let builder: AnyNetworkBuilder = network()
for (const name of names) builder = builder.lif(name, 20)
for (const from of names) for (const to of names) builder = builder.project(from, to, { density: 0.1 })
const folded = names.reduce<AnyNetworkBuilder>((rest, name) => rest.alif(name, 20), network().input('in', 2))
export const models = [builder, folded].map(each => Model.create(each.build()))
export const half = network().input('in', 2).lif('cells', 3)
// @ts-expect-error its names are known
half.project('in', 'cell', { density: 1 })
`
}

test('networks of hundreds of parts compile, and types are short to read', t => {
  const files = Object.entries(PROGRAMS).map(([name, code], i) => {
    const file = join(folder, `${i}.mts`)
    writeFileSync(file, code)
    return [name, file] as const
  })
  const program = ts.createProgram(
    files.map(([, file]) => file),
    {
      module: ts.ModuleKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
      paths: { mdgl: [join(root, 'dist/index.d.ts')] },
      strict: true,
      skipLibCheck: true,
      noEmit: true
    }
  )
  const problems = ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText, code }) => [
      files.find(([, path]) => path === file?.fileName)?.[0],
      `TS${code}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    ])
  t.deepEqual(problems, [])

  const checker = program.getTypeChecker()
  const loop = program.getSourceFile(files.at(-1)?.[1] ?? '')
  const half = checker.getExportsOfModule(checker.getSymbolAtLocation(loop as ts.Node) as ts.Symbol).at(-1)
  t.is(
    checker.typeToString(checker.getTypeOfSymbol(half as ts.Symbol)),
    'NetworkBuilder<"in", "cells", never, never, never>'
  )
})
