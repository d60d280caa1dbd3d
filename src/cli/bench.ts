import { guard, native } from '../addon/native.js'
import { type Costs, measureBoth, PASSES } from '../bench/against.js'
import { countEvents } from '../bench/counts.js'
import { exportWork } from '../bench/export.js'
import { chooseInstructionSet, INSTRUCTION_SETS, instructionSet } from '../bench/instruction-set.js'
import { type MeasureOptions, measure } from '../bench/measure.js'
import { makeWork, type Work } from '../bench/work.js'
import { type Overrides, PAPER, WORKLOAD_NAMES, type WorkloadName } from '../bench/workloads.js'
import { ruleNames } from '../rule/rule.js'
import {
  type Arguments,
  known,
  positive,
  refuse,
  split,
  text,
  threadsOf,
  UsageError,
  whole,
  word
} from './arguments.js'
import { BENCH_HELP } from './help.js'

export const BENCH_OPTIONS = {
  rule: { type: 'string' },
  threads: { type: 'string' },
  simd: { type: 'string' },
  repeats: { type: 'string' },
  seed: { type: 'string' },
  neurons: { type: 'string' },
  steps: { type: 'string' },
  'batch-size': { type: 'string' },
  density: { type: 'string' },
  against: { type: 'string' },
  export: { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
} as const

const REPEATS = 7
/** Rounds of a comparison: its times are the shortest, and more of them find shorter ones. */
const ROUNDS = 20
const WARM_UP = 2

/** `mdgl bench WORKLOAD`: times whole training iterations; `--against` compares two workloads, `--export` writes the workload for other libraries. */
export async function benchCommand(args: readonly string[]): Promise<number> {
  const given = split(args, BENCH_OPTIONS)
  if (given.options.help) {
    console.log(BENCH_HELP)
    return 0
  }
  const simd = word(given, 'simd', INSTRUCTION_SETS)
  if (simd !== undefined) chooseInstructionSet(simd)
  const exported = text(given, 'export')
  const other = text(given, 'against')
  if (exported !== undefined && other !== undefined) throw new UsageError('--against is not for --export')
  if (exported === undefined) refuse(given, ['out'], '--export')
  else refuse(given, ['rule', 'threads', 'simd', 'repeats', 'json'], 'a workload to time')
  if (other !== undefined) return compare(given, known(other, '--against', WORKLOAD_NAMES))
  if (exported === undefined) return time(given)
  if (given.rest.length > 0) throw new UsageError(`'${given.rest[0]}' is one argument too many`)
  const path = text(given, 'out')
  if (path === undefined) throw new UsageError('--export needs --out, the file to write')
  await exportWork(await workOf(given, known(exported, '--export', WORKLOAD_NAMES)), path)
  return 0
}

async function time(given: Arguments): Promise<number> {
  const options = measureOptions(given, REPEATS)
  const result = await timeWork(await workOf(given, workloadArgument(given.rest)), options)
  console.log(given.options.json === true ? JSON.stringify(result) : readable(result))
  return 0
}

function measureOptions(given: Arguments, repeats: number): MeasureOptions {
  return {
    rule: word(given, 'rule', ruleNames) ?? 'mdgl',
    threads: threadsOf(given) ?? guard(() => native.defaultThreads()),
    repeats: whole(given, 'repeats', 1) ?? repeats,
    warmUp: WARM_UP
  }
}

/** Two workloads in turns: what each takes a neuron update, and the ratios. */
async function compare(given: Arguments, against: WorkloadName): Promise<number> {
  const options = measureOptions(given, ROUNDS)
  const work = await workOf(given, workloadArgument(given.rest))
  const [costs, others] = await measureBoth(work, await workOf(given, against), options)
  const ratio = Object.fromEntries(PASSES.map(pass => [pass, costs[pass] / others[pass]])) as Costs
  const { rule, threads, repeats } = options
  const head = { workload: work.name, against, rule, threads, simd: instructionSet(), repeats, seed: work.seed }
  const result = { ...head, nsPerUpdate: costs, nsPerUpdateAgainst: others, ratio }
  console.log(given.options.json === true ? JSON.stringify(result) : readableComparison(result))
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
  const [name, ...more] = rest
  if (name === undefined) throw new UsageError(`a workload is missing; it must be one of ${WORKLOAD_NAMES.join(', ')}`)
  if (more.length > 0) throw new UsageError(`'${more[0]}' is one argument too many`)
  return known(name, 'the workload', WORKLOAD_NAMES)
}

function workOf(given: Arguments, name: WorkloadName): Promise<Work> {
  const overrides = {
    neurons: whole(given, 'neurons', 2),
    steps: whole(given, 'steps', 1),
    batch: whole(given, 'batch-size', 1),
    density: densityOf(given)
  }
  refuseForPaper(name, overrides)
  return makeWork(name, whole(given, 'seed', 0) ?? 1, overrides)
}

function densityOf(given: Arguments): number | undefined {
  const density = positive(given, 'density')
  if (density !== undefined && density > 1) throw new UsageError(`--density is '${density}'; it must be at most 1`)
  return density
}

function refuseForPaper(name: WorkloadName, { neurons, steps, density }: Overrides): void {
  if (name !== PAPER) return
  const set = Object.entries({ neurons, steps, density }).find(([, value]) => value !== undefined)
  if (set !== undefined) throw new UsageError(`--${set[0]} is not for ${PAPER}, which is Fig. 3C as it is`)
}
