/** The exit codes of a command that a signal ended, as shells have them: 128 and the signal's number. */
const CODES = { SIGINT: 130, SIGTERM: 143 } as const
type Interruption = keyof typeof CODES

/** What came of work that a signal may have ended. */
export interface Interruptible<T> {
  readonly result: T
  /** 0 where no signal came. */
  readonly exitCode: number
}

/**
 * Runs with a signal that the first Ctrl-C (or SIGTERM) aborts; a second one ends the process at once, as it does without
 * this.
 */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<Interruptible<T>> {
  const controller = new AbortController()
  let exitCode = 0
  const abort = (signal: NodeJS.Signals) => {
    forget()
    exitCode = CODES[signal as Interruption]
    controller.abort()
  }
  const forget = () => {
    process.off('SIGINT', abort)
    process.off('SIGTERM', abort)
  }
  process.on('SIGINT', abort)
  process.on('SIGTERM', abort)
  try {
    return { result: await body(controller.signal), exitCode }
  } finally {
    forget()
  }
}

/** The same; the result is nothing when the body ended with the signal's reason, because it was interrupted. */
export async function uninterrupted<T>(
  body: (signal: AbortSignal) => Promise<T>
): Promise<Interruptible<T | undefined>> {
  return await interruptible(async signal => {
    try {
      return await body(signal)
    } catch (error) {
      if (signal.aborted && error === signal.reason) return undefined
      throw error
    }
  })
}
