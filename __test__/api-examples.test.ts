import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import test from 'ava'
import ts from 'typescript'
import * as library from '../src/index.js'
import { scratch } from './helpers/scratch.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const entry = join(root, 'src/index.ts')

interface Example {
  readonly of: string
  readonly code: string
}

/** The example in the comment of a declaration and of its public methods. */
function examplesOf(name: string, declaration: ts.Node): Example[] {
  const tags = ts.getJSDocTags(declaration).filter(tag => tag.tagName.text === 'example')
  const own = tags.map(tag => ({ of: name, code: /```ts\n(.*?)\n```/s.exec(String(tag.comment))?.[1] ?? '' }))
  const members = ts.isClassDeclaration(declaration) ? declaration.members : []
  return [...own, ...members.flatMap(member => examplesOf(`${name}.${member.name?.getText() ?? ''}`, member))]
}

const program = ts.createProgram([entry], { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022 })
const checker = program.getTypeChecker()
const source = program.getSourceFile(entry)
const symbol = source && checker.getSymbolAtLocation(source)
const exports = checker.getExportsOfModule(symbol as ts.Symbol)
const examples = exports.flatMap(exported => {
  const original = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
  return (original.declarations ?? []).flatMap(declaration => examplesOf(exported.name, declaration))
})

/** What the module's own comment says that examples mean by `task`, `model` and so on, unless they make their own. */
const MEANT = /```ts\n(.*?) \* ```/s.exec(readFileSync(entry, 'utf8'))?.[1]?.replaceAll(/^ \* /gm, '').trim() ?? ''

/** Not as a property's name, of an object or after a dot. */
const uses = (code: string, name: string) => new RegExp(`(?<![\\w'])(?<!(?<!\\.)\\.)${name}\\b(?!:)`).test(code)
const declares = (code: string, name: string) =>
  new RegExp(`const (${name}\\b|[{[][^=]*\\b${name}\\b[^=]*[}\\]] =)`).test(code)

/** The example as a program. */
function whole(code: string): string {
  let text = code
  for (const line of MEANT.split('\n').reverse()) {
    const [, name = ''] = /^const (\w+)/.exec(line) ?? []
    if (uses(text, name) && !declares(text, name)) text = `${line}\n${text}`
  }
  const names = exports.map(({ name }) => name).filter(name => uses(text, name) && !declares(text, name))
  const imports = [`import { ${names.map(name => (name in library ? name : `type ${name}`)).join(', ')} } from 'mdgl'`]
  if (uses(text, 'writeFile')) imports.push("import { writeFile } from 'node:fs/promises'")
  return `${imports.join('\n')}\n${text}\nexport {}\n`
}

const folder = scratch('api-examples', { inCheckout: true })
/** Files that examples write go there, and a whole training is cut short. */
const contained = (code: string) =>
  code
    .replaceAll(/'([\w-]+\.(?:safetensors|json|svg|npy|npz|nir))'/g, (_, name) => JSON.stringify(join(folder, name)))
    .replaceAll("{ rule: 'mdgl' })) console", "{ rule: 'mdgl', iterations: 3 })) console")

test('every public function and class has an example', t => {
  const documented = new Set(examples.map(({ of }) => of))
  const callable = Object.entries(library).filter(([, value]) => typeof value === 'function')
  t.deepEqual(
    callable.map(([name]) => name).filter(name => !documented.has(name)),
    []
  )
  t.true(examples.every(({ code }) => code !== ''))
})

test('the examples compile under strict', t => {
  const files = examples.map(({ code }, i) => {
    const file = join(folder, `example-${i}.mts`)
    writeFileSync(file, whole(code))
    return file
  })
  const compiled = ts.createProgram(files, {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    paths: { mdgl: [join(root, 'dist/index.d.ts')] },
    strict: true,
    skipLibCheck: true,
    noEmit: true
  })
  const problems = ts.getPreEmitDiagnostics(compiled).map(({ file, messageText }) => {
    const at = examples[files.indexOf(file?.fileName ?? '')]?.of
    return `${at}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
  t.deepEqual(problems, [])
})

for (const { of, code } of examples) {
  test(`the example of ${of} runs`, async t => {
    const file = join(mkdtempSync(join(folder, 'run-')), 'example.ts')
    const text = contained(whole(code)).replaceAll("from 'mdgl'", `from ${JSON.stringify(pathToFileURL(entry).href)}`)
    writeFileSync(file, text)
    await t.notThrowsAsync(import(pathToFileURL(file).href))
  })
}
