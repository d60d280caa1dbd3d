import type { LiveRun } from '../dashboard/live.js'
import type { RunControl } from '../runs/control.js'
import type { RunSettings } from '../runs/train-run.js'
import type { LIVE } from './common-options.js'
import { type Given, UsageError } from './options.js'
import { remoteHint } from './remote-hint.js'

/** How a run is to be shown in a browser. */
export interface LiveOptions {
  /** The port, in place of the first free one from 8765 on. */
  readonly port: number | undefined
}

/** The display options among the arguments; nothing without a page. */
export function liveOptions({ options: { live, port } }: Given<typeof LIVE>): LiveOptions | undefined {
  if (live === true) return { port }
  if (port !== undefined) throw new UsageError('--port requires --live')
  return undefined
}

/** A run's page. */
export interface LivePage {
  readonly run: LiveRun
  /** Tells the page the last news, and ends it. */
  close(): Promise<void>
}

/** Serves a page for a run that is about to begin, and prints its address. */
export async function startLive(options: RunSettings, control: RunControl, { port }: LiveOptions): Promise<LivePage> {
  // The page's server is loaded only when a page is asked for.
  const [{ EventHub }, { LiveRun }, { serveDashboard }] = await Promise.all([
    import('../dashboard/event-hub.js'),
    import('../dashboard/live.js'),
    import('../dashboard/server.js')
  ])
  const hub = new EventHub()
  const run = new LiveRun(hub, options, control)
  const { url, close } = await serveDashboard(hub, run, port)
  console.error(`mdgl: the run is shown at ${url}`)
  const hint = remoteHint(url)
  if (hint !== undefined) console.error(`mdgl: ${hint}`)
  return { run, close }
}
