import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { bibliography, WORK_NAMES } from '../src/plots/references.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ENGINE = join(ROOT, 'crates', 'mdgl-core', 'src')
const guide = readFileSync(join(ROOT, 'docs', 'guide', 'from-equations-to-code.md'), 'utf8')
const read = (file: string) => readFileSync(join(ENGINE, file), 'utf8')

/** A row of a table that has an equation and the functions that compute it. */
interface Row {
  readonly equation: string
  readonly places: readonly { readonly file: string; readonly names: readonly string[] }[]
}

/** The rows of the tables with a column of functions. */
const rows: readonly Row[] = guide
  .split(/\n\n/)
  .filter(block => block.startsWith('| equation | what | function |'))
  .flatMap(block => block.split('\n').slice(2))
  .map(line => {
    const [equation = '', , functions = ''] = line.replace(/^\| /, '').replace(/ \|$/, '').split(/ \| /)
    const places = [...functions.matchAll(/`([\w/]+\.rs)` \(([^)]*)\)/g)].map(([, file = '', names = '']) => ({
      file,
      names: [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
    }))
    return { equation: equation.replaceAll('\\|', '|'), places }
  })

/** The code of a file without its tests and comments, in which a name is defined. */
const definitions = (file: string) =>
  new Set(
    Array.from(
      read(file)
        .split('#[cfg(test)]')[0]
        ?.replaceAll(/\/\/.*/g, '')
        .matchAll(/\bfn (\w+)/g) ?? [],
      ([, name = '']) => name
    )
  )

test('every equation of the guide points at functions, which are defined where it says', t => {
  t.true(rows.length > 55, `${rows.length} rows`)
  for (const { equation, places } of rows) {
    t.true(places.length > 0 && places.every(({ names }) => names.length > 0), equation)
    for (const { file, names } of places) {
      t.true(existsSync(join(ENGINE, file)), file)
      const defined = definitions(file)
      for (const name of names) t.true(defined.has(name), `${name} in ${file}, of ${equation}`)
    }
  }
  t.false(definitions('neuron/lif.rs').has('pseudo_derivative'))
  const files = [...guide.matchAll(/`([\w/]+\.rs)`/g)].map(([, file = '']) => file)
  for (const file of files) t.true(existsSync(join(ENGINE, file)), file)
})

test("the equations of neurons are those at the head of the neurons' files", t => {
  const plain = (text: string) => text.replaceAll(/\s+/g, ' ')
  const head = (file: string) =>
    plain((read(file).match(/^(?:\/\/!.*\n)+/)?.[0] ?? '').replaceAll(/^\/\/! ?/gm, '').replaceAll(/^with /gm, ''))
  let checked = 0
  for (const { equation, places } of rows) {
    const [first] = places
    if (first === undefined || !/^neuron\/(?:alif|lif|cuba_lif|rate)\.rs$/.test(first.file)) continue
    for (const part of equation.split(' , ')) {
      t.true(head(first.file).includes(plain(part)), `${part} in ${first.file}`)
      checked += 1
    }
  }
  t.true(checked >= 18, String(checked))
})

test('every model, estimator, update and way of connecting has a line', t => {
  const named = new Set(
    rows.flatMap(({ places }) => places.flatMap(({ file, names }) => names.map(name => `${file} ${name}`)))
  )
  const files = ['neuron/lif.rs', 'neuron/alif.rs', 'neuron/cuba_lif.rs']
  for (const file of files)
    for (const name of ['step', 'adjoint', 'before_input']) t.true(named.has(`${file} ${name}`), `${file} ${name}`)
  for (const [file, names] of [
    ['learn/online.rs', /fn (follow_\w+|update_traces|find_relevance|filter_traces)/g],
    ['learn/backward.rs', /fn (filter_error|find_signal|modulate\w*|gather_\w+s)\b/g],
    ['network/connectivity.rs', /fn (by_density|by_degree|independent)/g],
    ['network/initialise.rs', /fn (balance\w*|draw\w*|independent|masked)/g]
  ] as const) {
    const found = [...read(file).matchAll(names)].map(([, name = '']) => name)
    t.true(found.length > 2, file)
    for (const name of found.filter(name => name !== 'follow_field'))
      t.true(named.has(`${file} ${name}`), `${file} ${name}`)
  }
})

test('every method that a report cites has a DOI, which the guide and CITATION.cff have too', t => {
  const citation = readFileSync(join(ROOT, 'CITATION.cff'), 'utf8')
  const bibtex = bibliography(WORK_NAMES, '1')
  const entries = bibtex.split('\n\n').filter(entry => !entry.startsWith('@software'))
  t.is(entries.length, WORK_NAMES.length)
  for (const entry of entries) {
    const doi = /doi\s*= \{(10\.\d+\/[^}]+)\}/.exec(entry)?.[1]
    t.truthy(doi, entry)
    t.true(guide.includes(`https://doi.org/${doi}`), `${doi} in the guide`)
    t.true(citation.includes(`doi: ${doi}\n`), `${doi} in CITATION.cff`)
  }
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  t.true(citation.includes(`\nversion: ${version}\n`))
  for (const field of [
    'cff-version',
    'message',
    'type',
    'title',
    'abstract',
    'authors',
    'license',
    'repository-code',
    'keywords'
  ])
    t.regex(citation, new RegExp(`^${field}:`, 'm'))
})
