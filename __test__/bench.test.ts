import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { makeWork } from '../src/bench/work.js'
import type { WorkloadName } from '../src/bench/workloads.js'
import { gradients, Model, simulate } from '../src/index.js'
import { scalingCurves } from '../src/plots/scaling.js'
import { jsonLines, mdgl, temporaryFolder } from './helpers/cli.js'

const TINY = ['--neurons', '20', '--steps', '100', '--batch-size', '3']

test('bench --json prints one line with times and rates', async t => {
  const { code, stdout, stderr } = await mdgl('bench', 'W', '--json', '--rule', 'eprop', '--repeats', '3', ...TINY)
  t.is(code, 0, stderr)
  const lines = jsonLines(stdout)
  t.is(lines.length, 1)
  const { workload, rule, simd, repeats, ...rest } = lines[0] ?? {}
  t.deepEqual([workload, rule, repeats], ['W', 'eprop', 3])
  t.is(typeof simd, 'string')
  const number = (name: string) => Number(rest[name])
  const ms = number('msPerIteration')
  t.true(number('min') > 0 && number('min') <= ms && ms <= number('max'))
  t.true(number('engineMs') > 0 && number('engineMs') < number('max') && number('facadeRatio') > 1)
  t.true(number('peakMegabytes') > 20 && number('peakMegabytes') < 1000)
  t.is(number('neuronUpdates'), 20 * 100 * 3)
  t.is(number('neuronUpdatesPerSecond'), (number('neuronUpdates') / ms) * 1000)
  t.is(number('synapticEventsPerSecond'), (number('synapticEvents') / ms) * 1000)
  t.true(number('synapticEvents') > 0 && number('threads') >= 1)
})

test('bench names the instruction set it was told to use, and prints for people', async t => {
  const { code, stdout, stderr } = await mdgl('bench', 'W3', '--simd', 'portable', '--repeats', '1', ...TINY)
  t.is(code, 0, stderr)
  t.regex(stdout, /^W3, mdgl, \d+ threads?, portable: \d+\.\d\d ms per iteration\n {2}median of 1, /)
})

test('bench --against runs two workloads in turns, and prints times and ratios', async t => {
  const { code, stdout, stderr } = await mdgl(
    'bench',
    'W-silent',
    '--against',
    'W',
    '--json',
    '--repeats',
    '2',
    ...TINY
  )
  t.is(code, 0, stderr)
  const lines = jsonLines(stdout)
  t.is(lines.length, 1)
  const { workload, against, repeats, nsPerUpdate, nsPerUpdateAgainst, ratio } = lines[0] ?? {}
  t.deepEqual([workload, against, repeats], ['W-silent', 'W', 2])
  const passes = ['forward', 'gradient', 'neuron-update', 'backward-recursion']
  for (const costs of [nsPerUpdate, nsPerUpdateAgainst, ratio]) t.deepEqual(Object.keys(costs as object), passes)
  const [ours, theirs, over] = [nsPerUpdate, nsPerUpdateAgainst, ratio] as Record<string, number>[]
  for (const pass of passes) {
    t.true(Number(ours?.[pass]) > 0 && Number(theirs?.[pass]) > 0, pass)
    t.is(over?.[pass], Number(ours?.[pass]) / Number(theirs?.[pass]))
  }
})

test('bench --against prints for people', async t => {
  const { code, stdout, stderr } = await mdgl('bench', 'W-faint', '--against', 'W', '--repeats', '1', ...TINY)
  t.is(code, 0, stderr)
  t.regex(stdout, /^W-faint against W, mdgl, \d+ threads?, \w+: processor ns per neuron update, least of 1 in turns\n/)
  t.is(stdout.match(/ratio \d+\.\d{3}$/gm)?.length, 4)
})

test('W-silent falls silent, and W-faint has the spikes of W and hardly a gradient', async t => {
  const spikes = async (workload: WorkloadName) => {
    const { model, batch } = await makeWork(workload, 1, { batch: 3 })
    return { model, batch, spikes: (await simulate(model, batch)).spikes }
  }
  const silent = await spikes('W-silent')
  t.true(silent.spikes.length > 0)
  t.true(silent.spikes.every((step, i) => i % 3 !== 1 || step < 40))
  const [faint, W] = [await spikes('W-faint'), await spikes('W')]
  t.deepEqual(faint.spikes, W.spikes)
  const { projections } = await gradients(faint.model, faint.batch, { rule: 'bptt', loss: { kind: 'cross-entropy' } })
  const largest = Math.max(...Array.from(projections['cells->cells']?.values ?? [], Math.abs))
  t.true(largest > 0 && largest < 1e-9)
})

