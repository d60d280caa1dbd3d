import type { Model } from '../model/model.js'
import { projectionNames } from '../network/names.js'
import { readRunFolder } from '../runs/run-folder.js'
import { lastModel } from '../runs/stored-snapshot.js'
import { known, split, text, UsageError } from './arguments.js'
import { EXPORT_HELP } from './help.js'
import { folderArgument } from './resume.js'

export const EXPORT_OPTIONS = {
  weights: { type: 'string' },
  projection: { type: 'string' },
  metrics: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

/** `mdgl export DIR`: a run's weights and metrics in files that other programs read. */
export async function exportCommand(args: readonly string[]): Promise<number> {
  const given = split(args, EXPORT_OPTIONS)
  if (given.options.help) {
    console.log(EXPORT_HELP)
    return 0
  }
  const path = folderArgument(given.rest)
  const [weights, metrics] = [text(given, 'weights'), text(given, 'metrics')]
  if (weights === undefined && metrics === undefined)
    throw new UsageError('--weights FILE or --metrics FILE is missing')
  ending('weights', weights, ['.safetensors', '.npz', '.npy'])
  const projection = text(given, 'projection')
  if ((projection !== undefined) !== (weights?.endsWith('.npy') === true)) {
    throw new UsageError('--projection NAME and --weights FILE.npy go together: such a file holds one')
  }
  ending('metrics', metrics, ['.csv', '.parquet'])
  const run = await readRunFolder(path)
  if (run === undefined) throw new Error(`${path} holds no run`)
  if (weights !== undefined) {
    using model = await weightsToExport(path, Number(run.config.training.iterations))
    const { exportAllWeights, exportProjection } = await import('../runs/export-weights.js')
    if (weights.endsWith('.npz')) await exportAllWeights(model, weights)
    else if (projection !== undefined)
      await exportProjection(model, known(projection, '--projection', projectionNames(model.description)), weights)
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

async function weightsToExport(path: string, iterations: number): Promise<Model> {
  const last = await lastModel(path, iterations, message => console.error(`mdgl: ${message}`))
  if (last === undefined) throw new Error(`the run in ${path} is unfinished and has no whole checkpoint`)
  if (last.iteration < iterations) {
    console.error(`mdgl: the run is unfinished; the weights are those after iteration ${last.iteration}`)
  }
  return last.model
}

function ending(option: string, file: string | undefined, allowed: readonly string[]): void {
  if (file === undefined || allowed.some(end => file.endsWith(end))) return
  throw new UsageError(`--${option} is '${file}'; it must end in ${allowed.join(' or ')}`)
}
