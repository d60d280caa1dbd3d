import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  type Batch,
  gradients,
  Model,
  type Profile,
  type ProfiledKernel,
  type ProfileOptions,
  profile,
  simulate,
  traceProfile
} from '../src/index.js'
import { jsonLines, mdgl, temporaryFolder } from './helpers/cli.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { STEPS, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy' } as const
const quick = { loss, iterations: 2, peaks: false } as const

/** 19 trials, so two blocks of which one is not full; each with the events of its class and some of its own. */
function eventBatch(): Batch<'cues'> {
  const trials = 19
  const events = Array.from({ length: trials * 200 }, (_, i) => {
    const trial = i % trials
    return [trial, (i * 13) % STEPS, (trial % 2) * 10 + ((i * 7) % 10)] as const
  })
  return {
    length: STEPS,
    trials,
    inputs: { cues: { events } },
    targets: Array.from({ length: trials }, (_, i) => i % 2)
  }
}

const kernelOf = ({ kernels }: Profile, name: ProfiledKernel) => {
  const kernel = kernels.find(({ kernel }) => kernel === name)
  if (kernel === undefined) throw new Error(`no ${name}`)
  return kernel
}

/** Synapses of each unit of a population onto cells or onto readouts, by the model's own lists. */
function fanOut(model: Model<ReturnType<typeof smallNetwork>>, population: string, onto: 'cells' | 'readouts') {
  const readouts: readonly string[] = (model.description.readouts ?? []).map(({ name }) => name)
  const counts = new Map<number, number>()
  for (const { name, from, to } of model.description.projections ?? []) {
    if (from !== population || readouts.includes(to) !== (onto === 'readouts')) continue
    const { pre, values } = model.weights.get((name ?? `${from}->${to}`) as 'back')
    pre.forEach((unit, i) => {
      if (values[i] !== 0) counts.set(unit, (counts.get(unit) ?? 0) + 1)
    })
  }
  return (unit: number) => counts.get(unit) ?? 0
}

test('work is counted exactly: cells, steps and trials; events times the synapses of their senders', async t => {
  const model = Model.create(smallNetwork())
  const batch = eventBatch()
  const { spikes, shape } = await simulate(model, batch)
  let [input, recurrent, readout] = [0, 0, 0]
  const fromCues = fanOut(model, 'cues', 'cells')
  const { events } = batch.inputs.cues as { events: (readonly [number, number, number])[] }
  // A repeated event goes through once, with a count.
  for (const event of new Set(events.map(String))) input += fromCues(Number(event.split(',')[2]))
  for (const [name, { from, to }] of Object.entries(shape.populations)) {
    const [onto, outof] = [fanOut(model, name, 'cells'), fanOut(model, name, 'readouts')]
    for (let i = 0; i < spikes.length; i += 3) {
      const [step = 0, neuron = 0] = [spikes[i + 1], spikes[i + 2]]
      if (neuron < from || neuron >= to) continue
      // What spikes at the last step has no step left in which to arrive.
      if (step < STEPS - 1) recurrent += onto(neuron - from)
      readout += outof(neuron - from)
    }
  }
  t.true(input > 0 && recurrent > 0 && readout > 0)
  for (const rule of ['bptt', 'mdgl', 'eprop-online'] as const) {
    const profiled = await profile(model, batch, { rule, ...quick })
    t.is(kernelOf(profiled, 'neuron-update').neuronUpdates, 19 * STEPS * shape.neurons)
    t.is(kernelOf(profiled, 'input-scatter').synapticEvents, input)
    t.is(kernelOf(profiled, 'recurrent-scatter').synapticEvents, recurrent)
    t.is(kernelOf(profiled, 'readout').synapticEvents, readout)
  }
  // BPTT has a gradient for every synapse, so what was scattered is gathered.
  t.is(
    kernelOf(await profile(model, batch, { rule: 'bptt', ...quick }), 'gradient-gather').synapticEvents,
    input + recurrent + readout
  )
})

test('counts do not depend on threads, nor on how many steps are timed', async t => {
  const model = Model.create(smallNetwork())
  const counts = async (options: Partial<ProfileOptions>) => {
    const { kernels } = await profile(model, eventBatch(), { rule: 'mdgl', ...quick, ...options })
    return kernels.map(({ ms, standardError, byThread, ...work }) => work)
  }
  const expected = await counts({ threads: 1, every: 1 })
  t.deepEqual(await counts({ threads: 2, every: 1 }), expected)
  t.deepEqual(await counts({ threads: 2, every: 7, iterations: 1 }), expected)
})

