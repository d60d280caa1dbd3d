import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { type Channel, Model, network, rules } from '../src/index.js'
import type { Metrics } from '../src/operations/train.js'
import { RunWatch } from '../src/runs/run-watch.js'
import { readWarnings, recordWarning } from '../src/runs/warnings.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'

const LOSS = { kind: 'cross-entropy' } as const

/** Two populations; only `out` reaches the readout, and `inner` projects to it. */
const description = (channels?: readonly Channel[]) => {
  const built = network({ seed: 1 })
    .input('x', 2)
    .lif('inner', 4)
    .lif('out', 4)
    .readout('y', 2)
    .project('x', 'inner', { density: 1 })
    .project('inner', 'out', { density: 1 })
    .project('out', 'y', { density: 1 })
    .build()
  return channels === undefined ? built : { ...built, channels }
}

const channel = (from: string, to: string, reach: Channel['reach'] = 'synaptic'): Channel => ({
  name: `${from} to ${to}`,
  from,
  to,
  gain: 'mean-weight',
  reach,
  kernel: 'none'
})

const line = (iteration: number, given: Partial<Metrics>): Metrics => ({
  iteration,
  split: 'train',
  loss: 0.5,
  accuracy: 0.5,
  readouts: {},
  gradientNorm: 1,
  msPerIteration: 1,
  regulariser: 0,
  rate: 10,
  living: {},
  ...given
})

test('channels that can carry nothing are named once, where they were asked for', t => {
  const channels = [
    channel('out', 'inner'),
    channel('inner', 'out'),
    channel('out', 'out'),
    channel('out', 'out', 'nonlocal')
  ]
  const of = (given: Partial<ConstructorParameters<typeof RunWatch>[0]>, declared = true) =>
    new RunWatch({
      model: Model.create(description(declared ? channels : undefined)),
      rule: 'mdgl',
      loss: LOSS,
      regulariser: null,
      rewires: true,
      ...given
    })
  const watch = of({})
  const [message = '', ...more] = watch.beginning()
  t.regex(message, /the channels inner to out, out to out can carry nothing: .*The run continues$/)
  t.deepEqual(more, [])
  t.deepEqual(watch.beginning(), [])
  // By default channels, by rules without channels, and where every cell has a learning signal, there is nothing to say.
  for (const silent of [
    of({}, false),
    of({ rule: 'eprop' }),
    of({ rule: 'bptt' }),
    of({ rule: { ...rules.mdgl, feedback: { random: {} } } }),
    of({ regulariser: { strength: 1, targetRate: 10 } })
  ])
    t.deepEqual(silent.beginning(), [])
})

test('a rate far from the target is told once it has lasted', t => {
  const watch = new RunWatch({
    model: Model.create(description()),
    rule: 'mdgl',
    loss: LOSS,
    regulariser: { strength: 1, targetRate: 10 },
    rewires: true
  })
  const told = (rate: number, from: number) =>
    Array.from({ length: 50 }, (_, i) => watch.metrics(line(from + i, { rate }))).flat()
  t.deepEqual(told(12, 1), [])
  const [message = '', ...more] = told(45, 51)
  t.regex(
    message,
    /the mean rate is 3\d(\.\d)? Hz .* target of 10 Hz; a larger regulariser\.strength, or smaller weights/
  )
  t.deepEqual(more, [])
})

test('synapses under a tenth are told, by projection', t => {
  const model = Model.create(description())
  const watch = new RunWatch({ model, rule: 'mdgl', loss: LOSS, regulariser: null, rewires: true })
  const validation = (iteration: number) => watch.metrics(line(iteration, { split: 'validation' }))
  t.deepEqual(validation(1), [])
  const weights = model.weights.get('inner->out')
  model.weights.set(
    'inner->out',
    weights.values.map((value, i) => (i === 0 ? value : 0))
  )
  const [message = ''] = validation(2)
  t.regex(message, /^1 of 16 synapses of inner->out are alive in iteration 2, under a tenth; a lower l1/)
  t.deepEqual(validation(3), [])
})

