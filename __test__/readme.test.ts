import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import test from 'ava'

const root = fileURLToPath(new URL('..', import.meta.url))
const library = pathToFileURL(join(root, 'src/index.ts')).href
const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map(
  ([, code]) => code ?? ''
)

test('the README has its two TypeScript examples', t => {
  t.is(blocks.length, 2)
})

blocks.forEach((code, i) => {
  test(`TypeScript example ${i + 1} of the README runs`, async t => {
    mkdirSync(join(root, 'target'), { recursive: true })
    const folder = mkdtempSync(join(root, 'target', 'readme-'))
    const shortened = code
      .replaceAll("from 'mdgl'", `from ${JSON.stringify(library)}`)
      .replaceAll('iterations: 200', 'iterations: 10')
      .replaceAll("'weights.safetensors'", JSON.stringify(join(folder, 'weights.safetensors')))
    writeFileSync(join(folder, 'example.ts'), shortened)
    await t.notThrowsAsync(import(pathToFileURL(join(folder, 'example.ts')).href))
  })
})
