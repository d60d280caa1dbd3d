import type { PendingBatch } from '#native'
import type { PlannedRule } from '../rule/planned-rule.js'
import { unlessAborted } from '../support/abort.js'
import { callable, object, ownMemory } from '../support/check.js'
import { invalid, MdglError } from '../support/error.js'
import { isUint8Array } from '../support/recognise.js'
import type { Objective } from '../task/objective.js'
import { checkShare, type Share } from '../task/task.js'
import type { EncodedBatch } from './encode-batch.js'
import type { Session } from './engine-session.js'

/** The path of what a collective's own function gave. */
const GATHERED = 'options.collective.allGather()'

/**
 * Processes that train one model together: each computes a share of every batch, and messages go to all. The package
 * `mdgl-mpi` makes one of the processes that `mpirun` starts; any other way to carry bytes will do.
 *
 * @example
 * ```ts
 * const alone: Collective = { rank: 0, size: 1, allGather: async message => [message] };
 * for await (const { iteration, loss } of train(model, task, { rule: 'mdgl', iterations: 2, collective: alone })) {
 *   console.log(iteration, loss);
 * }
 * ```
 */
export interface Collective extends Share {
  /**
   * Sends a message to all. Every process calls it equally often, and one call is on its way at a time.
   *
   * @param message - What this process has to say.
   * @returns What all have said, this one too, in the order of their numbers. A rejection ends the training.
   */
  allGather(message: Uint8Array): Promise<readonly Uint8Array[]>
  /**
   * Gives every process one message that was merged from those of all: with hundreds of processes each then reads a few messages instead of
   * hundreds. Where it is missing, messages go by {@link Collective.allGather}; results have the same bits.
   *
   * @param message - What this process has to say.
   * @param merge - Makes one message of two, of neighbouring processes or of groups of these, the lower numbers left; in whatever groups,
   * the result is the same. It never rejects.
   * @returns The merged message of all processes, the same for each. A rejection ends the training.
   */
  allReduce?(message: Uint8Array, merge: MergeMessages): Promise<Uint8Array>
}

/** Makes one message of those of two neighbouring groups of processes; see {@link Collective.allReduce}. */
export type MergeMessages = (left: Uint8Array, right: Uint8Array) => Promise<Uint8Array>

/**
 * Checks a collective, and that what is to be computed can be shared.
 *
 * @internal
 */
export function checkCollective(
  given: Collective | undefined,
  objective: Objective,
  rule: Pick<PlannedRule, 'custom'>
): Collective | undefined {
  if (given === undefined) return undefined
  const collective = object(given, 'options.collective')
  callable(collective.allGather, 'options.collective.allGather')
  if (collective.allReduce !== undefined) callable(collective.allReduce, 'options.collective.allReduce')
  checkShare(collective, 'options.collective')
  if (objective.custom) throw invalid('loss', 'custom', 'with a collective: a built-in loss')
  if (rule.custom !== undefined)
    throw invalid('options.rule', rule.custom, 'with a collective: a rule that is not of defineRule')
  return collective
}

/**
 * Refuses to start where processes were given different options: one of them would end before the others, which would wait.
 */
export async function agree(collective: Collective, settings: Settings, signal: AbortSignal): Promise<void> {
  const own = new TextEncoder().encode(JSON.stringify(settings))
  const all = await gather(collective, own, signal)
  for (const [rank, bytes] of all.entries()) {
    const theirs = parseSettings(bytes, rank)
    for (const [name, value] of Object.entries(settings)) {
      const other = JSON.stringify(theirs[name])
      if (other !== JSON.stringify(value))
        throw invalid(`options.${name}`, value, `what rank ${rank} was given (${other})`)
    }
  }
}

/** Options of a training by name. */
type Settings = { readonly [name: string]: unknown }

function parseSettings(bytes: Uint8Array, rank: number): Settings {
  try {
    return object(JSON.parse(new TextDecoder().decode(bytes)), `${GATHERED}[${rank}]`)
  } catch {
    throw invalid(`${GATHERED}[${rank}]`, bytes, 'the message of a rank that begins to train')
  }
}

/** What processes compute together. */
interface SharedJob {
  readonly objective: Objective
  readonly collective: Collective
  readonly signal: AbortSignal | undefined
  /** Whether it is a training step, else an evaluation. */
  readonly step: boolean
}