test('profiling changes neither a bit of the gradient nor the model', async t => {
  const model = Model.create(smallNetwork())
  const weights = model.weights.get('back').values
  for (const rule of ['bptt', 'mdgl', 'nl-mdgl', 'mdgl-online'] as const) {
    const { evaluation, norm } = await gradients(model, smallBatch(), { rule, loss })
    const profiled = await profile(model, smallBatch(), { rule, ...quick, every: 1 })
    t.is(profiled.gradientNorm, norm)
    t.is(profiled.loss, evaluation.loss)
  }
  t.deepEqual(model.weights.get('back').values, weights)
})

test('the times of all kernels add up to the whole, in each thread and together', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const threads = 2
  const profiled = await profile(model, eventBatch(), { rule: 'mdgl', ...quick, iterations: 4, every: 2, threads })
  const { iterations, kernels, slices } = profiled
  t.is(profiled.precision, 'f64')
  t.is(iterations.length, 4)
  const whole = iterations.reduce((sum, { profiled: ms }) => sum + ms, 0) / 4
  const sum = kernels.reduce((total, { ms }) => total + ms, 0)
  t.true(Math.abs(sum - threads * whole) < 0.01 * sum, `${sum} of ${threads} times ${whole}`)
  for (let thread = 0; thread < threads; thread++) {
    const mine = kernels.reduce((total, { byThread }) => total + (byThread[thread]?.ms ?? Number.NaN), 0)
    t.true(Math.abs(mine - whole) < 0.01 * whole, `thread ${thread}: ${mine} of ${whole}`)
  }
  // What the slices say is less than the iterations, and no slice is outside of all of them.
  for (const { begin, end, processor } of slices) {
    t.true(iterations.some(one => one.begin <= begin && begin <= end && end <= one.end))
    t.true(processor > 0)
  }
  const waiting = kernelOf(profiled, 'waiting').ms
  const working = slices.reduce((total, { begin, end }) => total + end - begin, 0) / 1e6 / 4
  t.true(waiting >= 0 && Math.abs(waiting + working - threads * whole) < 0.01 * sum)
  for (const name of ['neuron-update', 'recurrent-scatter', 'backward-recursion', 'gradient-gather'] as const) {
    t.true(kernelOf(profiled, name).ms > 0, name)
  }
})

test('time in which other processes run is told apart from work', async t => {
  const model = Model.create(smallNetwork())
  // Two other processes for each processor, so that the engine's thread is interrupted.
  const busy = [...cpus(), ...cpus()].map(() => spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }))
  t.teardown(() => {
    for (const child of busy) child.kill()
  })
  await Promise.all(busy.map(child => once(child, 'spawn')))
  const options = { rule: 'mdgl', ...quick, iterations: 400, every: 2, threads: 1 } as const
  const { kernels, iterations, slices } = await profile(model, eventBatch(), options)
  const work = slices.reduce((total, { processor }) => total + processor, 0) / 1e6 / iterations.length
  const all = kernels.reduce((total, { kernel, ms }) => total + (kernel === 'waiting' ? 0 : ms), 0)
  const preempted = kernels.find(({ kernel }) => kernel === 'preempted')?.ms ?? Number.NaN
  t.true(preempted > 0)
  t.true(Math.abs(all - preempted - work) < 0.01 * all, `${preempted} and ${work} of ${all} ms`)
  const mean = iterations.reduce((sum, one) => sum + one.preempted, 0) / iterations.length
  t.true(Math.abs(mean - preempted) < 0.05 * all, `${mean} and ${preempted} of ${all} ms`)
})

test('peaks are measured with one thread and with all', async t => {
  const model = Model.create(smallNetwork())
  const { peaks } = await profile(model, smallBatch(), { rule: 'eprop', loss, iterations: 1, threads: 2 })
  t.deepEqual(
    peaks.map(({ threads }) => threads),
    [1, 2]
  )
  for (const { operationsPerSecond, bandwidth } of peaks) {
    t.true(operationsPerSecond > 1e8)
    t.deepEqual(
      bandwidth.map(({ level }) => level),
      ['L1', 'L2', 'L3', 'memory']
    )
    t.true(bandwidth.every(({ bytesPerSecond }) => bytesPerSecond > 1e7))
  }
})

