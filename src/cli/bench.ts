import { guard, native } from '../addon/native.js'
import { type Costs, measureBoth, PASSES } from '../bench/against.js'
import { countEvents } from '../bench/counts.js'
import { exportWork } from '../bench/export.js'
import { chooseInstructionSet, instructionSet } from '../bench/instruction-set.js'
import { type MeasureOptions, measure } from '../bench/measure.js'
import { makeWork, type Work } from '../bench/work.js'
import { type Overrides, PAPER, WORKLOAD_NAMES, type WorkloadName } from '../bench/workloads.js'
import { defineCommand } from './command.js'
import { PUBLISHED_RULE, SIMD, THREADS } from './common-options.js'
import {
  choice,
  flag,
  type Given,
  known,
  noArgument,
  oneArgument,
  positive,
  refuse,
  UsageError,
  whole,
  words
} from './options.js'

const REPEATS = 7
/** Rounds of a comparison: its times are the shortest, and more of them find shorter ones. */
const ROUNDS = 20
const WARM_UP = 2

const OPTIONS = {
  rule: PUBLISHED_RULE,
  threads: THREADS,
  simd: SIMD,
  repeats: whole(
    'N',
    `iterations to time, of which the median counts (default ${REPEATS}, after ${WARM_UP} that do not)`,
    1
  ),
  against: choice(
    'WORKLOAD',
    `run both workloads in turns, and print the processor time of each per neuron update: forward, with the gradient and in two kernels, the least of --repeats rounds (default ${ROUNDS}), and the ratios`,
    WORKLOAD_NAMES
  ),
  seed: whole('N', 'seed of weights, inputs and targets (default 1)', 0),
  neurons: whole('N', "cells, in place of the workload's own", 2),
  steps: whole('N', "steps of a trial, in place of the workload's own", 1),
  'batch-size': whole('N', "trials in a batch, in place of the workload's own", 1),
  density: positive('X', "share of synapses that exist, in place of the workload's own", 1),
  export: choice(
    'WORKLOAD',
    'write the workload to --out as JSON for other libraries instead of timing it',
    WORKLOAD_NAMES
  ),
  out: words('FILE', 'the file of --export'),
  json: flag('one JSON line')
}

/** `mdgl bench WORKLOAD`: times whole training iterations; `--against` compares two workloads, `--export` writes the workload for other libraries. */
export const benchCommand = defineCommand({
  summary: 'time training iterations: forward, gradient and Adam',
  usage: [
    '<workload> [options]',
    '<workload> --against <workload> [options]',
    '--export <workload> --out FILE [options]'
  ],
  details: `Workloads: ${WORKLOAD_NAMES.join(', ')}
  W        40 inputs, 50 LIF and 50 ALIF cells, 2000 steps, 64 trials, density 0.1, 2 classes, plain Adam
  W2       the same with 400 cells and 1000 steps
  W3       20 inputs, 400 cells, 2000 steps, 1 trial, 3 outputs, squared error at every step
  W-paper  Fig. 3C itself: evidence accumulation with Dale's law, l1 and rewiring; takes --batch-size alone
  W-dense  W at density 1
  W-silent W with input in the first 20 ms alone and the other weights near 0, so that all state decays to 0
  W-faint  W with readout weights near 0, so that learning signals are near 0, too`,
  options: OPTIONS,
  examples: [
    'mdgl bench W --rule mdgl --threads 2',
    'mdgl bench W --rule bptt --simd avx2 --json',
    'mdgl bench W-silent --against W --threads 1',
    'mdgl bench --export W2 --out w2.json'
  ],
  words: WORKLOAD_NAMES,
  async run(given) {
    const { simd, export: exported, against, out } = given.options
    if (simd !== undefined) chooseInstructionSet(simd)
    if (exported !== undefined && against !== undefined) throw new UsageError('--against is not for --export')
    if (exported === undefined) refuse(given, ['out'], '--export')
    else refuse(given, ['rule', 'threads', 'simd', 'repeats', 'json'], 'a workload to time')
    if (against !== undefined) return compare(given, against)
    if (exported === undefined) return time(given)
    noArgument(given.rest)
    if (out === undefined) throw new UsageError('--export needs --out, the file to write')
    await exportWork(await workOf(given, exported), out)
    return 0
  }
})

type Chosen = Given<typeof OPTIONS>

async function time(given: Chosen): Promise<number> {
  const options = measureOptions(given, REPEATS)
  const result = await timeWork(await workOf(given, workloadArgument(given.rest)), options)
  console.log(given.options.json ? JSON.stringify(result) : readable(result))
  return 0
}

function measureOptions({ options }: Chosen, repeats: number): MeasureOptions {
  return {
    rule: options.rule ?? 'mdgl',
    threads: options.threads ?? guard(() => native.defaultThreads()),
    repeats: options.repeats ?? repeats,
    warmUp: WARM_UP
  }
}

