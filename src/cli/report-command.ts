import { split } from './arguments.js'
import { REPORT_HELP } from './help.js'
import { folderArgument } from './resume.js'

export const REPORT_OPTIONS = { help: { type: 'boolean', short: 'h' } } as const

/** `mdgl report DIR`: writes a run's report anew. */
export async function reportCommand(args: readonly string[]): Promise<number> {
  const given = split(args, REPORT_OPTIONS)
  if (given.options.help) {
    console.log(REPORT_HELP)
    return 0
  }
  // The plotting libraries are slow to load.
  const { writeReport } = await import('../plots/run-report.js')
  console.log(await writeReport(folderArgument(given.rest), message => console.error(`mdgl: ${message}`)))
  return 0
}
