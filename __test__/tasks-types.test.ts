import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import {
  delayedMatch,
  evidenceAccumulation,
  expandModulation,
  functionalTypes,
  gradients,
  Model,
  makeBatch,
  type NetworkDescription,
  network,
  networkGraph
} from '../src/index.js'
import { TASK_NAMES } from '../src/runs/tasks.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'
import { invalidAt } from './helpers/expect.js'
import { smallBatch } from './helpers/small.js'

const two = evidenceAccumulation().network({ seed: 3 })
const six = evidenceAccumulation({ types: 'six' }).network({ seed: 3 })
const sizes = (description: NetworkDescription) =>
  Object.fromEntries(
    (description.types ?? []).map(({ name, members }) => [name, members.flatMap(({ units }) => units ?? []).length])
  )

test('six types: the same synapses as with two, and a partition by sign, adaptation and role', t => {
  const [coarse, fine] = [Model.create(two), Model.create(six)]
  for (const name of ['cues->cells', 'cells->cells', 'cells->choice'] as const) {
    t.deepEqual(fine.weights.get(name), coarse.weights.get(name))
  }
  const outputs = new Set(coarse.weights.get('cells->choice').pre)
  for (const { name, members } of fine.description.types ?? []) {
    for (const cell of members.flatMap(({ units }) => units ?? [])) {
      const expected = [
        cell < 19 ? 'inhibitory' : 'excitatory',
        cell < 50 ? 'regular' : 'adaptive',
        outputs.has(cell) ? 'output' : 'internal'
      ]
      t.is(name, expected.join('-') as typeof name)
    }
  }
  const counts = Object.values(sizes(six))
  t.is(counts.length, 6)
  t.is(
    counts.reduce((sum, count) => sum + count, 0),
    100
  )
  t.is(six.channels?.length, 36)
})

test('six types: ligands of the mean weight are MDGL with six types', async t => {
  const { channels, ...plain } = six
  const task = evidenceAccumulation({ cues: 1, delay: 0 })
  const batch = await makeBatch(task, { split: 'train', size: 4, seed: 1 })
  const of = (description: NetworkDescription) =>
    gradients(Model.create(description, { precision: 'f64' }), batch, { rule: 'mdgl', loss: task.loss })
  const [ligands, byDefault, coarse] = await Promise.all([six, plain, two].map(of))
  t.deepEqual(
    ligands?.projections['cells->cells']?.values.map(value => Math.fround(value)),
    byDefault?.projections['cells->cells']?.values.map(value => Math.fround(value))
  )
  t.notDeepEqual(ligands?.projections['cells->cells']?.values, coarse?.projections['cells->cells']?.values)
  t.is(channels?.length, 36)
})

const builder = network({ seed: 2 })
  .input('cues', 20)
  .lif('cells', 30, { sign: { excitatory: 24, inhibitory: 6 } })
  .readout('choice', 2)
  .type('inhibitory', { cells: { from: 0, to: 6 } })
  .type('excitatory', { cells: { from: 6, to: 30 } })
  .project('cues', 'cells', { density: 0.5 })
  .project('cells', 'cells', { density: 0.3 })
  .project('cells', 'choice', { density: 1 })

const modulation = {
  ligands: { excitatory: ['A', 'C'], inhibitory: 'B' },
  receptors: {
    excitatory: { A: 0.5, B: 'mean-weight', C: { gain: -0.25, reach: 'nonlocal' } },
    inhibitory: { B: { gain: 'weight' } }
  }
} as const

test('ligands and receptors expand to channels', t => {
  const expected = [
    {
      name: 'A:excitatory->excitatory',
      from: 'excitatory',
      to: 'excitatory',
      gain: 0.5,
      reach: 'synaptic',
      kernel: 'none'
    },
    {
      name: 'C:excitatory->excitatory',
      from: 'excitatory',
      to: 'excitatory',
      gain: -0.25,
      reach: 'nonlocal',
      kernel: 'none'
    },
    {
      name: 'B:inhibitory->excitatory',
      from: 'inhibitory',
      to: 'excitatory',
      gain: 'mean-weight',
      reach: 'synaptic',
      kernel: 'none'
    },
    {
      name: 'B:inhibitory->inhibitory',
      from: 'inhibitory',
      to: 'inhibitory',
      gain: 'weight',
      reach: 'synaptic',
      kernel: 'none'
    }
  ]
  t.deepEqual(
    expandModulation(modulation),
    expected as ReturnType<typeof expandModulation<'excitatory' | 'inhibitory'>>
  )
  t.deepEqual(
    builder.modulation(modulation).build().channels,
    expected as ReturnType<typeof expandModulation<'excitatory' | 'inhibitory'>>
  )
})

