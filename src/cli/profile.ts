import { writeFile } from 'node:fs/promises'
import { chooseInstructionSet, INSTRUCTION_SETS } from '../bench/instruction-set.js'
import { makeWork } from '../bench/work.js'
import { WORKLOAD_NAMES, type WorkloadName } from '../bench/workloads.js'
import { Model } from '../model/model.js'
import type { ProfileRun } from '../profile/figures.js'
import { profile } from '../profile/profile.js'
import { traceProfile } from '../profile/trace.js'
import { type RuleName, ruleNames } from '../rule/rule.js'
import { builtInTask, TASK_NAMES, type TaskName } from '../runs/tasks.js'
import type { Batch } from '../task/batch.js'
import type { Optimiser } from '../task/optimiser.js'
import { makeBatch, type Task } from '../task/task.js'
import { type Arguments, known, refuse, split, text, threadsOf, UsageError, whole, word, words } from './arguments.js'
import { flameHelp } from './flame.js'
import { PROFILE_HELP } from './help.js'
import { interruptible } from './interrupt.js'
import { compareSets } from './profile-compare.js'
import { readableProfile } from './profile-report.js'

export const PROFILE_OPTIONS = {
  rule: { type: 'string' },
  threads: { type: 'string' },
  simd: { type: 'string' },
  iterations: { type: 'string' },
  every: { type: 'string' },
  'batch-size': { type: 'string' },
  seed: { type: 'string' },
  precision: { type: 'string' },
  trace: { type: 'string' },
  roofline: { type: 'string' },
  compare: { type: 'string' },
  'no-peaks': { type: 'boolean' },
  flame: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
} as const

/** `mdgl profile TASK`: where the time of a training iteration goes. */
export async function profileCommand(args: readonly string[]): Promise<number> {
  const given = split(args, PROFILE_OPTIONS)
  if (given.options.help) {
    console.log(PROFILE_HELP)
    return 0
  }
  const name = nameOf(given.rest)
  const rule = word(given, 'rule', ruleNames) ?? 'mdgl'
  if (given.options.flame) {
    refuse(
      given,
      Object.keys(PROFILE_OPTIONS).filter(option => option !== 'flame' && option !== 'rule'),
      'a profile'
    )
    console.log(flameHelp(name, rule))
    return 0
  }
  const sets = words(given, 'compare', INSTRUCTION_SETS)
  if (sets !== undefined) return compareSets(sets, argumentsOfOne(given, name), given.options.json === true)
  const simd = word(given, 'simd', INSTRUCTION_SETS)
  if (simd !== undefined) chooseInstructionSet(simd)
  const roofline = rooflinePath(given)
  const { result: run, exitCode } = await interruptible(signal => profileTask(given, name, rule, signal))
  if (run === undefined) return exitCode
  await writeFiles(run, text(given, 'trace'), roofline)
  const { slices, iterations, ...rest } = run
  console.log(given.options.json === true ? JSON.stringify({ ...rest, iterations: times(run) }) : readableProfile(run))
  return 0
}

type Name = TaskName | WorkloadName

function nameOf([name, ...more]: readonly string[]): Name {
  const names: readonly Name[] = [...TASK_NAMES, ...WORKLOAD_NAMES]
  if (name === undefined) throw new UsageError(`a task is missing; it must be one of ${names.join(', ')}`)
  if (more.length > 0) throw new UsageError(`'${more[0]}' is one argument too many`)
  return known(name, 'the task', names)
}

function rooflinePath(given: Arguments): string | undefined {
  const path = text(given, 'roofline')
  if (path === undefined) return undefined
  if (!path.endsWith('.svg')) throw new UsageError(`--roofline is '${path}'; it must end in .svg`)
  if (given.options['no-peaks']) throw new UsageError('--roofline needs the peaks: leave --no-peaks out')
  return path
}

/** What one run of a comparison is called with. */
function argumentsOfOne(given: Arguments, name: Name): string[] {
  for (const other of ['simd', 'trace', 'roofline']) {
    if (given.options[other] !== undefined) throw new UsageError(`--${other} is not for --compare`)
  }
  const kept = ['rule', 'threads', 'iterations', 'every', 'batch-size', 'seed', 'precision'].flatMap(option => {
    const value = text(given, option)
    return value === undefined ? [] : [`--${option}`, value]
  })
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
  given: Arguments,
  name: Name,
  rule: RuleName,
  signal: AbortSignal
): Promise<ProfileRun | undefined> {
  const seed = whole(given, 'seed', 0) ?? 1
  const { model, task, optimiser, batch } = await workOf(given, name, seed)
  const { loss, regulariser } = task
  try {
    const profiled = await profile(model, batch, {
      rule,
      loss,
      regulariser,
      optimiser,
      seed,
      threads: threadsOf(given),
      iterations: whole(given, 'iterations', 1),
      every: whole(given, 'every', 1),
      peaks: !given.options['no-peaks'],
      signal
    })
    return { task: name, rule, ...profiled }
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

async function workOf(given: Arguments, name: Name, seed: number): Promise<Work> {
  const size = whole(given, 'batch-size', 1)
  const precision = word(given, 'precision', ['f32', 'f64'] as const) ?? 'f32'
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
  return iterations.map(({ profiled, plain }) => ({ profiled, plain }))
}
