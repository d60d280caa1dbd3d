/** Waits for a promise, but no longer than until the signal aborts. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody waits for it where the signal aborts first.
  promise.catch(() => undefined)
  signal.throwIfAborted()
  const { promise: aborted, stop } = rejectionOf(signal)
  try {
    return await Promise.race([promise, aborted])
  } finally {
    stop()
  }
}

function rejectionOf(signal: AbortSignal): { promise: Promise<never>; stop: () => void } {
  let stop = () => {}
  const promise = new Promise<never>((_, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    stop = () => signal.removeEventListener('abort', abort)
  })
  return { promise, stop }
}
