import { availableParallelism } from 'node:os'
import { countEvents } from '../bench/counts.js'
import { exportWork } from '../bench/export.js'
import { chooseInstructionSet, INSTRUCTION_SETS, instructionSet } from '../bench/instruction-set.js'
import { type MeasureOptions, measure } from '../bench/measure.js'
import { makeWork, type Work } from '../bench/work.js'
import { type Overrides, PAPER, WORKLOAD_NAMES, type WorkloadName } from '../bench/workloads.js'
import { ruleNames } from '../rule.js'
import { type Arguments, known, positive, split, text, UsageError, whole, word } from './arguments.js'
import { BENCH_HELP } from './help.js'

const OPTIONS = {
  rule: { type: 'string' },
  threads: { type: 'string' },
  simd: { type: 'string' },
  repeats: { type: 'string' },
  seed: { type: 'string' },
  neurons: { type: 'string' },
  steps: { type: 'string' },
  batch: { type: 'string' },
  density: { type: 'string' },
  export: { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
} as const

const REPEATS = 7
const WARM_UP = 2

/** `mdgl bench WORKLOAD`: times whole training iterations; `--export` writes the workload for other libraries. */
export async function benchCommand(args: readonly string[]): Promise<number> {
  const given = split(args, OPTIONS)
  if (given.options.help) {
    console.log(BENCH_HELP)
    return 0
  }
  const simd = word(given, 'simd', INSTRUCTION_SETS)
  if (simd !== undefined) chooseInstructionSet(simd)
  const exported = text(given, 'export')
  if (exported === undefined) return time(given)
  if (given.rest.length > 0) throw new UsageError(`'${given.rest[0]}' is one argument too many`)
  const path = text(given, 'out')
  if (path === undefined) throw new UsageError('--export needs --out, the file to write')
  await exportWork(await workOf(given, known(exported, '--export', WORKLOAD_NAMES)), path)
  return 0
}

async function time(given: Arguments): Promise<number> {
  const options: MeasureOptions = {
    rule: word(given, 'rule', ruleNames) ?? 'mdgl',
    threads: whole(given, 'threads', 1) ?? availableParallelism(),
    repeats: whole(given, 'repeats', 1) ?? REPEATS,
    warmUp: WARM_UP
  }
  const result = await timeWork(await workOf(given, workloadArgument(given.rest)), options)
  console.log(given.options.json === true ? JSON.stringify(result) : readable(result))
  return 0
}

/** The line of `--json`; `engineMs` is the engine's own part, `facadeRatio` the whole over it; rates are of neurons and synapses of the forward pass over the whole iteration. */
async function timeWork(work: Work, options: MeasureOptions) {
  const counts = await countEvents(work)
  const { median, min, max, engine, facadeRatio } = await measure(work, options)
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
  const count = `${threads} thread${threads === 1 ? '' : 's'}`
  return [
    `${workload}, ${rule}, ${count}, ${simd}: ${msPerIteration.toFixed(2)} ms an iteration`,
    `  median of ${repeats}, from ${min.toFixed(2)} to ${max.toFixed(2)} ms`,
    `  the engine's own part ${engineMs.toFixed(2)} ms; the whole takes ${facadeRatio.toFixed(3)} times that`,
    `  ${million(result.neuronUpdatesPerSecond)} neuron updates/s, ${million(result.synapticEventsPerSecond)} synaptic events/s`
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
    batch: whole(given, 'batch', 1),
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
