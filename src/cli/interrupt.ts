/** The exit code of a command that Ctrl-C ended, as shells have it. */
export const INTERRUPTED = 130

/**
 * Runs with a signal that the first Ctrl-C (or SIGTERM) aborts; a second one ends the process at once, as it does without
 * this.
 */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const abort = () => {
    forget()
    controller.abort()
  }
  const forget = () => {
    process.off('SIGINT', abort)
    process.off('SIGTERM', abort)
  }
  process.on('SIGINT', abort)
  process.on('SIGTERM', abort)
  try {
    return await body(controller.signal)
  } finally {
    forget()
  }
}

/** The same; gives nothing when the body ended with the signal's reason, because it was interrupted. */
export async function uninterrupted<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  return await interruptible(async signal => {
    try {
      return await body(signal)
    } catch (error) {
      if (signal.aborted && error === signal.reason) return undefined
      throw error
    }
  })
}
