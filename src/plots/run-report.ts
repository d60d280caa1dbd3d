import { join } from 'node:path'
import type { NetworkDescription } from '../network/description.js'
import { type Rule, ruleNames } from '../rule/rule.js'
import { readInterventions } from '../runs/interventions.js'
import { learningRateText } from '../runs/learning-rate-text.js'
import { optionsOf } from '../runs/resume.js'
import { ruleLabel } from '../runs/rule-label.js'
import { type RunConfig, readRunFolder, type StoredRun } from '../runs/run-folder.js'
import { processName, runOwner } from '../runs/run-lock.js'
import { type LastModel, lastModel, storedSnapshot } from '../runs/stored-snapshot.js'
import { differences, type RunSettings, runConfig } from '../runs/train-run.js'
import { MdglError } from '../support/error.js'
import { shellWord } from '../support/shell-word.js'
import { writeAside } from '../support/write-aside.js'
import type { Schedule } from '../task/schedule.js'
import { networkGraph } from './network-graph.js'
import { runCurves } from './run-curves.js'
import { signalsPicture, trialPicture, weightsPicture } from './trial.js'

/** The file in a run folder that tells it on one page. */
const REPORT = 'report.html'

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
  const title = `${config.task}, ${ruleLabel(config.rule as Rule)}, seed ${config.seed}`
  const last = await lastModel(path, options.iterations, warn)
  const figures = [figure('Loss along training', runCurves(metrics))]
  if (last !== undefined) figures.push(...(await trialFigures(last, options)))
  figures.push(figure('Network: synapses and modulatory channels', networkGraph(config.network as NetworkDescription)))
  const about = options.task.description === undefined ? '' : `<p>${text(options.task.description)}</p>`
  return document(title, [about, await facts(path, run), ...figures, await again(path, run, options)].join('\n'))
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

async function facts(path: string, run: StoredRun): Promise<string> {
  const { config, metrics } = run
  const { training, precision, versions, instructionSetClass } = config
  const last = metrics.findLast(({ split }) => split === 'validation') ?? metrics.at(-1)
  const changes = await readInterventions(path)
  const rows = [
    ['state', await stateOf(path, run)],
    ['iterations', `${metrics.at(-1)?.iteration ?? 0} of ${training.iterations}, ${training.batchSize} trials each`],
    ['last loss', last === undefined ? '–' : `${last.loss.toFixed(4)} (${last.split})`],
    ['last accuracy', last?.accuracy?.toFixed(3) ?? '–'],
    ['precision', `${precision}, multiply-adds ${instructionSetClass}`],
    ['optimiser', JSON.stringify(training.optimiser)],
    ['rule', JSON.stringify(config.rule)],
    [
      'made by',
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ')
    ],
    ...changes.map(change => [
      'changed',
      `from iteration ${change.iteration} on: ${'stop' in change ? 'stopped' : `learning rate ${change.learningRate}`}`
    ])
  ]
  const row = ([name = '', value = '']: readonly string[]) =>
    `<tr><th scope="row">${text(name)}</th><td>${text(value)}</td></tr>`
  return `<table>${rows.map(row).join('')}</table>`
}

/** The command that makes the run again: `mdgl train` where its options say all of the run, else `mdgl repeat`. */
async function again(path: string, { config }: StoredRun, options: RunSettings): Promise<string> {
  const trained = (await readInterventions(path)).length === 0 ? trainCommand(config, options) : undefined
  const command = trained ?? `mdgl repeat ${shellWord(path)}`
  return `<h2>Again</h2><pre>${text(command)}</pre><p>config.json beside this file has everything that decides the result.</p>`
}

/** The call of `mdgl train` that has a configuration; nothing where its options cannot say it. */
function trainCommand(config: RunConfig, options: RunSettings): string | undefined {
  const { training, task, taskFile, seed, precision } = config
  const rule = ruleLabel(config.rule as Rule)
  if (!(ruleNames as readonly string[]).includes(rule) || config.taskOptions !== undefined) return undefined
  const { learningRate } = training.optimiser as { readonly learningRate?: number | Schedule }
  const choices = [undefined, learningRate].map(rate => ({ ...options, optimiser: undefined, learningRate: rate }))
  const choice = choices.find(chosen => differences(config, runConfig(chosen)).length === 0)
  if (choice === undefined) return undefined
  const rate = choice.learningRate === undefined ? '' : learningRateText(choice.learningRate)
  if (rate === undefined) return undefined
  return [
    `mdgl train ${shellWord(taskFile?.path ?? task)} --rule ${rule} --seed ${seed} --iterations ${training.iterations}`,
    `--batch-size ${training.batchSize} --validate-every ${training.validateEvery} --precision ${precision}`,
    ...(rate === '' ? [] : [`--learning-rate ${rate}`])
  ].join(' ')
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
table { border-collapse: collapse }
th { padding: 0.2rem 1rem 0.2rem 0; text-align: left; vertical-align: top; font-weight: 600 }
td { overflow-wrap: anywhere }
figure { margin: 2rem 0 }
figcaption { margin-bottom: 0.5rem; font-weight: 600 }
svg { display: block; max-width: 100%; height: auto }
pre { padding: 0.8rem; white-space: pre-wrap; background: #f3f3f4 }
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