for (const workload of ['W', 'W3', 'W-paper']) {
  test(`an export of ${workload} is a network and a batch that can be run`, async t => {
    const path = join(await temporaryFolder(t), 'work.json')
    const size = workload === 'W-paper' ? ['--batch-size', '2'] : TINY
    const { code, stderr } = await mdgl('bench', '--export', workload, '--out', path, ...size)
    t.is(code, 0, stderr)
    const { format, network, loss, optimiser, batch } = JSON.parse(await readFile(path, 'utf8'))
    t.is(format, 'mdgl-bench/1')
    t.is(optimiser.kind, 'adam')
    for (const { connections } of network.projections) t.is(connections.pre.length, connections.values.length)
    const model = Model.create(network)
    const { spikes } = await simulate(model, batch)
    t.true(spikes.length > 0)
    const { evaluation, norm } = await gradients(model, batch, { rule: 'mdgl', loss })
    t.true(Number.isFinite(evaluation.loss) && norm > 0)
  })
}

test('the events that an export has drawn are those of the engine', async t => {
  const path = join(await temporaryFolder(t), 'work.json')
  t.is((await mdgl('bench', '--export', 'W-paper', '--out', path, '--batch-size', '2')).code, 0)
  const { batch } = JSON.parse(await readFile(path, 'utf8'))
  const events: number[] = batch.inputs.cues.events.flat()
  const bySide = (from: number, to: number, start: number, end: number) =>
    events.filter((unit, i) => i % 3 === 2 && unit >= from && unit < to && inside(events[i - 1], start, end)).length
  // Recall units fire at the end only, noise units throughout: 10 units × 10 Hz × 2 s × 2 trials.
  t.is(bySide(20, 30, 0, 1850), 0)
  t.true(bySide(20, 30, 1850, 2000) > 60)
  t.true(Math.abs(bySide(30, 40, 0, 2000) - 400) < 100)
})

const inside = (step: number | undefined, start: number, end: number) =>
  step !== undefined && step >= start && step < end

for (const [what, args, says] of [
  ['no workload', ['bench'], /a workload is missing; it must be one of W, W2, W3/],
  ['an unknown workload', ['bench', 'W9'], /the workload is 'W9'; it must be one of W, W2, W3/],
  ['an unknown instruction set', ['bench', 'W', '--simd', 'mmx'], /--simd is 'mmx'.*avx512/],
  ['no repeats', ['bench', 'W', '--repeats', '0'], /at least 1/],
  ['a density above 1', ['bench', 'W', '--density', '2'], /--density is '2'; it must be at most 1/],
  ['a comparison with nothing known', ['bench', 'W', '--against', 'W9'], /--against is 'W9'; it must be one of W, W2/],
  ['a comparison of nothing', ['bench', '--against', 'W'], /a workload is missing/],
  ['a comparison exported', ['bench', '--export', 'W', '--against', 'W2'], /--against is not for --export/],
  ['an export without a file', ['bench', '--export', 'W'], /--export needs --out/],
  ['another Fig. 3C', ['bench', 'W-paper', '--steps', '100'], /--steps is not for W-paper/]
] as const) {
  test(`bench usage: ${what} is one line on standard error and exit code 2`, async t => {
    const { code, stdout, stderr } = await mdgl(...args)
    t.is(code, 2)
    t.is(stdout, '')
    t.regex(stderr, says)
  })
}

test('scaling curves name their axes and rules', t => {
  const points = [10, 100].flatMap(x => (['eprop', 'mdgl'] as const).map(rule => ({ rule, x, ms: x / 7 })))
  const svg = scalingCurves([
    { label: 'neurons N', points },
    { label: 'steps T (ms)', points }
  ])
  for (const text of ['neurons N', 'steps T (ms)', 'iteration (ms)', 'e-prop', 'MDGL', "'Source Sans 3'"]) {
    t.true(svg.includes(text), text)
  }
})
