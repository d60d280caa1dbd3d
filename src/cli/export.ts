import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { Model } from '../model.js'
import { readRunFolder } from '../run-folder.js'
import { readCheckpoint } from '../runs/checkpoints.js'
import { split, text, UsageError } from './arguments.js'
import { EXPORT_HELP } from './help.js'
import { folderArgument } from './resume.js'

const OPTIONS = {
  weights: { type: 'string' },
  metrics: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

/** `mdgl export DIR`: a run's weights and metrics in files that other programs read. */
export async function exportCommand(args: readonly string[]): Promise<number> {
  const given = split(args, OPTIONS)
  if (given.options.help) {
    console.log(EXPORT_HELP)
    return 0
  }
  const path = folderArgument(given.rest)
  const [weights, metrics] = [text(given, 'weights'), text(given, 'metrics')]
  if (weights === undefined && metrics === undefined)
    throw new UsageError('--weights FILE or --metrics FILE is missing')
  ending('weights', weights, ['.safetensors', '.npz'])
  ending('metrics', metrics, ['.csv', '.parquet'])
  const run = await readRunFolder(path)
  if (run === undefined) throw new Error(`${path} holds no run`)
  if (weights !== undefined) {
    using model = await lastModel(path)
    const { writeNpz } = await import('../runs/export-weights.js')
    if (weights.endsWith('.npz')) await writeNpz(model, weights)
    else await model.save(weights)
    console.log(weights)
  }
  if (metrics !== undefined) {
    const { writeMetrics } = await import('../runs/export-metrics.js')
    await writeMetrics(run.metrics, metrics)
    console.log(metrics)
  }
  return 0
}

/** The final weights, or those of the last checkpoint. */
async function lastModel(path: string): Promise<Model> {
  const final = join(path, 'weights.safetensors')
  const finished = await access(final).then(
    () => true,
    () => false
  )
  if (finished) return await Model.load(final)
  const checkpoint = await readCheckpoint(path, message => console.error(`mdgl: ${message}`))
  if (checkpoint === undefined) throw new Error(`the run in ${path} is unfinished and has no whole checkpoint`)
  console.error(`mdgl: the run is unfinished; the weights are those after iteration ${checkpoint.iteration}`)
  return checkpoint.model
}

function ending(option: string, file: string | undefined, allowed: readonly string[]): void {
  if (file === undefined || allowed.some(end => file.endsWith(end))) return
  throw new UsageError(`--${option} is '${file}'; it must end in ${allowed.join(' or ')}`)
}
