import { join } from 'node:path'
import type { WholeDescription } from '../network/description.js'
import { ruleNames } from '../rule/rule.js'
import { type Intervention, readInterventions } from '../runs/interventions.js'
import { learningRateText } from '../runs/learning-rate-text.js'
import { optionsOf, taskOf } from '../runs/resume.js'
import { ruleLabel } from '../runs/rule-label.js'
import { type RunConfig, readRunFolder, type StoredRun } from '../runs/run-folder.js'
import { processName, runOwner } from '../runs/run-lock.js'
import { settingsBetween, settingText, withSettings } from '../runs/settings.js'
import { type LastModel, lastModel, storedSnapshot } from '../runs/stored-snapshot.js'
import type { BuiltInTask } from '../runs/tasks.js'
import { differences, type RunSettings, runConfig } from '../runs/train-run.js'
import { readWarnings } from '../runs/warnings.js'
import { MdglError } from '../support/error.js'
import { shellWord } from '../support/shell-word.js'
import { writeAside } from '../support/write-aside.js'
import type { Schedule } from '../task/schedule.js'
import { type Methods, methodsOf } from './methods.js'
import { networkGraph } from './network-graph.js'
import { type ReportTable, reportTables } from './report-tables.js'
import { runCurves } from './run-curves.js'
import { signalsPicture, trialPicture, weightsPicture } from './trial.js'

/** The file in a run folder that tells it on one page. */
const REPORT = 'report.html'
/** What `mdgl train` has an option of its own for. */
const LEARNING_RATE = 'optimiser.learningRate'

/**
 * Writes a run's report: what it is, its curves, a trial with its last weights, its network, and how to make it again. One file without
 * anything from elsewhere.
 *
 * @returns Its path.
 * @throws An error for a folder that holds no run.
 */
export async function writeReport(path: string, warn: (message: string) => void): Promise<string> {
  const run = await readRunFolder(path)
  if (run === undefined) throw new Error(`${path} holds no run`)
  const file = join(path, REPORT)
  await writeAside(file, new TextEncoder().encode(await page(path, run, warn)))
  return file
}

async function page(path: string, run: StoredRun, warn: (message: string) => void): Promise<string> {
  const { config, metrics } = run
  const options = await optionsOf(config, path)
  const title = `${config.task}, ${ruleLabel(config)}, seed ${config.seed}`
  const end = run.diverged?.iteration ?? options.iterations
  const last = await lastModel(path, end, warn)
  const changes = await readInterventions(path)
  const { result, settings } = reportTables(run, changes, await readWarnings(path), await stateOf(path, run))
  const figures = [figure('Loss and accuracy along training', runCurves(metrics))]
  if (last !== undefined) figures.push(...(await trialFigures(last, options)))
  figures.push(figure('Network: synapses and modulatory channels', networkGraph(config.network as WholeDescription)))
  const about = options.task.description === undefined ? '' : `<p>${text(options.task.description)}</p>`
  const parts = [
    about,
    table(result),
    ...figures,
    methodsSection(methodsOf(config, changes)),
    '<h2>Settings</h2>',
    ...settings.map(each => `<h3>${text(each.title)}</h3>${table(each)}`),
    await again(path, run, options, changes)
  ]
  return document(title, parts.join('\n'))
}

/** A table of two columns, or of several with their names. */
function table({ head, rows }: ReportTable): string {
  const names = head?.map(name => `<th scope="col">${text(name)}</th>`).join('')
  const row = ([name = '', ...values]: readonly string[]) =>
    `<tr><th scope="row">${text(name)}</th>${values.map(value => `<td>${text(value)}</td>`).join('')}</tr>`
  return `<div class="scroll"><table>${names === undefined ? '' : `<thead><tr>${names}</tr></thead>`}<tbody>${rows.map(row).join('')}</tbody></table></div>`
}

/** The methods in sentences and equations, and what a manuscript takes of them. */
function methodsSection({ paragraphs, latex, bibtex }: Methods): string {
  const body = paragraphs.map(({ text: sentences, equations }) => {
    const lines = equations.map(({ plain }) => `<p class="equation">${text(plain)}</p>`).join('')
    return `<p>${text(sentences)}</p>${lines}`
  })
  const more = [
    ['The same in LaTeX', latex],
    ['References, BibTeX', bibtex]
  ].map(([name = '', content = '']) => `<details><summary>${name}</summary><pre>${text(content)}</pre></details>`)
  return `<h2>Methods</h2>${body.join('')}${more.join('')}`
}

/** A trial with the last weights; of a run that diverged it may be past showing. */
async function trialFigures(last: LastModel, options: RunSettings): Promise<string[]> {
  using _ = last.model
  try {
    const { snapshot } = await storedSnapshot(last, options)
    const when = `with the weights after iteration ${last.iteration}`
    const signals = snapshot.learning.length === 0 ? [] : [signalsPicture(snapshot)]
    return [
      figure(`One trial ${when}: inputs, spikes by cell type, readout`, trialPicture(snapshot)),
      ...signals.map(picture => figure('Its learning and modulatory signal by type', picture)),
      figure('Weights', weightsPicture(snapshot))
    ]
  } catch (error) {
    if (!(error instanceof MdglError && error.code === 'not-finite')) throw error
    return [`<p>No trial is shown: ${text(error.message)}</p>`]
  }
}