test('bad options are refused, by name', async t => {
  const model = Model.create(smallNetwork())
  const attempt = (options: object) => () => profile(model, smallBatch(), { rule: 'mdgl', ...quick, ...options })
  await rejectsInvalidAt(t, 'options.iterations', attempt({ iterations: 0 }))
  await rejectsInvalidAt(t, 'options.every', attempt({ every: 1.5 }))
  await rejectsInvalidAt(t, 'options.peaks', attempt({ peaks: 'no' }))
  await rejectsInvalidAt(t, 'options.step', attempt({ step: 3 }))
  await rejectsInvalidAt(t, 'options.threads', attempt({ threads: 0 }))
  await rejectsInvalidAt(t, 'options.loss', attempt({ loss: { kind: 'custom', evaluate: () => ({}) } }))
  await rejectsInvalidAt(t, 'optimiser.kind', attempt({ optimiser: { kind: 'sgd' } }))
  await rejectsInvalidAt(t, 'rule', () => profile(model, smallBatch(), { rule: 'mdlg' as never, ...quick }))
  await rejectsInvalidAt(t, 'rule.estimator', () => profile(model, smallBatch(), { rule: 'rtrl', ...quick }))
  const reason = { any: 'thing' }
  const aborted = profile(model, smallBatch(), { rule: 'mdgl', ...quick, signal: AbortSignal.abort(reason) })
  t.is(await aborted.catch((error: unknown) => error), reason as never)
  t.true((await profile(model, smallBatch(), { rule: 'mdgl', ...quick })).loss > 0)
})

interface Event {
  readonly name: string
  readonly ph: string
  readonly pid: number
  readonly tid: number
  readonly ts?: number
  readonly dur?: number
  readonly tdur?: number
  readonly args: Record<string, unknown>
}

/** What the Trace Event Format asks of complete events and names, and that slices of a track nest or follow one another. */
function checkTrace(t: ExecutionContext, trace: { traceEvents: readonly Event[] }, threads: number): void {
  const slices = trace.traceEvents.filter(({ ph }) => ph === 'X')
  for (const { name, pid, tid, ts = Number.NaN, dur = Number.NaN, tdur = 0, args } of slices) {
    t.true(tdur >= 0 && (name.startsWith('iteration') || (args.preempted as number) >= 0), name)
    t.true(typeof name === 'string' && Number.isInteger(pid) && Number.isInteger(tid) && tid < threads)
    t.true(ts >= 0 && dur >= 0)
  }
  const named = trace.traceEvents.filter(({ ph, name }) => ph === 'M' && name === 'thread_name')
  t.deepEqual(
    named.map(({ tid }) => tid),
    Array.from({ length: threads }, (_, tid) => tid)
  )
  t.true(slices.length + named.length + 1 === trace.traceEvents.length)
  for (let tid = 0; tid < threads; tid++) {
    const open: number[] = []
    const track = slices.filter(slice => slice.tid === tid)
    track.sort((a, b) => (a.ts ?? 0) - (b.ts ?? 0) || (b.dur ?? 0) - (a.dur ?? 0))
    for (const { ts = 0, dur = 0 } of track) {
      while ((open.at(-1) ?? Number.POSITIVE_INFINITY) <= ts + 1e-6) open.pop()
      t.true(ts + dur <= (open.at(-1) ?? Number.POSITIVE_INFINITY) + 1e-6)
      open.push(ts + dur)
    }
  }
}

test('a trace has one track per thread and a slice for each block and stage', async t => {
  const model = Model.create(smallNetwork())
  const profiled = await profile(model, eventBatch(), { rule: 'mdgl', ...quick, threads: 2 })
  const trace = traceProfile(profiled)
  checkTrace(t, trace as { traceEvents: readonly Event[] }, 2)
  const count = (name: string) => trace.traceEvents.filter(event => event.name === name).length
  // Two iterations of two blocks; the second holds three trials, which go forward and straight back one by one.
  t.deepEqual(['draw', 'simulate', 'judge', 'backward'].map(count), [4, 2 + 6, 2 + 6, 2 + 6])
  t.deepEqual(['iteration 1', 'iteration 2', 'iteration 3', 'optimise', 'rewire'].map(count), [1, 1, 0, 2, 2])
})

