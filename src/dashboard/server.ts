import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname } from 'node:path'
import type { ChannelShares } from '../analysis/channel-shares.js'
import type { NeuronTrace, TrialSnapshot } from '../analysis/trial-snapshot.js'
import { codeOf, messageOf } from '../support/recognise.js'
import type { EventHub } from './event-hub.js'
import type { Control } from './frames.js'
import { type Refusal, refuseControl, refuseReading } from './guard.js'

/** The address alone, never the network's: who may read this page may see the runs. */
const ADDRESS = '127.0.0.1'
const FIRST_PORT = 8765
const PORTS = 50
const MOST_BODY = 4096
const ALIVE_EVERY = 15_000

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2'
}

/** What every answer says: nothing from elsewhere runs in the page, and it stands in no other page. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff'
} as const

/** What the page may ask for besides the stream of frames. */
export interface Answers {
  /** A trial with the weights that a run's folder holds; rejected with why there is none. `undefined` where the run tells of itself. */
  snapshot(run: string): Promise<TrialSnapshot | undefined>
  /** One neuron of a run's last trial; `undefined` where there is none. */
  neuron(run: string, neuron: number): Promise<NeuronTrace | undefined>
  /** What each channel carries in that trial; `undefined` where there is none. */
  channels(run: string): Promise<ChannelShares | undefined>
  /** The run's network as SVG. */
  graph(run: string): string | undefined
  /** Carries a wish out; gives why it cannot. */
  carryOut(wish: Control): string | undefined
}

/** A server that shows runs. */
export interface Dashboard {
  readonly url: string
  close(): Promise<void>
}

/** Serves the page on the first free port from {@link FIRST_PORT} on, or on the one given. */
export async function serveDashboard(hub: EventHub, answers: Answers, port?: number): Promise<Dashboard> {
  const token = randomBytes(24).toString('base64url')
  const server = createServer((request, response) => {
    answer(request, response, { hub, answers, token }).catch(error => {
      fail(response, 500, messageOf(error))
    })
  })
  // Node's default ends connections that are idle; a stream of frames may be.
  server.requestTimeout = 0
  const found = await listen(server, port === undefined ? FIRST_PORT : port, port === undefined ? PORTS : 1)
  return {
    url: `http://${ADDRESS}:${found}/`,
    close: async () => {
      hub.close()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

const portOf = (server: Server) => (server.address() as AddressInfo).port

async function listen(server: Server, first: number, count: number): Promise<number> {
  for (let port = first; ; port++) {
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, ADDRESS, () => {
          server.off('error', reject)
          resolve()
        })
      })
      return portOf(server)
    } catch (error) {
      const taken = codeOf(error) === 'EADDRINUSE'
      if (!taken || port + 1 >= first + count) throw error
    }
  }
}

interface Context {
  readonly hub: EventHub
  readonly answers: Answers
  readonly token: string
}

async function answer(request: IncomingMessage, response: ServerResponse, context: Context): Promise<void> {
  const { hub, answers, token } = context
  const url = new URL(request.url ?? '/', `http://${ADDRESS}`)
  if (url.pathname === '/api/control') {
    const refusal = refuseControl(request, token)
    if (refusal !== undefined) return refuse(response, refusal)
    const wish = readControl(await body(request))
    if (wish === undefined) return fail(response, 400, 'the body is no control request')
    const problem = answers.carryOut(wish)
    return problem === undefined ? json(response, {}) : fail(response, 409, problem)
  }
  const refusal = refuseReading(request)
  if (refusal !== undefined) return refuse(response, refusal)
  if (request.method !== 'GET' && request.method !== 'HEAD') return fail(response, 405, 'only GET')
  const run = url.searchParams.get('run') ?? ''
  switch (url.pathname) {
    case '/api/token':
      return json(response, { token, session: hub.session })
    case '/api/frames':
      return stream(request, response, hub)
    case '/api/neuron':
      return json(response, (await answers.neuron(run, Number(url.searchParams.get('neuron')))) ?? null)
    case '/api/snapshot':
      return json(response, (await answers.snapshot(run)) ?? null)
    case '/api/channels':
      return json(response, (await answers.channels(run)) ?? null)
    case '/api/graph': {
      const graph = answers.graph(run)
      if (graph === undefined) return fail(response, 404, 'there is no such run')
      return send(response, 200, TYPES['.svg'] ?? '', graph)
    }
    default:
      return await file(response, url.pathname)
  }
}

/** Server-sent events: everything, then every change. */
function stream(request: IncomingMessage, response: ServerResponse, hub: EventHub): void {
  response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' })
  response.write('retry: 500\n\n')
  const stop = hub.subscribe(frame => {
    // A page that does not keep up loses its connection and gets everything anew.
    if (response.writableLength > 64 << 20) response.destroy()
    else response.write(`data: ${JSON.stringify(frame)}\n\n`)
  })
  const alive = setInterval(() => response.write(': alive\n\n'), ALIVE_EVERY)
  request.on('close', () => {
    clearInterval(alive)
    stop()
  })
}

/** A file of the page: names without folders but `assets`, none that leads elsewhere. */
async function file(response: ServerResponse, path: string): Promise<void> {
  const name = path === '/' ? '/index.html' : path
  const type = TYPES[extname(name)]
  if (type === undefined || !/^\/(?:assets\/)?[\w-]+(?:\.[\w-]+)+$/.test(name)) return fail(response, 404, 'not found')
  const bytes = await readFile(new URL(`./page${name}`, import.meta.url)).catch(() => undefined)
  return bytes === undefined ? fail(response, 404, 'not found') : send(response, 200, type, bytes)
}

async function body(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > MOST_BODY) return undefined
  }
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function readControl(given: unknown): Control | undefined {
  if (typeof given !== 'object' || given === null) return undefined
  const { run, action, value, channel } = given as { [name: string]: unknown }
  if (typeof run !== 'string') return undefined
  if (action === 'pause' || action === 'resume' || action === 'stop') return { run, action }
  if (typeof value !== 'number') return undefined
  if (action === 'channel' && typeof channel === 'string') return { run, action, channel, value }
  return action === 'learning-rate' ? { run, action, value } : undefined
}

function refuse(response: ServerResponse, { status, reason }: NonNullable<Refusal>): void {
  fail(response, status, reason)
}

function fail(response: ServerResponse, status: number, reason: string): void {
  if (!response.headersSent) send(response, status, 'application/json', JSON.stringify({ error: reason }))
  else response.end()
}

function json(response: ServerResponse, value: unknown): void {
  send(response, 200, 'application/json', JSON.stringify(value))
}

function send(response: ServerResponse, status: number, type: string, content: string | Uint8Array): void {
  response.writeHead(status, { ...HEADERS, 'content-type': type })
  response.end(content)
}