test("without rewiring, synapses that Dale's law keeps at 0 are counted and told once", t => {
  const signed = network({ seed: 2 })
    .input('in', 10, { sign: 'excitatory' })
    .lif('cells', 20, { sign: { excitatory: 15, inhibitory: 5 } })
    .lif('free', 10)
    .readout('y', 1)
    .project('in', 'cells', { probability: 0.5 })
    .project(['cells', 'free'], 'y', { probability: 1 })
    .build()
  const model = Model.create(signed)
  const living = Object.fromEntries(model.weights.names().map(name => [name, model.weights.get(name).values.length]))
  const watched = (rewires: boolean) => new RunWatch({ model, rule: 'mdgl', loss: LOSS, regulariser: null, rewires })
  const after = (watch: RunWatch, iteration: number, lost: { readonly [name: string]: number }) =>
    watch.metrics(line(iteration, { split: 'validation', living: { ...living, ...lost } }))
  const watch = watched(false)
  t.deepEqual(after(watch, 1, {}), [])
  t.deepEqual(after(watch, 2, { 'free->y': 0 }), [])
  const [message = '', ...more] = after(watch, 3, { 'cells->y': 17, 'in->cells': (living['in->cells'] ?? 0) - 40 })
  t.regex(
    message,
    /^synapses have reached 0 by iteration 3, .*: 40 of \d+ of in->cells, 3 of 20 of cells->y; rewiring would/
  )
  t.deepEqual(more, [])
  t.deepEqual(after(watch, 4, { 'cells->y': 1 }), [])
  t.deepEqual(after(watched(true), 3, { 'cells->y': 3 }), [])
})

test('validations that rise while training falls are told; a loss that only wavers is not', t => {
  const watched = (validation: (i: number) => number, training: (i: number) => number) => {
    const watch = new RunWatch({
      model: Model.create(description()),
      rule: 'mdgl',
      loss: LOSS,
      regulariser: null,
      rewires: true
    })
    return Array.from({ length: 40 }, (_, i) => [
      ...watch.metrics(line(i + 1, { loss: training(i) })),
      ...watch.metrics(line(i + 1, { split: 'validation', loss: validation(i) }))
    ]).flat()
  }
  const valley = (i: number) => 0.3 + 0.02 * Math.abs(i - 15)
  const falling = (i: number) => 0.6 - 0.01 * i
  const [message = '', ...more] = watched(valley, falling)
  t.regex(
    message,
    /the validation loss has risen from 0\.3\d+ about iteration \d+ to 0\.\d+ .* by heart; fewer iterations/
  )
  t.deepEqual(more, [])
  t.deepEqual(watched(valley, valley), [])
  // Batches of fresh trials, which no network can learn by heart.
  t.deepEqual(
    watched(
      i => 0.11 + 0.002 * Math.abs(i - 15),
      i => 0.13 - 0.001 * i
    ),
    []
  )
  t.deepEqual(
    watched(i => 0.5 + (i % 2) * 0.04, falling),
    []
  )
})

test('warnings stay in the run folder and in its report; a torn line is left out', async t => {
  const folder = await temporaryFolder(t)
  t.deepEqual(await readWarnings(folder), [])
  await recordWarning(folder, 3, 'a')
  await recordWarning(folder, 9, 'a')
  await writeFile(join(folder, 'warnings.jsonl'), `${await readFile(join(folder, 'warnings.jsonl'), 'utf8')}{"it`)
  t.deepEqual(await readWarnings(folder), ['a'])

  const out = join(folder, 'run')
  const { stderr } = await mdgl(
    'train',
    'evidence-accumulation-six',
    '--iterations',
    '1',
    '--batch-size',
    '2',
    '--threads',
    '1',
    '--out',
    out
  )
  const [warning = ''] = await readWarnings(out)
  t.regex(warning, /can carry nothing/)
  t.true(stderr.includes(`mdgl: ${warning}`))
  t.true((await readFile(join(out, 'report.html'), 'utf8')).includes('can carry nothing'))
})
