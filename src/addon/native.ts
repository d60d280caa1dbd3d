import { type ErrorCode, MdglError } from '../support/error.js'
import { messageOf } from '../support/recognise.js'
import { loadAddon } from './load-addon.js'

/** The engine's classes and functions. Errors they throw go through {@link translate}. A bundle that does not use them need not load them. */
export const native = /* @__PURE__ */ loadAddon()

/** Runs native code and gives its errors our class. */
export function guard<T>(body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw translate(error)
  }
}

/** Waits for native work and gives its errors our class. */
export async function settle<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    throw translate(error)
  }
}

/** What the engine says of an error, as JSON in its message. */
interface Report {
  readonly code: ErrorCode
  readonly message: string
  readonly path?: string
  readonly value?: string
  readonly allowed?: string
}

function translate(error: unknown): MdglError {
  if (error instanceof MdglError) return error
  const message = messageOf(error)
  const report = parse(message)
  if (report !== undefined) return new MdglError({ ...report, message: sentence(report.message), cause: error })
  return new MdglError({
    code: 'internal',
    message: `mdgl's engine failed: ${message}. This is a bug in mdgl; please report it with the steps that led to it.`,
    cause: error
  })
}

function parse(message: string): Report | undefined {
  if (!message.startsWith('{"code":')) return undefined
  return JSON.parse(message) as Report
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`
}
