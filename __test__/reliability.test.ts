import { readFile } from 'node:fs/promises'
import test from 'ava'

const ROOT = new URL('../', import.meta.url)

/** What a file calls its tests; parts that depend on a value stand for any. */
async function titles(file: string): Promise<RegExp[]> {
  const text = await readFile(new URL(file, ROOT), 'utf8')
  const found = text.matchAll(/\b(?:test|posixTest|linuxTest|pythonTest)(?:\.serial)?\(\s*(['`])(.+?)\1,/gs)
  const escaped = (title: string) => title.replace(/[.*+?^()|[\]\\{}$]/g, '\\$&')
  return [...found].map(
    ([, , title = '']) =>
      new RegExp(
        `^${title
          .split(/\$\{[^}]+\}/)
          .map(escaped)
          .join('.*')}$`
      )
  )
}

test('every row of the tables of faults names a test that there is', async t => {
  const text = await readFile(new URL('docs/reliability.md', ROOT), 'utf8')
  const faults = text.slice(text.indexOf('## Faults'), text.indexOf('## Fuzzing'))
  const isHeading = (_: string, i: number, lines: string[]) => /^\|-/.test(lines[i + 1] ?? '')
  const lines = faults.split('\n')
  const rows = lines.filter((line, i) => line.startsWith('| ') && !isHeading(line, i, lines))
  t.true(rows.length > 15)
  for (const row of rows) {
    const [, file = '', title = ''] = /\| `(__test__\/[a-z-]+\.test\.ts)`(?:: (.+))? \|$/.exec(row) ?? []
    const found = await titles(file)
    t.true(
      found.some(one => one.test(title)),
      row
    )
  }
})
