import { relative } from 'node:path'
import type { Model } from '../model/model.js'
import { projectionNames } from '../network/names.js'
import type { NamedRun } from '../runs/export-metrics.js'
import { runFolders } from '../runs/folders.js'
import { readRunFolder } from '../runs/run-folder.js'
import { lastModel } from '../runs/stored-snapshot.js'
import { defineCommand } from './command.js'
import { folderArgument } from './folder-argument.js'
import { file, known, UsageError, words } from './options.js'

/** `mdgl export DIR`: a run's weights and metrics in files that other programs read. */
export const exportCommand = defineCommand({
  summary: "a run's weights and metrics for other programs",
  usage: ['<run> [options]', '<folder> --metrics <file>'],
  details: `Weights are the final ones, or those of the last checkpoint of an unfinished run. An .npz holds, as NumPy arrays, the weights of each projection a->b, its senders a->b.pre and receivers a->b.post, and each readout's bias c.bias. Of a folder of runs, such as a sweep's, all metrics go into one table, with a column for each setting in which the runs differ.`,
  options: {
    weights: file('FILE', 'a .safetensors, an .npz or an .npy file', ['.safetensors', '.npz', '.npy']),
    projection: words(
      'A',
      'of an .npy file: the projection, as a matrix with one row per sender and one column per receiver'
    ),
    metrics: file('FILE', 'a .csv or a .parquet file', ['.csv', '.parquet'])
  },
  examples: [
    'mdgl export runs/mine --weights mine.npz',
    "mdgl export runs/mine --weights recurrent.npy --projection 'cells->cells'",
    'mdgl export runs/mine --metrics mine.parquet',
    'mdgl export runs/sweep-rates --metrics all.parquet'
  ],
  async run({ options: { weights, projection, metrics }, rest }) {
    const path = folderArgument(rest)
    if (weights === undefined && metrics === undefined)
      throw new UsageError('--weights FILE or --metrics FILE is missing')
    if ((projection !== undefined) !== (weights?.endsWith('.npy') === true)) {
      throw new UsageError('--projection NAME and --weights FILE.npy go together: such a file holds one')
    }
    if (weights === undefined && metrics !== undefined && (await holdsRuns(path))) return await exportAll(path, metrics)
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
})

/** Whether a folder is that of a sweep or a comparison: no run itself, with runs in it. */
async function holdsRuns(path: string): Promise<boolean> {
  const [first] = await runFolders(path)
  return first !== undefined && first !== path
}

/** The metrics of every run below a folder, in one table. */
async function exportAll(path: string, file: string): Promise<number> {
  const { writeAllMetrics } = await import('../runs/export-metrics.js')
  const found: NamedRun[] = []
  for (const folder of await runFolders(path)) {
    const run = await readRunFolder(folder)
    if (run !== undefined) found.push({ name: relative(path, folder), run })
  }
  await writeAllMetrics(found, file)
  console.log(file)
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
