import { defineCommand } from './command.js'
import { folderArgument } from './folder-argument.js'

/** `mdgl report DIR`: writes a run's report anew. */
export const reportCommand = defineCommand({
  summary: 'a run on one page, report.html',
  usage: ['<run> [options]'],
  details: `Writes report.html into the run folder: its settings, its curves, a trial with its last weights, its network, and the command that repeats it. One self-contained file. \`mdgl train\`, \`resume\` and \`repeat\` write it at their end.`,
  options: {},
  examples: ['mdgl report runs/mine'],
  async run({ rest }) {
    // The plotting libraries are slow to load.
    const { writeReport } = await import('../plots/run-report.js')
    console.log(await writeReport(folderArgument(rest), message => console.error(`mdgl: ${message}`)))
    return 0
  }
})
