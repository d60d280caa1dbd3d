import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** The header that carries the token of a control request. */
const TOKEN_HEADER = 'x-mdgl-token'

/** Why a request is refused; `undefined` where it is not. */
export type Refusal = { readonly status: 403 | 405; readonly reason: string } | undefined

/**
 * Names that lead to this machine from itself: a page of another site that has been made to resolve to it comes with its own
 * name, and is refused. The port may be another one, as behind `ssh -L 9000:127.0.0.1:8765`.
 */
function isOwnHost(host: string | undefined): boolean {
  return /^(?:127\.0\.0\.1|localhost)(?::\d{1,5})?$/.test(host ?? '')
}

/** Any request: its Host must be this machine. */
export function refuseReading({ headers }: IncomingMessage): Refusal {
  return isOwnHost(headers.host) ? undefined : { status: 403, reason: 'the Host header names another server' }
}

/** A control request: a page of ours sent it, and it knows the token. */
export function refuseControl(request: IncomingMessage, token: string): Refusal {
  const { method, headers } = request
  if (method !== 'POST') return { status: 405, reason: 'control requests are POST' }
  const wrongHost = refuseReading(request)
  if (wrongHost !== undefined) return wrongHost
  if (headers.origin !== `http://${headers.host}`)
    return { status: 403, reason: 'the Origin header is not this server' }
  const given = headers[TOKEN_HEADER]
  if (typeof given !== 'string' || !equal(given, token)) return { status: 403, reason: 'the token is wrong' }
  return undefined
}

/** Compares without telling by its duration where two differ. */
function equal(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
