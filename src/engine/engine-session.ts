import type { Session as NativeSession, Plan } from '#native'
import { guard, native, settle } from '../addon/native.js'
import { type Model, nativeModel } from '../model/model.js'
import { isSignal, onAbort, throwIfAborted } from '../support/abort.js'
import { object, record, wholeNumber } from '../support/check.js'
import { invalid, MdglError } from '../support/error.js'

/** The most threads that a run may ask for. */
export const MOST_THREADS = 1024

/** Options of everything that computes. */
export interface RunOptions {
  /**
   * Number of threads; it never changes a result. Default: the environment variable `MDGL_THREADS`, or one less than the processor runs at
   * once. All runs of a process share the default number of threads in a fair queue (first come, first served); a run with a larger
   * number waits until no other computes.
   */
  readonly threads?: number | undefined
  /** Stops the computation; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A thread of the engine at work on a model. Jobs run one after another; each method of the engine gives a promise.
 *
 * @internal
 */
export class Session {
  readonly #native: NativeSession
  readonly #signal: AbortSignal | undefined
  readonly #stopListening: () => void

  /**
   * @param model - The model; while `plan.training` is set no other session may train or change it.
   * @param plan - What to compute.
   * @param options - Threads and signal; the signal must not be aborted yet.
   */
  constructor(model: Model, plan: Plan, { threads, signal }: RunOptions) {
    const handle = nativeModel(model)
    this.#native = guard(() => new native.Session(handle, plan, threads ?? native.defaultThreads()))
    guard(() => this.#native.watch())
    this.#signal = signal
    this.#stopListening = signal === undefined ? () => undefined : onAbort(signal, () => this.cancel())
  }

  /** Runs a job; when the signal stopped it, the rejection is the signal's reason. */
  async run<T>(job: (engine: NativeSession) => Promise<T>): Promise<T> {
    try {
      return await settle(() => job(this.#native))
    } catch (error) {
      if (isCancelled(error)) throwIfAborted(this.#signal)
      throw error
    }
  }

  /** Stops the running job and all later ones. */
  cancel(): void {
    this.#native.cancel()
  }

  /** Stops what still runs; resolves once the thread has let go of the model. */
  async close(): Promise<void> {
    this.#stopListening()
    await settle(() => this.#native.close())
  }
}

/** Whether an error says that a session was stopped. */
function isCancelled(error: unknown): boolean {
  return error instanceof MdglError && error.code === 'cancelled'
}

/** A checked copy of the options of a run, each read once; there are no others but those of the kind of run. */
export function checkOptions<O extends RunOptions>(given: O, others: readonly (keyof O & string)[]): O {
  const options = { ...object(given, 'options') }
  const { threads, signal } = record(options, 'options', ['threads', 'signal', ...others])
  if (threads !== undefined) wholeNumber(threads, 'options.threads', 1, MOST_THREADS)
  if (signal !== undefined && !isSignal(signal)) throw invalid('options.signal', signal, 'an AbortSignal')
  return options
}

/**
 * Opens a session for one piece of work and closes it.
 *
 * @internal
 */
export async function withSession<T>(
  model: Model,
  plan: Plan,
  options: RunOptions,
  body: (session: Session) => Promise<T>
): Promise<T> {
  throwIfAborted(options.signal)
  const session = new Session(model, plan, options)
  try {
    return await body(session)
  } finally {
    await session.close()
  }
}
