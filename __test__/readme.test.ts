import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import test from 'ava'

const root = fileURLToPath(new URL('..', import.meta.url))
const library = pathToFileURL(join(root, 'src/index.ts')).href

/** The TypeScript examples of a document that are whole programs. */
function examples(document: string): string[] {
  const blocks = readFileSync(join(root, document), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)
  return [...blocks].map(([, code]) => code ?? '')
}

const documents = { 'README.md': 3, 'docs/guide/online-sessions.md': 1 }

for (const [document, count] of Object.entries(documents)) {
  test(`${document} has its TypeScript examples`, t => {
    t.is(examples(document).length, count)
  })
}

const all = Object.keys(documents).flatMap(document =>
  examples(document).map((code, i) => ({ code, title: `TypeScript example ${i + 1} of ${document} runs` }))
)

for (const { code, title } of all) {
  test(title, async t => {
    mkdirSync(join(root, 'target'), { recursive: true })
    const folder = mkdtempSync(join(root, 'target', 'readme-'))
    const shortened = code
      .replaceAll("from 'mdgl'", `from ${JSON.stringify(library)}`)
      .replaceAll('iterations: 200', 'iterations: 10')
      .replaceAll("'weights.safetensors'", JSON.stringify(join(folder, 'weights.safetensors')))
    writeFileSync(join(folder, 'example.ts'), shortened)
    await t.notThrowsAsync(import(pathToFileURL(join(folder, 'example.ts')).href))
  })
}
