// The table of legal combinations of a rule, as the guide *Choose a rule* prints it. As a program it writes the table.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { markdown, writeGenerated } from './generated.mjs'
import { ROOT } from './run.mjs'

const quoted = value => `\`${value}\``

/** The engine's table as Markdown; the engine must have been built. */
export function requirementsTable() {
  const { ruleRequirements } = createRequire(import.meta.url)(join(ROOT, 'dist/native/native.cjs'))
  const rows = JSON.parse(ruleRequirements()).map(({ when, option, allowed, because }) => [
    when.replaceAll(/'[^']+'|\{[^}]+\}/g, quoted),
    quoted(option.replace(/^rule\./, '')),
    allowed.map(value => (/^['{0-9]/.test(value) ? quoted(value) : value)).join(', '),
    because
  ])
  return markdown([['', 'option', 'has one of', 'because'], ...rows], 4)
}

export const REQUIREMENTS_TABLE = { document: 'docs/guide/choose-a-rule.md', name: 'requirements' }

if (import.meta.main ?? process.argv[1] === new URL(import.meta.url).pathname)
  writeGenerated(REQUIREMENTS_TABLE.document, REQUIREMENTS_TABLE.name, requirementsTable())
