import { stat } from 'node:fs/promises'
import { defineCommand } from './command.js'
import { PORT } from './common-options.js'
import { interruptible } from './interrupt.js'
import { noArgument, UsageError } from './options.js'
import { remoteHint } from './remote-hint.js'

/** `mdgl dashboard [DIR]`: shows the runs of a folder in a browser until it is interrupted. */
export const dashboardCommand = defineCommand({
  summary: 'show the runs in a folder in a browser',
  usage: ['[folder] [options]'],
  details: `Every run below the folder (default runs), live while it grows: the curves of all rules, mean and spread over their seeds, angles to BPTT, networks. Of a chosen run also a trial with its last weights, and what each channel carries. The page can be opened on this computer alone (127.0.0.1); over SSH the command says how to forward it (ssh -L).`,
  options: { port: PORT },
  examples: ['mdgl dashboard', 'mdgl dashboard runs/compare-evidence-accumulation-2000'],
  async run({ options: { port }, rest }) {
    const [root = 'runs', ...more] = rest
    noArgument(more)
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
    const hint = remoteHint(url)
    if (hint !== undefined) console.error(`mdgl: ${hint}`)
    await interruptible(signal => new Promise<void>(resolve => signal.addEventListener('abort', () => resolve())))
    runs.stop()
    await close()
    return 0
  }
})
