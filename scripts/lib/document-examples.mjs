// The examples of a document, as a reader would copy them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './run.mjs'

/** The TypeScript examples of a document that are whole programs. @returns {string[]} */
export function examplesOf(document) {
  const blocks = readFileSync(join(ROOT, document), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)
  return [...blocks].map(([, code]) => code ?? '')
}
