import { readInterventions } from '../runs/interventions.js'
import { checkSame, optionsOf, type ResumeOptions, resumeRun } from '../runs/resume.js'
import { readRunFolder } from '../runs/run-folder.js'
import { trainRun } from '../runs/train-run.js'
import { type Arguments, positive, split, text, threadsOf, UsageError, whole } from './arguments.js'
import { REPEAT_HELP, RESUME_HELP } from './help.js'
import { LIVE_OPTIONS, liveOptions } from './live.js'
import { newRun, runWithProgress } from './run-with-progress.js'

const OPTIONS = {
  'checkpoint-every': { type: 'string' },
  'alignment-every': { type: 'string' },
  threads: { type: 'string' },
  json: { type: 'boolean' },
  ...LIVE_OPTIONS,
  help: { type: 'boolean', short: 'h' }
} as const

export const RESUME_OPTIONS = { ...OPTIONS, 'learning-rate': { type: 'string' }, from: { type: 'string' } } as const

/** `mdgl resume DIR`: continues a run from its last checkpoint. */
export async function resumeCommand(args: readonly string[]): Promise<number> {
  const given = split(args, RESUME_OPTIONS)
  if (given.options.help) {
    console.log(RESUME_HELP)
    return 0
  }
  const path = folderArgument(given.rest)
  const stored = await readRunFolder(path)
  if (stored === undefined) throw new UsageError(`${path} holds no run`)
  const choices = choicesOf(given)
  const change = { learningRate: positive(given, 'learning-rate'), from: whole(given, 'from', 1) }
  const warn = (message: string) => console.error(`mdgl: ${message}`)
  const showing = { json: given.options.json === true, live: liveOptions(given) }
  return await runWithProgress(
    { ...(await optionsOf(stored.config, path)), ...choices },
    showing,
    ({ signal }, observer) => resumeRun(path, { ...choices, signal }, observer, warn, change)
  )
}

export const REPEAT_OPTIONS = { ...OPTIONS, out: { type: 'string' } } as const

/** `mdgl repeat DIR`: makes a run again from its config.json, and from the changes made while it ran. */
export async function repeatCommand(args: readonly string[]): Promise<number> {
  const given = split(args, REPEAT_OPTIONS)
  if (given.options.help) {
    console.log(REPEAT_HELP)
    return 0
  }
  const path = folderArgument(given.rest)
  const stored = await readRunFolder(path)
  if (stored === undefined) throw new UsageError(`${path} holds no run`)
  const out = text(given, 'out') ?? `${path.replace(/[/\\]+$/, '')}-again`
  const options = { ...(await optionsOf(stored.config, path)), ...choicesOf(given) }
  checkSame(stored.config, options, path)
  const changes = await readInterventions(path)
  const showing = { json: given.options.json === true, live: liveOptions(given) }
  return await runWithProgress(options, showing, (chosen, observer) =>
    trainRun(chosen, config => newRun(out, config, chosen), observer, changes)
  )
}

/** What was chosen anew; the rest stays as it was. */
function choicesOf(given: Arguments): ResumeOptions {
  const [checkpointEvery, alignmentEvery] = [whole(given, 'checkpoint-every', 0), whole(given, 'alignment-every', 1)]
  return {
    threads: threadsOf(given),
    ...(checkpointEvery !== undefined && { checkpointEvery }),
    ...(alignmentEvery !== undefined && { alignmentEvery })
  }
}

/** The one folder that a command names. */
export function folderArgument([path, ...more]: readonly string[]): string {
  if (path === undefined) throw new UsageError('a run folder is missing')
  if (more.length > 0) throw new UsageError(`'${more[0]}' is one argument too many`)
  return path
}
