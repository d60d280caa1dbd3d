import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { Model, network } from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { invalidAt } from './helpers/expect.js'
import { limited } from './helpers/faults.js'

/** Linux alone limits the addresses of a process. */
const linuxTest = process.platform === 'linux' ? test : test.skip

const PROGRAM = `
import { readFileSync } from 'node:fs'
import { Model, network, simulate, train } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
const STEPS = 40
const trials = size => Array.from({ length: size }, (_, trial) => trial)
const batch = (size, length = STEPS) => ({
  length,
  inputs: { in: { rates: trials(size).map(trial => ({ trial, units: [0, 4], from: 0, to: length, rate: 100 })) } },
  targets: trials(size).map(trial => trial % 2)
})
const task = length => ({ name: 'x', loss: { kind: 'cross-entropy' }, batch: ({ size }) => batch(size, length) })
const describe = size => network({ seed: 1 }).input('in', 4).lif('cells', size).readout('out', 2).project('in', 'cells', { density: 1 })
  .project('cells', 'cells', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.001 } })
  .project('cells', 'out', { density: 1 }).build()
const outcome = async body => {
  try {
    await body()
    return 'done'
  } catch (error) {
    return error.code ?? String(error)
  }
}
const step = async (model, batchSize, length = STEPS) => {
  for await (const _ of train(model, task(length), { rule: 'mdgl', iterations: 1, batchSize, validateEvery: 0, threads: 2 }));
}
const model = Model.create(describe(100))
await step(model, 4)
const [limit] = process.argv.slice(2)
if (limit === undefined) {
  // What Node and a small network need.
  console.log(/VmPeak:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
} else {
  const weights = () => Array.from(model.weights.get('cells->cells').values)
  const before = weights()
  const outcomes = {}
  for (const size of [500, 1000, 1500, 6000]) {
    outcomes['network of ' + size] = await outcome(async () => {
      const large = Model.create(describe(size))
      try { await step(large, 4) } finally { large.dispose() }
    })
  }
  outcomes['long batch'] = await outcome(() => step(model, 4, 10_000_000))
  outcomes['recording'] = await outcome(() => simulate(model, batch(16, 100_000), { voltage: true }))
  const same = weights().every((value, i) => value === before[i])
  await step(model, 4)
  const learned = weights().some((value, i) => value !== before[i])
  console.log(JSON.stringify({ outcomes, same, learned }))
}
`

linuxTest(
  'memory that is short is an error of code memory; the model stays as it was, and a smaller batch trains on',
  async t => {
    const folder = await temporaryFolder(t)
    const program = join(folder, 'program.mjs')
    await writeFile(program, PROGRAM)
    const need = await limited('true', [program])
    t.is(need.code, 0, need.stderr)
    const { code, stdout, stderr } = await limited(`ulimit -v ${Number(need.stdout) + 300_000}`, [program, 'limited'])
    t.is(code, 0, stderr)
    const { outcomes, same, learned } = JSON.parse(stdout)
    t.is(outcomes['network of 6000'], 'memory')
    t.is(outcomes['long batch'], 'memory')
    t.is(outcomes.recording, 'memory')
    t.deepEqual(
      Object.values(outcomes).filter(found => found !== 'memory' && found !== 'done'),
      []
    )
    t.true(same)
    t.true(learned)
  }
)

const FORGETFUL = `
import { readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { Model, network } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
const initialise = { scheme: 'normal', standardDeviation: 0.001 }
const describe = size => network({ seed: 1 }).input('in', 4).lif('cells', size).readout('out', 2)
  .project('in', 'cells', { density: 1, initialise }).project('cells', 'cells', { density: 1, initialise })
  .project('cells', 'out', { density: 1, initialise }).build()
const [small, large] = [describe(150), describe(500)]
const ways = {
  'sessions, no turn': () => { Model.create(small).session({ rule: 'mdgl-online' }).step() },
  'models and clones': () => turn(Model.create(large).clone()),
  'models made aside': () => Model.createAsync(large)
}
const [way, count] = process.argv.slice(2)
let made = 0
try {
  for (; made < Number(count); made++) {
    const forgotten = ways[way]()
    if (forgotten instanceof Promise) await forgotten
  }
} catch (error) {
  console.error(String(error))
}
console.log(made, /VmPeak:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
process.exit()
`

for (const [way, count] of [
  ['sessions, no turn', 120],
  ['models and clones', 80],
  ['models made aside', 80]
] as const)
  linuxTest(`memory of what was forgotten comes back before any is refused (${way})`, async t => {
    const program = join(await temporaryFolder(t), 'program.mjs')
    await writeFile(program, FORGETFUL)
    const need = await limited('true', [program, way, '3'])
    const [, peak] = need.stdout.split(' ')
    const { code, stdout, stderr } = await limited(`ulimit -v ${Number(peak) + 400_000}`, [program, way, String(count)])
    t.is(code, 0, stderr)
    t.is(stdout.split(' ')[0], String(count), stderr)
  })

const EXTERNAL_MEMORY = `
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Model, network } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
import { native } from ${JSON.stringify(new URL('../dist/addon/native.js', import.meta.url).href)}
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
const description = network({ seed: 1 })
  .lif('cells', 300)
  .readout('out', 2)
  .project('cells', 'cells', { density: 1, initialise: { scheme: 'normal', standardDeviation: 0.001 } })
  .project('cells', 'out', { density: 1 })
  .build()
// V8 counts array buffers in the same sum. Garbage of them goes first; the second collection waits for the sweep of the first.
const external = () => {
  collect()
  collect()
  return native.externalMemory()
}
// The first one makes what stays.
Model.create(description).dispose()
const before = external()
const model = Model.create(description)
const copy = model.clone()
const between = external()
const session = model.session({ rule: 'mdgl-online' })
const online = external()
session.dispose()
const ended = external()
session.dispose()
copy.dispose()
model.dispose()
console.log(JSON.stringify({ before, between, online, ended, after: external() }))
`

test('V8 is told of native memory as it comes, and of exactly as much as it goes', async t => {
  // In a process of its own: garbage of other tests is in V8's sum.
  const program = join(await temporaryFolder(t), 'program.mjs')
  await writeFile(program, EXTERNAL_MEMORY)
  const { code, stdout, stderr } = await limited('true', [program])
  t.is(code, 0, stderr)
  const { before, between, online, ended, after } = JSON.parse(stdout)
  // Weights, moments and ends of 90 000 synapses.
  t.true(between - before > 2 * 90_000 * 20)
  // Five numbers per synapse.
  t.true(online - between > 90_000 * 5 * 4)
  t.is(ended, between)
  t.is(after, before)
})

test('a network of more units or synapses than there can be is refused at once', t => {
  const sized = (size: number) => network().lif('cells', size)
  invalidAt(t, 'populations.cells.size', () => sized(2 ** 31).build())
  invalidAt(t, 'populations.cells.size', () => sized(2 ** 53).build())
  const pairs = () =>
    Model.create(
      sized(2 ** 24)
        .project('cells', 'cells', { density: 1 })
        .build()
    )
  invalidAt(t, /density/, pairs)
  const many = () =>
    Model.create(
      sized(2 ** 24)
        .lif('more', 2 ** 24)
        .build()
    )
  invalidAt(t, /more\.size/, many)
})
