import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { examplesOf } from '../scripts/lib/document-examples.mjs'
import { ruleNames } from '../src/index.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const library = pathToFileURL(join(root, 'src/index.ts')).href

const documents = {
  'README.md': 3,
  'docs/guide/online-sessions.md': 1,
  'docs/guide/choose-a-rule.md': 1,
  'docs/guide/write-a-task.md': 3,
  'docs/guide/write-a-rule.md': 3,
  'docs/guide/build-a-network.md': 5,
  'docs/guide/from-equations-to-code.md': 1,
  'docs/guide/embed.md': 2,
  'docs/guide/exchange-data.md': 4,
  'docs/guide/a-first-run.md': 0,
  'docs/guide/read-the-dashboard.md': 0,
  'docs/guide/gallery.md': 0,
  'docs/scale.md': 0
}

for (const [document, count] of Object.entries(documents)) {
  test(`${document} has its TypeScript examples`, t => {
    t.is(examplesOf(document).length, count)
  })
}

test('the guide to the rules has a row for every rule', t => {
  const guide = readFileSync(join(root, 'docs/guide/choose-a-rule.md'), 'utf8')
  const rows = guide.split('\n').filter(line => line.startsWith('| `'))
  for (const name of ruleNames)
    t.true(
      rows.some(row => row.split('|')[1]?.includes(`\`${name}\``)),
      name
    )
})

const all = Object.keys(documents).flatMap(document =>
  examplesOf(document).map((code, i) => ({ code, title: `TypeScript example ${i + 1} of ${document} runs` }))
)

function temporary(): string {
  mkdirSync(join(root, 'target'), { recursive: true })
  return mkdtempSync(join(root, 'target', 'readme-'))
}

test('the TypeScript examples compile under strict, against the declarations that the package ships', async t => {
  const folder = temporary()
  for (const [i, { code }] of all.entries()) writeFileSync(join(folder, `example-${i + 1}.mts`), code)
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    paths: { mdgl: [join(root, 'dist/index.d.ts')] },
    strict: true,
    noEmit: true
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }))
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const compiled = promisify(execFile)(process.execPath, [compiler, '--project', folder])
  await t.notThrowsAsync(compiled.catch(({ stdout }) => Promise.reject(new Error(stdout))))
})

for (const { code, title } of all) {
  test(title, async t => {
    const folder = temporary()
    const shortened = code
      .replaceAll("from 'mdgl'", `from ${JSON.stringify(library)}`)
      .replaceAll('iterations: 200', 'iterations: 10')
      .replaceAll("'weights.safetensors'", JSON.stringify(join(folder, 'weights.safetensors')))
    writeFileSync(join(folder, 'example.ts'), shortened)
    await t.notThrowsAsync(import(pathToFileURL(join(folder, 'example.ts')).href))
  })
}

test('no place that a command fills is empty', t => {
  for (const document of ['embedding', 'performance', 'reliability', 'results'].map(name => `docs/${name}.md`)) {
    const text = readFileSync(join(root, document), 'utf8')
    const places = [...text.matchAll(/<!-- (\S+):begin -->([\s\S]*?)<!-- \1:end -->/g)]
    t.true(places.length > 0, document)
    for (const [, name, filled = ''] of places) t.regex(filled, /\S/, `${name} in ${document}`)
  }
})

test('every picture and page that a document points to is there', t => {
  for (const document of Object.keys(documents)) {
    const links = readFileSync(join(root, document), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)
    for (const [, link = ''] of links) t.true(existsSync(join(root, document, '..', link)), `${document}: ${link}`)
  }
})

const run = promisify(execFile)
const helps = new Map<string, Promise<string>>()

/** What a command says of itself. */
function helpOf(command: string): Promise<string> {
  const known =
    helps.get(command) ??
    run(process.execPath, [join(root, 'dist/cli/main.js'), command, '--help']).then(({ stdout }) => stdout)
  helps.set(command, known)
  return known
}

test('every mdgl command in a document exists, with the options that it is given', async t => {
  const pages = [
    ...Object.keys(documents),
    'docs/results.md',
    'docs/profiling.md',
    'docs/performance.md',
    'CONTRIBUTING.md'
  ]
  let commands = 0
  for (const page of pages) {
    const blocks = readFileSync(join(root, page), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)
    const lines = [...blocks].flatMap(([, block = '']) => block.split('\n')).map(line => line.split(/ +# /)[0] ?? '')
    for (const line of lines.filter(line => line.startsWith('mdgl '))) {
      commands += 1
      const [, command = ''] = line.split(' ')
      const help = await helpOf(command)
      for (const [option] of line.matchAll(/(?<= )--[a-z-]+/g)) t.true(help.includes(option), `${page}: ${line}`)
    }
  }
  t.true(commands > 20, `${commands} commands`)
})
