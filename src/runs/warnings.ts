import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../support/recognise.js'
import { appendLine } from './append-line.js'

/** The file in a run folder that holds what was noticed about the run while it was trained. */
const WARNINGS = 'warnings.jsonl'

/** Adds a message to a run's warnings. */
export async function recordWarning(folder: string, iteration: number, message: string): Promise<void> {
  await appendLine(join(folder, WARNINGS), { iteration, message })
}

/** The warnings of a run, each once, in their order; a last line that is not whole is left out. */
export async function readWarnings(folder: string): Promise<string[]> {
  const text = await readFile(join(folder, WARNINGS), 'utf8').catch(error => {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  })
  const lines = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(Boolean)
  return [...new Set(lines.map(line => (JSON.parse(line) as { readonly message: string }).message))]
}