test('two ligands of one type act as the sum of their channels', async t => {
  const of = async (description: NetworkDescription) => {
    const model = Model.create(description, { precision: 'f64' })
    const { projections } = await gradients(model, smallBatch(), { rule: 'mdgl', loss: { kind: 'cross-entropy' } })
    return Array.from<number>(projections['cells->cells']?.values ?? [])
  }
  const channels = expandModulation(modulation)
  const plain = builder.build()
  const [none, all] = await Promise.all([of({ ...plain, channels: [] }), of({ ...plain, channels })])
  const single = await Promise.all(channels.map(channel => of({ ...plain, channels: [channel] })))
  const largest = all.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  t.true(all.some((value, i) => Math.abs(value - (none[i] ?? 0)) > 1e-3 * largest))
  all.forEach((value, i) => {
    const sum = single.reduce((total, each) => total + (each[i] ?? 0) - (none[i] ?? 0), none[i] ?? 0)
    t.true(Math.abs(value - sum) < 1e-9 * largest)
  })
})

test('ligands and receptors that cannot be are refused', t => {
  invalidAt(t, 'modulation.receptors.excitatory.B', () =>
    expandModulation({ ligands: { excitatory: 'A' }, receptors: { excitatory: { A: 1, B: 1 } } })
  )
  invalidAt(t, 'modulation.ligands', () => expandModulation({ ligands: { e: ['A', 'B'] }, receptors: { e: { A: 1 } } }))
  invalidAt(t, 'modulation.ligands.e', () =>
    expandModulation({ ligands: { e: ['A', 'A'] }, receptors: { e: { A: 1 } } })
  )
  invalidAt(t, 'modulation.receptors.e.A.gain', () =>
    expandModulation({ ligands: { e: 'A' }, receptors: { e: { A: Number.NaN } } })
  )
  invalidAt(t, 'modulation.receptors.e.A.reach', () =>
    expandModulation({ ligands: { e: 'A' }, receptors: { e: { A: { reach: 'far' as 'nonlocal' } } } })
  )
  invalidAt(t, 'channels.A:typo->excitatory.from', () =>
    builder.modulation({
      // @ts-expect-error no such type
      ligands: { typo: 'A' },
      receptors: { excitatory: { A: 1 } }
    })
  )
  // Two ligands that do the same are one channel.
  invalidAt(t, /channels/, () =>
    builder.modulation({ ligands: { excitatory: ['A', 'B'] }, receptors: { excitatory: { A: 1, B: 2 } } }).build()
  )
})

test('functional types need signs, and no channels', t => {
  const plain = builder.build()
  t.deepEqual(Object.keys(sizes(functionalTypes(plain))), ['inhibitory-regular-output', 'excitatory-regular-output'])
  invalidAt(t, 'description.channels', () => functionalTypes({ ...plain, channels: [] }))
  const free = network().input('x', 1).lif('cells', 2).readout('y', 1).project('cells', 'y', { density: 1 }).build()
  invalidAt(t, 'description.populations.cells.sign', () => functionalTypes(free))
  const half = network()
    .lif('cells', 3, { sign: [1, 0, -1] })
    .readout('y', 1)
    .project('cells', 'y', { density: 1 })
    .build()
  invalidAt(t, 'description.populations.cells.sign[1]', () => functionalTypes(half))
})