const FEW = ['--batch-size', '3', '--iterations', '2', '--threads', '2']

test('mdgl profile writes its report, a trace and a roofline', async t => {
  const folder = await temporaryFolder(t)
  const [trace, svg] = [join(folder, 'run.json'), join(folder, 'roofline.svg')]
  const { code, stdout, stderr } = await mdgl(
    'profile',
    'evidence-accumulation',
    ...FEW,
    '--trace',
    trace,
    '--roofline',
    svg
  )
  t.is(code, 0, stderr)
  t.regex(stdout, /^evidence-accumulation, mdgl, 2 threads, \w+, f32: \d+\.\d\d ms per iteration\n/)
  for (const row of ['neuron update', 'gradient gather', 'waiting', 'all threads together', 'multiply-adds, Gop/s']) {
    t.true(stdout.includes(`\n  ${row} `), row)
  }
  checkTrace(t, JSON.parse(await readFile(trace, 'utf8')), 2)
  const picture = await readFile(svg, 'utf8')
  for (const text of ['operations a byte', 'neuron update', 'L1, ', 'memory, ', 'GB/s'])
    t.true(picture.includes(text), text)
  t.is((await readFile(join(folder, 'roofline.png'))).subarray(1, 4).toString('latin1'), 'PNG')
})

test('mdgl profile --json prints one line, of a workload too', async t => {
  const { code, stdout, stderr } = await mdgl('profile', 'W3', ...FEW, '--json', '--no-peaks', '--rule', 'eprop')
  t.is(code, 0, stderr)
  const [line, ...more] = jsonLines(stdout)
  t.is(more.length, 0)
  t.like(line, { task: 'W3', rule: 'eprop', threads: 2, peaks: [] })
  t.is((line?.iterations as unknown[] | undefined)?.length, 2)
  t.false('slices' in (line ?? {}))
})

test('mdgl profile --compare puts instruction sets side by side', async t => {
  const only = await mdgl('profile', 'evidence-accumulation', '--compare', 'portable', ...FEW)
  t.is(only.code, 0, only.stderr)
  t.regex(only.stdout, /\n {2}kernel +portable, ms\n/)
  t.regex(only.stdout, /\n {2}an iteration, plain +\d/)
  const { code, stderr } = await mdgl('profile', 'evidence-accumulation', '--compare', 'portable,neon,avx512', ...FEW)
  if (process.arch === 'x64' || process.arch === 'arm64') {
    t.is(code, 1)
    t.regex(stderr, /MDGL_SIMD is (neon|avx512); allowed: on this processor: /)
  }
})

test('mdgl profile --flame says how to use perf on the same command', async t => {
  const { code, stdout } = await mdgl('profile', 'evidence-accumulation', '--rule', 'bptt', '--flame')
  t.is(code, 0)
  t.regex(stdout, /perf record .* profile evidence-accumulation --rule bptt /)
})

for (const [what, args, says] of [
  ['no task', [], /a task is missing; it must be one of evidence-accumulation/],
  ['an unknown task', ['evidence'], /the task is 'evidence'; it must be one of/],
  ['no iterations', ['W', '--iterations', '0'], /--iterations is '0'; it must be a whole number of at least 1/],
  ['a roofline that is no SVG', ['W', '--roofline', 'a.png'], /--roofline is 'a.png'; it must end in .svg/],
  ['a roofline without peaks', ['W', '--roofline', 'a.svg', '--no-peaks'], /--roofline needs the peaks/],
  ['a trace of a comparison', ['W', '--compare', 'avx2', '--trace', 'a'], /--trace is not for --compare/],
  ['an unknown instruction set', ['W', '--compare', 'avx2,mmx'], /--compare is 'mmx'; it must be one of avx512/]
] as const) {
  test(`profile usage: ${what} is one line on standard error and exit code 2`, async t => {
    const { code, stdout, stderr } = await mdgl('profile', ...args)
    t.is(code, 2)
    t.is(stdout, '')
    t.regex(stderr, says)
    t.is(stderr.trim().split('\n').length, 1)
  })
}
