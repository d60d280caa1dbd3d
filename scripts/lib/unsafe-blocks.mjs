// Every `unsafe` block of the crates with its argument, as docs/reliability.md lists them. As a program it writes the list.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { markdown, writeGenerated } from './generated.mjs'
import { ROOT } from './run.mjs'

/** The comment that ends above a line, without its slashes; attributes between them are passed over. */
function commentAbove(lines, at) {
  const comment = []
  for (let i = at - 1; i >= 0; i--) {
    const line = lines[i].trim()
    if (/^\/\/[/!]?/.test(line)) comment.unshift(line.replace(/^\/\/[/!]? ?/, ''))
    else if (comment.length > 0 || !line.startsWith('#[')) break
  }
  return comment.join(' ')
}

/** What is said for an unsafe block; `undefined` where nothing is. */
function argument(lines, at) {
  // A block within an expression stands a line or two below its comment.
  for (let i = at; i >= Math.max(0, at - 2); i--) {
    const said = commentAbove(lines, i).match(/SAFETY: *(.*)$/)
    if (said) return said[1].trim()
  }
  return undefined
}

/** `{ path, line, argument }` of each block in the crates, in the order of paths and lines. */
export function unsafeBlocks() {
  const paths = readdirSync(join(ROOT, 'crates'), { recursive: true })
    .filter(path => /^[^/]+\/src\/.*\.rs$/.test(path))
    .sort()
  return paths.flatMap(path => {
    const lines = readFileSync(join(ROOT, 'crates', path), 'utf8').split('\n')
    const found = lines.flatMap((line, i) => (/\bunsafe (\{|impl)/.test(line.replace(/\/\/.*/, '')) ? [i] : []))
    return found.map(i => ({ path: `crates/${path}`, line: i + 1, argument: argument(lines, i) }))
  })
}

/** The list as Markdown: how often each argument is given in each file. */
export function unsafeTable() {
  const counts = new Map()
  for (const { path, line, argument: said } of unsafeBlocks()) {
    if (said === undefined) throw new Error(`${path}:${line}: an unsafe block without a SAFETY comment`)
    const key = `\`${path}\`\n${said}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const rows = [...counts].map(([key, count]) => [...key.split('\n'), count])
  return markdown([['file', 'argument', 'times'], ...rows], 2)
}

export const UNSAFE_LIST = { document: 'docs/reliability.md', name: 'unsafe' }

if (import.meta.main ?? process.argv[1] === new URL(import.meta.url).pathname)
  writeGenerated(UNSAFE_LIST.document, UNSAFE_LIST.name, unsafeTable())
