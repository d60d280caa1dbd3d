import type { PlannedRule } from '../rule/planned-rule.js'
import { unlessAborted } from '../support/abort.js'
import { callable, object, ownMemory, wholeNumber } from '../support/check.js'
import { invalid, MdglError } from '../support/error.js'
import { isUint8Array } from '../support/recognise.js'
import type { Objective } from '../task/objective.js'
import type { EncodedBatch } from './encode-batch.js'
import type { Session } from './engine-session.js'

/** As many as a batch may have trials. */
const MOST_RANKS = 2 ** 20
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
export interface Collective {
  /** This process's number, from 0 on. */
  readonly rank: number
  /** How many processes there are. */
  readonly size: number
  /**
   * Sends a message to all. Every process calls it equally often, and one call is on its way at a time.
   *
   * @param message - What this process has to say.
   * @returns What all have said, this one too, in the order of their numbers. A rejection ends the training.
   */
  allGather(message: Uint8Array): Promise<readonly Uint8Array[]>
}

/**
 * Checks a collective, and that what is to be computed can be shared.
 *
 * @internal
 */
export function checkCollective(
  given: Collective | undefined,
  objective: Objective,
  rule: PlannedRule
): Collective | undefined {
  if (given === undefined) return undefined
  const collective = object(given, 'options.collective')
  callable(collective.allGather, 'options.collective.allGather')
  const size = wholeNumber(collective.size, 'options.collective.size', 1, MOST_RANKS)
  wholeNumber(collective.rank, 'options.collective.rank', 0, size - 1)
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

/**
 * A training step or an evaluation of which every process computes a share; the result is the same on each.
 *
 * @internal
 */
export async function computeTogether(
  session: Session,
  { handle }: EncodedBatch,
  {
    collective,
    signal,
    step
  }: { readonly collective: Collective; readonly signal: AbortSignal; readonly step: boolean }
) {
  const { rank, size } = collective
  let state = await session.run(engine => engine.share(handle, { rank, size }, step))
  while (state.pending !== undefined) {
    const { pending, message } = state
    const messages = await gather(collective, given(message, 'message'), signal)
    state = await session.run(() => pending.proceed(messages))
  }
  return state
}

async function gather(collective: Collective, message: Uint8Array, signal: AbortSignal): Promise<Uint8Array[]> {
  const all = await unlessAborted(Promise.resolve(collective.allGather(message)), signal)
  if (!Array.isArray(all) || all.length !== collective.size) {
    throw invalid(GATHERED, all, `an array of ${collective.size} messages, one a rank`)
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