test('the picture of a network has every synapse, every channel and every type', t => {
  const svg = networkGraph(six)
  const synapses = (six.projections ?? []).reduce(
    (sum, { name }) => sum + Model.create(six).weights.get(name as 'cells->cells').pre.length,
    0
  )
  t.is(svg.match(/<line [^>]*stroke-width="0.6"/g)?.length, synapses)
  t.is(svg.match(/<path d="[^"]*" fill="none"[^>]*stroke-dasharray[^>]*marker-end/g)?.length, 36)
  for (const [name, count] of Object.entries(sizes(six))) t.true(svg.includes(`${name} (${count})`), name)
  t.true(svg.includes('ligand A') && svg.includes('ligand B') && svg.includes(`${synapses} synapses`))
})

test('mdgl plot network draws SVG and PNG, and says what it can draw', async t => {
  const folder = await temporaryFolder(t)
  const png = join(folder, 'pictures', 'six.png')
  const { code, stdout, stderr } = await mdgl('plot', 'network', 'evidence-accumulation-six', '--out', png)
  t.is(code, 0, stderr)
  t.is(stdout, `${png}\n`)
  t.is((await readFile(png)).toString('latin1', 1, 4), 'PNG')
  const svg = join(folder, 'match.svg')
  t.is((await mdgl('plot', 'network', 'delayed-match', '--seed', '2', '--out', svg)).code, 0)
  t.true((await stat(svg)).size > 10_000)
  t.regex((await mdgl('plot', '--help')).stdout, /Usage: mdgl plot network[\s\S]*Examples:\n {2}mdgl plot /)
  for (const [args, says] of [
    [['plot'], /a picture is missing.*network/],
    [['plot', 'curve'], /'curve'.*network/],
    [['plot', 'network'], /a task is missing/],
    [['plot', 'network', 'delayed-match', '--out', 'x.jpg'], /\.svg or \.png/]
  ] as const) {
    const refused = await mdgl(...args)
    t.is(refused.code, 2)
    t.regex(refused.stderr, says)
  }
})

test('mdgl plot network draws a description from a file', async t => {
  const folder = await temporaryFolder(t)
  const description = delayedMatch().network({ seed: 3 })
  const [file, out] = [join(folder, 'mine.json'), join(folder, 'mine.svg')]
  await writeFile(file, JSON.stringify(description))
  t.is((await mdgl('plot', 'network', file, '--out', out)).code, 0)
  t.is(await readFile(out, 'utf8'), networkGraph(description))
  t.is((await mdgl('plot', 'network', file, '--seed', '4', '--out', out)).code, 0)
  t.is(await readFile(out, 'utf8'), networkGraph({ ...description, seed: 4 }))
  await writeFile(file, '{"schema": ')
  t.regex((await mdgl('plot', 'network', file)).stderr, /mine\.json is no JSON/)
  await writeFile(file, '{"schema": "mdgl-network/1", "populations": [{"name": "a", "size": 0}]}')
  t.regex((await mdgl('plot', 'network', file)).stderr, /populations.*allowed/)
  t.regex((await mdgl('plot', 'network', join(folder, 'none.json'))).stderr, /no such file/)
})

test('train and compare take every task by name, and name them all when asked for another', async t => {
  const table = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  for (const name of TASK_NAMES) t.true(table.includes(`| \`${name}\` |`), name)
  const folder = await temporaryFolder(t)
  for (const command of ['train', 'compare']) {
    const { code, stderr } = await mdgl(command, 'nope')
    t.is(code, 2)
    t.true(stderr.includes(TASK_NAMES.join(', ')))
  }
  for (const task of TASK_NAMES) {
    const short = ['--iterations', '1', '--batch-size', '2', '--validate-every', '1', '--out', join(folder, task)]
    const { code, stderr } = await mdgl('train', task, ...short)
    t.is(code, 0, stderr)
    t.is(JSON.parse(await readFile(join(folder, task, 'config.json'), 'utf8')).task, task)
  }
})

test('compare shows the normalised error of a regression, and chance among ten digits', async t => {
  const folder = await temporaryFolder(t)
  const short = ['--rules', 'eprop', '--iterations', '1', '--batch-size', '1', '--validate-every', '1', '--out']
  const pattern = await mdgl('compare', 'pattern-generation', ...short, join(folder, 'pattern'))
  t.is(pattern.code, 0, pattern.stderr)
  t.regex(pattern.stdout, /^ {2}eprop +1 +(0\.\d+|1\.\d+) .* – +\d/m)
  t.regex(pattern.stdout, /normalised error; an output of 0 has 1/)
  t.true((await readFile(join(folder, 'pattern', 'learning-curves.svg'), 'utf8')).includes('normalised error'))
  const tenDigits = await mdgl('compare', 'sequential-digits', ...short, join(folder, 'digits'))
  t.regex(tenDigits.stdout, /chance \(ln 10\) has 2\.303/)
})
