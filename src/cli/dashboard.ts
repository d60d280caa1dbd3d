import { stat } from 'node:fs/promises'
import { split, UsageError } from './arguments.js'
import { DASHBOARD_HELP } from './help.js'
import { interruptible } from './interrupt.js'
import { portOf } from './live.js'

export const DASHBOARD_OPTIONS = { port: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const

/** `mdgl dashboard [DIR]`: shows the runs of a folder in a browser until it is interrupted. */
export async function dashboardCommand(args: readonly string[]): Promise<number> {
  const given = split(args, DASHBOARD_OPTIONS)
  if (given.options.help) {
    console.log(DASHBOARD_HELP)
    return 0
  }
  const port = portOf(given)
  const [root = 'runs', ...more] = given.rest
  if (more.length > 0) throw new UsageError(`'${more[0]}' is one argument too many`)
  const folder = await stat(root).catch(() => undefined)
  if (folder?.isDirectory() !== true) throw new UsageError(`${root} is no folder`)
  const [{ EventHub }, { StoredRuns }, { serveDashboard }] = await Promise.all([
    import('../dashboard/event-hub.js'),
    import('../dashboard/stored.js'),
    import('../dashboard/server.js')
  ])
  const hub = new EventHub()
  const runs = new StoredRuns(root, hub)
  await runs.start()
  const { url, close } = await serveDashboard(hub, runs, port)
  console.log(`The runs in ${root} are shown at ${url}; Ctrl-C ends this.`)
  await interruptible(signal => new Promise<void>(resolve => signal.addEventListener('abort', () => resolve())))
  runs.stop()
  await close()
  return 0
}
