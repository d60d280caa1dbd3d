import type { ExecutionContext } from 'ava'
import { MdglError } from '../../src/index.js'

/** Asserts an MdglError about `path` whose message names the value and what is allowed. */
export function invalidAt(t: ExecutionContext, path: string | RegExp, body: () => unknown): MdglError {
  const error = t.throws(body, { instanceOf: MdglError })
  return checkInvalid(t, path, error)
}

/** The same for a promise. */
export async function rejectsInvalidAt(
  t: ExecutionContext,
  path: string | RegExp,
  body: () => Promise<unknown>
): Promise<MdglError> {
  const error = await t.throwsAsync(body, { instanceOf: MdglError })
  return checkInvalid(t, path, error)
}

function checkInvalid(t: ExecutionContext, path: string | RegExp, error: MdglError): MdglError {
  t.is(error.code, 'invalid')
  if (typeof path === 'string') t.is(error.path, path)
  else t.regex(error.path ?? '', path)
  t.regex(error.message, /^.+ is .+; allowed: .+\.$/s)
  return error
}