/**
 * The number of windows of each loss's targets in the whole batch, over which its loss is a mean. Processes that make their own trials
 * alone tell it each other, where a loss has any.
 */
async function countWindows(
  { windows }: EncodedBatch,
  { terms }: Objective,
  { collective, signal }: Pick<SharedJob, 'collective' | 'signal'>
): Promise<number[]> {
  const own = Array.from(windows)
  if (!terms.some(({ kind }) => kind === 'windowed-cross-entropy')) return own
  const all = await gather(collective, new Uint8Array(Float64Array.from(own).buffer), signal)
  const counts = all.map((bytes, rank) => {
    if (bytes.byteLength !== 8 * own.length)
      throw invalid(`${GATHERED}[${rank}]`, bytes, 'the number of windows at each readout')
    return new Float64Array(bytes.slice().buffer)
  })
  return own.map((_, term) => counts.reduce((sum, count) => sum + (count[term] ?? 0), 0))
}

/**
 * A training step or an evaluation of which every process computes a share; the result is the same on each.
 *
 * @internal
 */
export async function computeTogether(
  session: Session,
  encoded: EncodedBatch,
  { objective, collective, signal, step }: SharedJob
) {
  const { rank, size } = collective
  const { handle, range } = encoded
  const windows = range === undefined ? [] : await countWindows(encoded, objective, { collective, signal })
  const whole = range === undefined ? undefined : { trials: range.of, windows }
  let state = await session.run(engine => engine.share(handle, { rank, size }, step, whole))
  while (state.pending !== undefined) {
    const { pending, message } = state
    const own = given(message, 'message')
    const messages =
      collective.allReduce === undefined
        ? await gather(collective, own, signal)
        : [await reduce(collective, own, mergeWith(session, pending), signal)]
    state = await session.run(() => pending.proceed(messages))
  }
  return state
}

/** First byte of what stands for an error in place of a message, whose first byte is its version. */
const REFUSED = 0

/** The engine's merge; its errors travel on in place of the message, so that they reach all processes. */
function mergeWith(session: Session, pending: PendingBatch): MergeMessages {
  const part = (bytes: Uint8Array) => {
    if (!isUint8Array(bytes))
      throw invalid('options.collective.allReduce', bytes, 'merge(left, right) with a Uint8Array each')
    return ownMemory(bytes, 'options.collective.allReduce')
  }
  return async (left, right) => {
    try {
      const refused = [part(left), part(right)].find(([first]) => first === REFUSED)
      return refused ?? (await session.run(() => pending.merge(left, right)))
    } catch (error) {
      const { code = 'internal', message, path, allowed } = error as MdglError
      const text = JSON.stringify({ code, message, path, allowed })
      return Uint8Array.of(REFUSED, ...new TextEncoder().encode(text))
    }
  }
}

async function reduce(
  collective: Collective,
  message: Uint8Array,
  merge: MergeMessages,
  signal: AbortSignal | undefined
): Promise<Uint8Array> {
  const all = await unlessAborted(Promise.resolve(collective.allReduce?.(message, merge)), signal)
  if (!isUint8Array(all)) throw invalid('options.collective.allReduce()', all, 'a Uint8Array')
  const bytes = ownMemory(all, 'options.collective.allReduce()')
  if (bytes[0] === REFUSED) throw refusalIn(bytes)
  return bytes
}

function refusalIn(bytes: Uint8Array): MdglError {
  try {
    return new MdglError(JSON.parse(new TextDecoder().decode(bytes.subarray(1))))
  } catch {
    return invalid('options.collective.allReduce()', bytes, 'a message as it was sent')
  }
}

async function gather(
  collective: Collective,
  message: Uint8Array,
  signal: AbortSignal | undefined
): Promise<Uint8Array[]> {
  const all = await unlessAborted(Promise.resolve(collective.allGather(message)), signal)
  if (!Array.isArray(all) || all.length !== collective.size) {
    throw invalid(GATHERED, all, `an array of ${collective.size} messages, one per rank`)
  }
  return all.map((bytes, rank) => {
    if (!isUint8Array(bytes)) throw invalid(`${GATHERED}[${rank}]`, bytes, 'a Uint8Array')
    return ownMemory(bytes, `${GATHERED}[${rank}]`)
  })
}

/** What the engine must have given at the end. */
export function given<T>(part: T | undefined, what: string): T {
  if (part === undefined) throw new MdglError({ code: 'internal', message: `mdgl's engine gave no ${what}.` })
  return part
}
