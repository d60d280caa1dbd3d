import { readInterventions } from '../runs/interventions.js'
import { checkSame, optionsOf, type ResumeOptions, resumeRun } from '../runs/resume.js'
import { readRunFolder, recordedWeights } from '../runs/run-folder.js'
import { trainRun } from '../runs/train-run.js'
import { defineCommand } from './command.js'
import { LIVE, METRICS_AS_JSON, THREADS } from './common-options.js'
import { folderArgument } from './folder-argument.js'
import { liveOptions } from './live.js'
import { type Given, positive, UsageError, whole, words } from './options.js'
import { newRun, runWithProgress } from './run-with-progress.js'

/** What may be chosen anew when a run is resumed or repeated. */
const OPTIONS = {
  threads: THREADS,
  'checkpoint-every': whole('N', 'iterations between checkpoints, 0 for none (default: as the run had it)', 0),
  'alignment-every': whole(
    'N',
    "record the angle to BPTT's gradient every N iterations (default: as the run had it)",
    1
  ),
  ...LIVE,
  json: METRICS_AS_JSON
}

/** `mdgl resume DIR`: continues a run from its last checkpoint. */
export const resumeCommand = defineCommand({
  summary: 'continue a run from its last checkpoint',
  usage: ['<run> [options]'],
  details: `The run ends with the same weights, bit for bit, as if it had never stopped. A damaged checkpoint is reported, and the one before it used; with none left nothing is changed. Changes made while it ran (interventions.jsonl) are applied again at their iteration. A run that another process is writing is refused, with the name of that process. A diverged run can be continued with another learning rate; its records after the checkpoint are removed then.`,
  options: {
    'learning-rate': positive('N', 'learning rate from the next iteration on (default: as it was)'),
    from: whole('N', 'continue from the last checkpoint up to this iteration (default: from the last)', 1),
    ...OPTIONS
  },
  examples: ['mdgl resume runs/2026-01-31T12-00-00-evidence-accumulation-mdgl-1', 'mdgl resume runs/mine --live'],
  async run(given) {
    const { path, stored } = await storedRun(given.rest)
    const choices = choicesOf(given)
    const change = { learningRate: given.options['learning-rate'], from: given.options.from }
    const warn = (message: string) => console.error(`mdgl: ${message}`)
    return await runWithProgress(
      { ...(await optionsOf(stored.config, path)), ...choices },
      { json: given.options.json ?? false, live: liveOptions(given) },
      ({ signal }, observer) => resumeRun(path, { ...choices, signal }, observer, warn, change)
    )
  }
})

/** `mdgl repeat DIR`: makes a run again from its config.json, and from the changes made while it ran. */
export const repeatCommand = defineCommand({
  summary: 'repeat a run from its config.json',
  usage: ['<run> [options]'],
  details: `Trains from the run's config.json, with the changes that were made while it ran (interventions.jsonl) at their iterations: the same weights, bit for bit, on every instruction set of the same class. The repeated weights are compared with those recorded of the run; exit code 1 where they differ.`,
  options: { out: words('DIR', "the new run folder (default: the old one's name with -again)"), ...OPTIONS },
  examples: ['mdgl repeat runs/mine --out runs/mine-checked'],
  async run(given) {
    const { path, stored } = await storedRun(given.rest)
    const out = given.options.out ?? `${path.replace(/[/\\]+$/, '')}-again`
    const options = { ...(await optionsOf(stored.config, path)), ...choicesOf(given) }
    checkSame(stored.config, options, path)
    const changes = await readInterventions(path)
    const showing = { json: given.options.json ?? false, live: liveOptions(given) }
    const code = await runWithProgress(options, showing, (chosen, observer) =>
      trainRun(chosen, config => newRun(out, config, chosen), observer, changes)
    )
    return code === 0 ? await compareWeights(path, out, showing.json) : code
  }
})

/** Says whether a repeated run has the weights that were recorded of the run; exit code 1 where it has others. */
async function compareWeights(path: string, out: string, json: boolean): Promise<number> {
  const [recorded, repeated] = [await recordedWeights(path), await recordedWeights(out)]
  if (repeated === undefined) return 0
  if (recorded === undefined) {
    console.error(`mdgl: the run in ${path} is unfinished: there are no weights to compare with`)
    return 0
  }
  if (recorded === repeated) {
    if (!json) console.log(`The weights are those of ${path}, bit for bit.`)
    return 0
  }
  console.error(
    `mdgl: the weights in ${out} differ from those recorded of ${path}: the task depends on something that config.json does not record, the weights' file was changed, or a processor of another class of instruction sets trained one of the two`
  )
  return 1
}

async function storedRun(rest: readonly string[]) {
  const path = folderArgument(rest)
  const stored = await readRunFolder(path)
  if (stored === undefined) throw new UsageError(`${path} holds no run`)
  return { path, stored }
}

/** What was chosen anew; the rest stays as it was. */
function choicesOf({ options }: Given<typeof OPTIONS>): ResumeOptions {
  const { 'checkpoint-every': checkpointEvery, 'alignment-every': alignmentEvery, threads } = options
  return {
    threads,
    ...(checkpointEvery !== undefined && { checkpointEvery }),
    ...(alignmentEvery !== undefined && { alignmentEvery })
  }
}
