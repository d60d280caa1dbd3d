import { writeFile } from 'node:fs/promises'
import { chooseInstructionSet, INSTRUCTION_SETS } from '../bench/instruction-set.js'
import { makeWork } from '../bench/work.js'
import { WORKLOAD_NAMES, type WorkloadName } from '../bench/workloads.js'
import { Model } from '../model/model.js'
import type { ProfileRun } from '../profile/figures.js'
import { profile } from '../profile/profile.js'
import { traceProfile } from '../profile/trace.js'
import type { RuleName } from '../rule/rule.js'
import { builtInTask, TASK_NAMES, type TaskName } from '../runs/tasks.js'
import type { Precision } from '../support/precision.js'
import type { Batch } from '../task/batch.js'
import type { Optimiser } from '../task/optimiser.js'
import { makeBatch, type Task } from '../task/task.js'
import { defineCommand } from './command.js'
import { BATCH_SIZE, PRECISION, PUBLISHED_RULE, SIMD, THREADS } from './common-options.js'
import { flameHelp } from './flame.js'
import { interruptible } from './interrupt.js'
import { choiceList, file, flag, type Given, known, oneArgument, refuse, UsageError, whole, words } from './options.js'
import { compareSets } from './profile-compare.js'
import { readableProfile } from './profile-report.js'

const OPTIONS = {
  rule: PUBLISHED_RULE,
  threads: THREADS,
  simd: SIMD,
  iterations: whole('N', 'profiled iterations (default 20; as many plain ones run in between)', 1),
  every: whole('N', 'time one step in N (default 32)', 1),
  'batch-size': BATCH_SIZE,
  seed: whole('N', 'seed of network and batch (default 1)', 0),
  precision: PRECISION,
  trace: words('FILE', 'write a trace for Perfetto (ui.perfetto.dev) or chrome://tracing: one track per thread'),
  roofline: file('FILE.svg', 'draw the kernels under the peaks of the machine, as SVG and PNG', ['.svg']),
  compare: choiceList('SETS', 'instruction sets side by side, each in its own process', INSTRUCTION_SETS),
  flame: flag('how to see functions and source lines with perf'),
  'no-peaks': flag('do not measure the machine'),
  json: flag('one JSON line (with --compare one per set)')
}

type Chosen = Given<typeof OPTIONS>

/** `mdgl profile TASK`: where the time of a training iteration goes. */
export const profileCommand = defineCommand({
  summary: 'time of a training iteration, kernel by kernel',
  usage: ['<task> [options]'],
  details: `Tasks: ${TASK_NAMES.join(', ')}
and the workloads of \`mdgl bench\`: ${WORKLOAD_NAMES.join(', ')}

Training iterations run on one batch from the same weights, in turns with and without the probes. For each kernel: ms per iteration with its sampling error, calls, neuron updates, synaptic events, bytes and operations, and the rates reached beside the measured peaks of the machine. docs/profiling.md explains how to read it.`,
  options: OPTIONS,
  examples: [
    'mdgl profile evidence-accumulation --rule mdgl --threads 2 --trace run.json',
    'mdgl profile evidence-accumulation --rule mdgl --roofline roofline.svg',
    'mdgl profile W2 --rule bptt --threads 1 --compare avx2,avx512'
  ],
  words: [...TASK_NAMES, ...WORKLOAD_NAMES],
  async run(given) {
    const { rule = 'mdgl', flame, compare, simd, trace, roofline, json = false, 'no-peaks': noPeaks } = given.options
    const name = nameOf(given.rest)
    if (flame) {
      const others = Object.keys(OPTIONS).filter(option => option !== 'flame' && option !== 'rule')
      refuse(given, others, 'a profile')
      console.log(flameHelp(name, rule))
      return 0
    }
    if (compare !== undefined) return compareSets(compare, argumentsOfOne(given, name), json)
    if (simd !== undefined) chooseInstructionSet(simd)
    if (roofline !== undefined && noPeaks) throw new UsageError('--roofline needs the peaks: leave --no-peaks out')
    const { result: run, exitCode } = await interruptible(signal => profileTask(given, name, rule, signal))
    if (run === undefined) return exitCode
    await writeFiles(run, trace, roofline)
    const { slices, iterations, ...rest } = run
    console.log(json ? JSON.stringify({ ...rest, iterations: times(run) }) : readableProfile(run))
    return 0
  }
})

type Name = TaskName | WorkloadName

function nameOf(rest: readonly string[]): Name {
  const names: readonly Name[] = [...TASK_NAMES, ...WORKLOAD_NAMES]
  return known(oneArgument(rest, `a task is missing; it must be one of ${names.join(', ')}`), 'the task', names)
}

/** What one run of a comparison is called with. */
function argumentsOfOne({ options }: Chosen, name: Name): string[] {
  for (const other of ['simd', 'trace', 'roofline'] as const) {
    if (options[other] !== undefined) throw new UsageError(`--${other} is not for --compare`)
  }
  const passed = ['rule', 'threads', 'iterations', 'every', 'batch-size', 'seed', 'precision'] as const
  const kept = passed.flatMap(option => (options[option] === undefined ? [] : [`--${option}`, `${options[option]}`]))
  return ['profile', name, ...kept, '--no-peaks', '--json']
}

/** A network, a batch and what they are trained with. */
interface Work {
  readonly model: Model
  readonly task: Task
  readonly optimiser: Optimiser | undefined
  readonly batch: Batch
}

async function profileTask(
  { options }: Chosen,
  name: Name,
  rule: RuleName,
  signal: AbortSignal
): Promise<ProfileRun | undefined> {
  const { seed = 1, threads, iterations, every, precision = 'f32', 'batch-size': size } = options
  const { model, task, optimiser, batch } = await workOf(name, seed, precision, size)
  const { loss, regulariser } = task
  try {
    const profiled = await profile(model, batch, {
      rule,
      loss,
      regulariser,
      optimiser,
      seed,
      threads,
      iterations,
      every,
      peaks: !options['no-peaks'],
      signal
    })
    return { task: name, rule, ...profiled }
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

async function workOf(name: Name, seed: number, precision: Precision, size: number | undefined): Promise<Work> {
  if (isWorkload(name)) {
    const { model, task, batch } = await makeWork(name, seed, { batch: size })
    const same = precision === 'f32' ? model : Model.create(model.description, { precision })
    return { model: same, task, optimiser: task.optimiser, batch }
  }
  const task = builtInTask(name)
  const batch = await makeBatch(task, { split: 'train', size: size ?? task.batchSize, seed })
  return { model: Model.create(task.network({ seed }), { precision }), task, optimiser: task.optimiser, batch }
}

function isWorkload(name: Name): name is WorkloadName {
  return (WORKLOAD_NAMES as readonly string[]).includes(name)
}

async function writeFiles(run: ProfileRun, trace: string | undefined, roofline: string | undefined): Promise<void> {
  if (trace !== undefined) await writeFile(trace, `${JSON.stringify(traceProfile(run))}\n`)
  if (roofline === undefined) return
  const [{ drawRoofline }, { toPng }] = await Promise.all([import('../plots/roofline.js'), import('../plots/png.js')])
  const svg = drawRoofline(run)
  await writeFile(roofline, svg)
  await writeFile(roofline.replace(/\.svg$/, '.png'), toPng(svg))
}

/** ms of the iterations; where they stand on the clock is for the trace. */
function times({ iterations }: ProfileRun) {
  return iterations.map(({ profiled, preempted, plain }) => ({ profiled, preempted, plain }))
}