/** Two workloads in turns: what each takes a neuron update, and the ratios. */
async function compare(given: Chosen, against: WorkloadName): Promise<number> {
  const options = measureOptions(given, ROUNDS)
  const work = await workOf(given, workloadArgument(given.rest))
  const [costs, others] = await measureBoth(work, await workOf(given, against), options)
  const ratio = Object.fromEntries(PASSES.map(pass => [pass, costs[pass] / others[pass]])) as Costs
  const { rule, threads, repeats } = options
  const head = { workload: work.name, against, rule, threads, simd: instructionSet(), repeats, seed: work.seed }
  const result = { ...head, nsPerUpdate: costs, nsPerUpdateAgainst: others, ratio }
  console.log(given.options.json ? JSON.stringify(result) : readableComparison(result))
  return 0
}

type Head = Readonly<Record<'workload' | 'against' | 'rule' | 'simd', string>> & { threads: number; repeats: number }
type Comparison = Head & Readonly<Record<'nsPerUpdate' | 'nsPerUpdateAgainst' | 'ratio', Costs>>

function readableComparison(result: Comparison): string {
  const { workload, against, rule, threads, simd, repeats, nsPerUpdate, nsPerUpdateAgainst, ratio } = result
  return [
    `${workload} against ${against}, ${rule}, ${threadCount(threads)}, ${simd}: processor ns per neuron update, least of ${repeats} in turns`,
    ...PASSES.map(pass => {
      const [ours, theirs] = [nsPerUpdate, nsPerUpdateAgainst].map(costs => costs[pass].toFixed(3).padStart(8))
      return `  ${pass.padEnd(18)} ${ours} ${theirs}   ratio ${ratio[pass].toFixed(3)}`
    })
  ].join('\n')
}

const threadCount = (threads: number) => `${threads} thread${threads === 1 ? '' : 's'}`

/** The line of `--json`; `engineMs` is the engine's own part, `facadeRatio` the whole over it, `peakMegabytes` the most that the process held in these iterations; rates are of neurons and synapses of the forward pass over the whole iteration. */
async function timeWork(work: Work, options: MeasureOptions) {
  const counts = await countEvents(work)
  const { median, min, max, engine, facadeRatio, peakMegabytes } = await measure(work, options)
  return {
    workload: work.name,
    rule: options.rule,
    threads: options.threads,
    simd: instructionSet(),
    msPerIteration: median,
    min,
    max,
    engineMs: engine,
    facadeRatio,
    peakMegabytes,
    repeats: options.repeats,
    neuronUpdatesPerSecond: (counts.neuronUpdates / median) * 1000,
    synapticEventsPerSecond: (counts.synapticEvents / median) * 1000,
    ...counts,
    batch: work.task.batchSize,
    seed: work.seed
  }
}

function readable(result: Awaited<ReturnType<typeof timeWork>>): string {
  const { workload, rule, threads, simd, msPerIteration, min, max, repeats, engineMs, facadeRatio } = result
  return [
    `${workload}, ${rule}, ${threadCount(threads)}, ${simd}: ${msPerIteration.toFixed(2)} ms per iteration`,
    `  median of ${repeats}, from ${min.toFixed(2)} to ${max.toFixed(2)} ms`,
    `  the engine's own part ${engineMs.toFixed(2)} ms; the whole takes ${facadeRatio.toFixed(3)} times that`,
    `  ${million(result.neuronUpdatesPerSecond)} neuron updates/s, ${million(result.synapticEventsPerSecond)} synaptic events/s`,
    `  the process held at most ${result.peakMegabytes.toFixed(0)} MB meanwhile`
  ].join('\n')
}

const million = (value: number) => `${(value / 1e6).toFixed(1)} million`

function workloadArgument(rest: readonly string[]): WorkloadName {
  const name = oneArgument(rest, `a workload is missing; it must be one of ${WORKLOAD_NAMES.join(', ')}`)
  return known(name, 'the workload', WORKLOAD_NAMES)
}

function workOf({ options }: Chosen, name: WorkloadName): Promise<Work> {
  const { neurons, steps, 'batch-size': batch, density } = options
  const overrides = { neurons, steps, batch, density }
  refuseForPaper(name, overrides)
  return makeWork(name, options.seed ?? 1, overrides)
}

function refuseForPaper(name: WorkloadName, { neurons, steps, density }: Overrides): void {
  if (name !== PAPER) return
  const set = Object.entries({ neurons, steps, density }).find(([, value]) => value !== undefined)
  if (set !== undefined) throw new UsageError(`--${set[0]} is not for ${PAPER}, which is Fig. 3C as it is`)
}
