// Generated parts of documents, between `<!-- name:begin -->` and `<!-- name:end -->`.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { ROOT } from './run.mjs'

/** Replaces the part of that name, or adds it at the end. */
export function writeGenerated(path, name, text) {
  const file = join(ROOT, path)
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const part = `${begin}\n\n${text.trim()}\n\n${end}`
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '# Performance\n'
  const [from, to] = [before.indexOf(begin), before.indexOf(end)]
  const after =
    from >= 0 && to > from ? before.slice(0, from) + part + before.slice(to + end.length) : `${before}\n${part}\n`
  writeFileSync(file, after)
}

/** A Markdown table; the first row is the header, the first `left` columns are words. */
export function markdown(rows, left = 1) {
  const line = cells => `| ${cells.join(' | ')} |`
  const [header, ...rest] = rows
  return [line(header), line(header.map((_, i) => (i < left ? '---' : '---:'))), ...rest.map(line)].join('\n')
}

/** The machine and the day, for the head of a table. */
export function circumstances(load) {
  const { model } = cpus()[0] ?? { model: 'unknown processor' }
  const others = load === null ? '' : `; other processes used up to ${load.toFixed(2)} cores meanwhile`
  return `${model}, ${cpus().length} cores, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}${others}.`
}
