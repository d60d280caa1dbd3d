import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { examplesOf } from '../scripts/lib/document-examples.mjs'
import { ruleNames } from '../src/index.js'
import { scratch } from './helpers/scratch.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const library = pathToFileURL(join(root, 'src/index.ts')).href

const documents = {
  'README.md': 1,
  'docs/guide/online-sessions.md': 1,
  'docs/guide/choose-a-rule.md': 1,
  'docs/guide/write-a-task.md': 4,
  'docs/guide/write-a-rule.md': 4,
  'docs/guide/build-a-network.md': 11,
  'docs/guide/from-a-papers-table.md': 1,
  'docs/guide/from-equations-to-code.md': 1,
  'docs/guide/embed.md': 3,
  'docs/guide/recipes.md': 0,
  'docs/guide/exchange-data.md': 6,
  'docs/guide/a-first-run.md': 0,
  'docs/guide/read-the-dashboard.md': 0,
  'docs/guide/gallery.md': 0,
  'docs/guide/what-we-found.md': 0,
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

test('the TypeScript examples compile under strict, against the declarations that the package ships', async t => {
  const folder = scratch('readme', { inCheckout: true })
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
    const folder = scratch('readme', { inCheckout: true })
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

/** A document's text without its blocks of code. */
const proseOf = (path: string) => readFileSync(path, 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '')

/** What links to a document's headings are called. */
const anchorsOf = (path: string) =>
  Array.from(proseOf(path).matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
  )

test('every picture, page and heading that a document points to is there', t => {
  const others = ['embedding', 'performance', 'profiling', 'reliability', 'results'].map(name => `docs/${name}.md`)
  for (const document of [...Object.keys(documents), ...others, 'ARCHITECTURE.md', 'CONTRIBUTING.md']) {
    for (const [, page = '', , heading] of proseOf(join(root, document)).matchAll(
      /\]\((?!https?:)([^)#]*)(#([^)]*))?\)/g
    )) {
      const path = page === '' ? join(root, document) : join(root, document, '..', page)
      t.true(existsSync(path), `${document}: ${page}`)
      if (heading !== undefined) t.true(anchorsOf(path).includes(heading), `${document}: ${page}#${heading}`)
    }
  }
})

interface RecordedRule {
  readonly rule: string
  readonly all: { readonly loss: number; readonly deviation: number; readonly accuracy: number }
  readonly stuck: number
  readonly medianOfLearned: number
  readonly published: RecordedRule['all']
  readonly runs: readonly {
    readonly seed: number
    readonly stuck: boolean
    readonly final: { readonly loss: number }
  }[]
}

test('the figures of Fig. 3C in README are those of the record, in its table and in its sentences', t => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8').replace(/\s+/g, ' ')
  const record = JSON.parse(readFileSync(join(root, 'docs/records/fig3c-10-seeds.json'), 'utf8'))
  const ruleOf = (name: string) => record.rules.find(({ rule }: RecordedRule) => rule === name) as RecordedRule
  const pm = ({ loss, deviation }: RecordedRule['all']) => `${loss.toFixed(3)} ± ${deviation.toFixed(3)}`
  const number = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten']
  const seeds = number[record.seeds.length]
  for (const [label, name] of [
    ['BPTT', 'bptt'],
    ['MDGL', 'mdgl'],
    ['e-prop', 'eprop']
  ] as const) {
    const { all, stuck, medianOfLearned, published } = ruleOf(name)
    const loss = stuck === 0 ? pm(all) : `${pm(all)} (${stuck} stuck)`
    const figures = [
      loss,
      medianOfLearned.toFixed(3),
      all.accuracy.toFixed(3),
      pm(published),
      published.accuracy.toFixed(3)
    ]
    t.true(readme.includes(`| ${label} | ${figures.join(' | ')} |`), label)
  }
  const stuckSeeds = (name: string) => ruleOf(name).runs.filter(({ stuck }) => stuck)
  const [first, second, ...more] = stuckSeeds('bptt')
  t.deepEqual(more, [])
  t.true(readme.includes(`explodes at the start, as it does on ${number[ruleOf('bptt').stuck]} of ${seeds} seeds`))
  t.is(first?.seed, 1, 'the seed of the quick start')
  const [alone, ...others] = stuckSeeds('eprop')
  t.deepEqual(others, [])
  t.true(
    readme.includes(
      `BPTT's seeds ${first?.seed} and ${second?.seed}, e-prop's seed ${alone?.seed} (${alone?.final.loss.toFixed(3)})`
    )
  )
  t.true(readme.includes(`"Stuck" is a final loss above ${record.stuckAbove},`))
  t.is(record.mdglBelowEprop.seeds, record.mdglBelowEprop.of)
  t.true(readme.includes(`MDGL ends below e-prop on all ${seeds} seeds.`))
})

test('figures in sentences are those of the tables of results', t => {
  const sentences = (page: string) => readFileSync(join(root, page), 'utf8').replace(/\s+/g, ' ')
  const lines = readFileSync(join(root, 'docs/results.md'), 'utf8').split('\n')
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim())
  /** A figure of docs/results.md. */
  const figure = (task: string, rule: string, column: string) => {
    const at = lines.findIndex(line => line.startsWith(`| ${task} | ${rule} |`))
    const header = lines.slice(0, at).findLast(line => line.startsWith('| task |')) ?? ''
    return cells(lines[at] ?? '')[cells(header).indexOf(column)] ?? `no ${column} of ${rule} on ${task}`
  }
  const loss = (task: string, rule: string) => figure(task, rule, 'final loss').split(' ')[0]
  const fig3c = (rule: string) => figure('evidence-accumulation', rule, 'final loss')
  const [match, xor, lif400] = ['delayed-match', 'delayed-xor', 'pattern-generation-lif400'] as const
  const digits = (rule: string) => figure('sequential-digits', rule, 'test accuracy')
  const allPairs = (column: string) => figure('evidence-accumulation-all-pairs', 'bptt', column)
  t.is(allPairs('stuck'), '0')
  const mnist = (rule: string, iteration: number) => figure('sequential-mnist', rule, `accuracy at ${iteration}`)
  const number = ['no', 'one', 'two', 'three']
  /** A figure of an experiment. */
  const found = (condition: string, rule: string, column = 'final loss') => {
    const at = lines.findIndex(line => line.startsWith(`| ${condition} | ${rule} |`))
    const header = lines.slice(0, at).findLast(line => line.startsWith('| condition |')) ?? ''
    return cells(lines[at] ?? '')[cells(header).indexOf(column)] ?? `no ${column} of ${condition} by ${rule}`
  }
  const early = (condition: string) => found(condition, 'MDGL', 'cosine of mean gradients, early').split(' ')[0]
  const means = (conditions: readonly string[], rule: string) =>
    conditions.map(condition => found(condition, rule).split(' ')[0] ?? '').toSorted()
  const types = ['inhibitory', 'excitatory']
  const removed = means(
    types.flatMap(from => types.map(to => `without ${from} to ${to}`)),
    'MDGL'
  )
  const smeared = means(
    [1, 3, 10, 30].map(ms => `smeared, peak after ${ms} ms`),
    'MDGL'
  )
  const later = means(
    ["excitatory cells' ligand blocked", "inhibitory cells' ligand blocked", 'both blocked'],
    'then 500 more'
  )
  const said = {
    'README.md': [
      `ends at ${fig3c('mdgl-membrane')} with a causal kernel (\`mdgl-membrane\`) and at ${fig3c('mdgl-exact')} with the exact one`,
      `two and three hops at ${loss('evidence-accumulation', 'hops-2')} and ${loss('evidence-accumulation', 'hops-3')}.`,
      `no seed of BPTT is stuck and it ends at ${allPairs('final loss')} (`,
      `BPTT is right on ${mnist('bptt', 100).split(' ')[0]} of the images after 100 iterations and on ${mnist('bptt', 200).split(' ')[0]} after 200`,
      `200 iterations take ${figure('sequential-mnist', 'bptt', 'training per run')} here`
    ],
    'docs/guide/choose-a-rule.md': [
      `On delayed XOR it ends at ${loss(xor, 'mdgl')} nats where e-prop stays at ${loss(xor, 'eprop')}, on delayed match to sample at ${loss(match, 'mdgl')} against ${loss(match, 'eprop')} (five seeds each)`,
      `where it learns; ${number[Number(figure('evidence-accumulation', 'bptt', 'stuck'))]} of the ten seeds are stuck at chance.`,
      `delayed match it ends lowest (${loss(match, 'bptt')}), with`,
      `On delayed XOR ${number[Number(figure(xor, 'bptt', 'diverged'))]} seeds of five diverge`,
      `on delayed match somewhat below \`mdgl\` (${loss(match, 'mdgl-membrane')} against ${loss(match, 'mdgl')},`,
      `(delayed XOR: ${loss(xor, 'mdgl-membrane')} against ${loss(xor, 'mdgl')}; 400 LIF cells: ${loss(lif400, 'mdgl-membrane')} against ${loss(lif400, 'mdgl')})`
    ],
    'docs/results.md': [
      `BPTT ends at ${allPairs('final loss')} with an accuracy of ${allPairs('accuracy')}; published are ${allPairs('published loss')} and ${allPairs('published accuracy')},`,
      `BPTT is right on ${mnist('bptt', 100)} of the images after 100 iterations and on ${mnist('bptt', 200)} after 200`,
      `The 200 iterations take ${figure('sequential-mnist', 'bptt', 'training per run')} on two cores`,
      `e-prop reaches ${mnist('eprop', 200)} and MDGL with the memory of the secreting cell ${mnist('mdgl-membrane', 200)}.`
    ],
    'docs/guide/what-we-found.md': [
      `BPTT is stuck on none of ten seeds and ends at ${allPairs('final loss')}, as published (${allPairs('published loss')} over five)`,
      `e-prop, which has no modulation, ends at ${fig3c('eprop')}, MDGL at ${fig3c('mdgl')} and BPTT at ${figure('evidence-accumulation', 'bptt', 'median of learned')}`,
      `(\`mdgl-membrane\`) ends at ${fig3c('mdgl-membrane')} on the same seeds`,
      `MDGL ends far below e-prop (${loss(match, 'mdgl')} against ${loss(match, 'eprop')})`,
      `(${digits('eprop')} for e-prop, ${digits('mdgl')} for MDGL, ${digits('mdgl-membrane')} with the membrane's memory)`,
      `| all four channels between the two types (MDGL) | ${found('all four channels', 'MDGL')} |`,
      `| one channel removed, each in turn | ${removed[0]} to ${removed.at(-1)} |`,
      `| no channel (e-prop) | ${found('no channel', 'e-prop')} |`,
      `| gains fixed at the mean initial weights | ${found('gains fixed', 'MDGL')} |`,
      `| the same gains, each given to another channel | ${found('gains fixed and exchanged', 'MDGL')} |`,
      `| release smeared over time, peak after 1, 3, 10 or 30 ms | ${smeared[0]} to ${smeared.at(-1)} |`,
      `| the same, peak after 100 ms | ${found('smeared, peak after 100 ms', 'MDGL')} |`,
      `| ligands that reach every cell (NL-MDGL) | ${found('nonlocal instead of synaptic', 'NL-MDGL')} |`,
      ...(
        [
          ['1', '1 type'],
          ['2: excitatory, inhibitory', '2: sign'],
          ['4: sign, and whether a cell reaches the readout', '4: sign, output'],
          ['6: adaptation, too', '6: sign, adaptation, output'],
          ['10, the six divided at random', '10: the six divided at random'],
          ['25', '25: the six divided at random'],
          ['50', '50: the six divided at random'],
          ['100: one per cell', '100: one per cell']
        ] as const
      ).map(
        ([label, condition]) =>
          `| ${label} | ${found(condition, 'MDGL')} | ${found(condition, 'MDGL, membrane kernel')} |`
      ),
      `500 further iterations end at ${later[0]} to ${later.at(-1)}, with all channels at ${means(['all four channels'], 'then 500 more')[0]}.`,
      `a cosine of ${early('gains fixed and exchanged')} after a quarter of the training against ${early('all four channels')} with the right ones`
    ]
  }
  for (const [page, expected] of Object.entries(said)) {
    const text = sentences(page)
    for (const sentence of expected) t.true(text.includes(sentence), `${page}: ${sentence}`)
  }
})

test('the table of speed in README has the figures of the table of peers', t => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const peers = readFileSync(join(root, 'docs/performance.md'), 'utf8').split('\n')
  const row = (workload: string, rule: string, peer: string) => {
    const cells = peers.find(line => line.startsWith(`| ${workload} | ${rule} | ${peer} |`))?.split('|') ?? []
    const [ours, ratio] = [cells[7], cells[9]].map(Number)
    return { ours, ratio: ratio === undefined ? '–' : `${ratio < 10 ? ratio : Math.round(ratio)} ×` }
  }
  for (const workload of ['W-paper', 'W', 'W2', 'W3']) {
    for (const [label, rule] of [
      ['e-prop', 'eprop'],
      ['BPTT', 'bptt']
    ] as const) {
      const { ours, ratio } = row(workload, rule, 'JAX')
      const torch = workload === 'W-paper' ? '–' : row(workload, rule, 'PyTorch').ratio
      t.true(readme.includes(`| ${label} | ${ours?.toFixed(1)} ms | ${ratio} | ${torch} |`), `${workload} ${rule}`)
    }
  }
})
