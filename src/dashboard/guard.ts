import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** The header that carries the token of a control request. */
const TOKEN_HEADER = 'x-mdgl-token'

/** Why a request is refused; `undefined` where it is not. */
export type Refusal = { readonly status: 403 | 405; readonly reason: string } | undefined

/**
 * Names that lead here: a page of another site that has been made to resolve to this machine comes with its own name, and is
 * refused.
 */
function isOwnHost(host: string | undefined, port: number): boolean {
  return host === `127.0.0.1:${port}` || host === `localhost:${port}`
}

/** Any request: its Host must be ours. */
export function refuseReading({ headers }: IncomingMessage, port: number): Refusal {
  return isOwnHost(headers.host, port) ? undefined : { status: 403, reason: 'the Host header names another server' }
}

/** A control request: a page of ours sent it, and it knows the token. */
export function refuseControl(request: IncomingMessage, port: number, token: string): Refusal {
  const { method, headers } = request
  if (method !== 'POST') return { status: 405, reason: 'control requests are POST' }
  const wrongHost = refuseReading(request, port)
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