/** Whether the run goes on, or how it ended. */
async function stateOf(path: string, { finished, diverged }: StoredRun): Promise<string> {
  const owner = await runOwner(path)
  if (owner !== undefined) return `running (${processName(owner)})`
  if (diverged !== undefined) return `diverged: ${diverged.message}`
  return finished ? 'finished' : 'unfinished'
}

/** The command that makes the run again: `mdgl train` where its options say all of the run, else `mdgl repeat`. */
async function again(
  path: string,
  { config }: StoredRun,
  options: RunSettings,
  changes: readonly Intervention[]
): Promise<string> {
  const trained = changes.length === 0 ? trainCommand(config, options, (await taskOf(config, path)).task) : undefined
  const command = trained ?? `mdgl repeat ${shellWord(path)}`
  const kept =
    changes.length === 0
      ? 'config.json beside this file has every setting'
      : 'config.json beside this file has every setting, interventions.jsonl every change made while it ran'
  return `<h2>Again</h2><pre>${text(command)}</pre><p>${kept}; <code>mdgl repeat</code> compares the weights.</p>`
}

/** The call of `mdgl train` that has a configuration; nothing where its options cannot say it. */
function trainCommand(config: RunConfig, options: RunSettings, own: BuiltInTask): string | undefined {
  const { training, task, taskFile, ruleFile, seed, precision } = config
  const rule = ruleFile === undefined ? ruleLabel(config) : shellWord(ruleFile.path)
  const sayable = ruleFile !== undefined || (ruleNames as readonly string[]).includes(rule)
  if (!sayable || config.taskOptions !== undefined) return undefined
  const { learningRate } = training.optimiser as { readonly learningRate?: number | Schedule }
  const choices = [undefined, learningRate].map(rate => ({
    ...options,
    task: own,
    optimiser: undefined,
    learningRate: rate
  }))
  const found = choices.map(choice => settled(config, choice))
  const choice = found.find(chosen => chosen !== undefined)
  if (choice === undefined) return undefined
  const rate = choice.learningRate === undefined ? '' : learningRateText(choice.learningRate)
  if (rate === undefined) return undefined
  return [
    `mdgl train ${shellWord(taskFile?.path ?? task)} --rule ${rule} --seed ${seed} --iterations ${training.iterations}`,
    `--batch-size ${training.batchSize} --validate-every ${training.validateEvery} --precision ${precision}`,
    ...(rate === '' ? [] : [`--learning-rate ${rate}`]),
    ...choice.settings.map(setting => `--set ${shellWord(settingText(setting))}`)
  ].join(' ')
}

/** A run with what must be set of its optimiser and its regulariser to have a configuration; nothing where that does not do. */
function settled(config: RunConfig, choice: RunSettings) {
  const { optimiser, regulariser } = runConfig(choice).training
  const settings = [
    ...settingsBetween('optimiser', optimiser, config.training.optimiser).filter(({ path }) => path !== LEARNING_RATE),
    ...settingsBetween('regulariser', regulariser, config.training.regulariser)
  ]
  const { learningRate } = choice
  const chosen = { ...choice, ...withSettings(choice.task, undefined, settings) }
  return differences(config, runConfig(chosen)).length === 0 ? { learningRate, settings } : undefined
}

function figure(caption: string, svg: string): string {
  return `<figure><figcaption>${text(caption)}</figcaption>${svg.replace('<svg ', `<svg role="img" aria-label="${text(caption)}" `)}</figure>`
}

const text = (raw: string) =>
  raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

function document(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)}</title>
<style>
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff }
h1 { margin: 0 0 0.4rem; font-size: 1.7rem; line-height: 1.25 }
h2 { margin: 2.5rem 0 0.6rem; padding-bottom: 0.2rem; border-bottom: 1px solid #d4d4d4 }
h3 { margin: 1.6rem 0 0.3rem; font-size: 1rem }
table { border-collapse: collapse; font-size: 0.94rem }
th, td { padding: 0.2rem 1.2rem 0.2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #e6e6e6; overflow-wrap: break-word }
thead th { color: #5a5a5a; white-space: nowrap }
tbody th { font-weight: 600 }
.scroll { overflow-x: auto }
figure { margin: 2rem 0; break-inside: avoid }
figcaption { margin-bottom: 0.5rem; font-weight: 600 }
svg { display: block; max-width: 100%; height: auto }
.equation { margin: 0.3rem 0 0.3rem 2rem; font-family: Cambria, 'Latin Modern Math', 'STIX Two Text', Georgia, serif }
pre { padding: 0.8rem; white-space: pre-wrap; overflow-wrap: anywhere; background: #f3f3f4; font-size: 0.88rem }
summary { cursor: pointer; margin: 0.5rem 0 }
@media print { details > pre { font-size: 0.75rem } body { margin: 0; max-width: none } }
</style>
</head>
<body>
<main>
<h1>${text(title)}</h1>
${body}
</main>
</body>
</html>
`
}
