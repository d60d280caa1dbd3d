import { isObject } from './check.js'

/**
 * What can be listened to as an AbortSignal, of whatever realm; nothing is added to it. An object that merely inherits from the class has
 * no state to ask for.
 */
export function isSignal(value: unknown): value is AbortSignal {
  try {
    if (!isObject(value) || Object.prototype.toString.call(value) !== '[object AbortSignal]') return false
    const { aborted, addEventListener, removeEventListener } = value as AbortSignal
    return (
      typeof aborted === 'boolean' && [addEventListener, removeEventListener].every(one => typeof one === 'function')
    )
  } catch {
    return false
  }
}

/** Throws the reason of a signal that has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw signal.reason
}

/** What is called when a signal aborts, from one listener. */
class Waiting {
  readonly calls = new Set<() => void>()
  readonly #signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', this.#callAll)
    waiting.set(signal, this)
  }

  end(call: () => void): void {
    if (this.calls.delete(call) && this.calls.size === 0) this.#stopListening()
  }

  readonly #callAll = (): void => {
    const calls = [...this.calls]
    this.calls.clear()
    this.#stopListening()
    for (const call of calls) call()
  }

  #stopListening(): void {
    waiting.delete(this.#signal)
    this.#signal.removeEventListener('abort', this.#callAll)
  }
}

const waiting = new WeakMap<AbortSignal, Waiting>()

/**
 * Calls back once when a signal aborts, at once where it has. However many wait for a signal, it has one listener, and none once nothing
 * waits: a signal may live as long as the process.
 *
 * @returns What ends the waiting.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) {
    callback()
    return () => undefined
  }
  const all = waiting.get(signal) ?? new Waiting(signal)
  const call = () => callback()
  all.calls.add(call)
  return () => all.end(call)
}

/** Ends the waiting of controllers that were collected. */
const collected = /* @__PURE__ */ new FinalizationRegistry<() => void>(stop => stop())

/**
 * Aborts a controller with a signal, which does not keep the controller alive.
 *
 * @returns What ends that.
 */
export function abortWith(controller: AbortController, signal: AbortSignal): () => void {
  const follower = new WeakRef(controller)
  const stop = onAbort(signal, () => follower.deref()?.abort(signal.reason))
  collected.register(controller, stop, stop)
  return () => {
    collected.unregister(stop)
    stop()
  }
}

/** Waits for a promise, but no longer than until the signal aborts. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  // Nobody waits for it where the signal aborts first.
  promise.catch(() => undefined)
  throwIfAborted(signal)
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = onAbort(signal, () => reject(signal.reason))
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    stop()
  }
}
