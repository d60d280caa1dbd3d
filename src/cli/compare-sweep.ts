import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { summariseAlignment } from '../compare/alignment.js'
import { type Comparison, figures, summarise } from '../compare/comparison.js'
import { groupBy } from '../compare/group-by.js'
import { measureOf } from '../compare/measure.js'
import { type FinishedRun, keptRun } from '../compare/runs.js'
import type { PictureStyle } from '../plots/picture-style.js'
import { shellWord } from '../support/shell-word.js'
import type { Combination } from '../sweep/combinations.js'
import { combinationFolder, loadSweep, runOf, type Sweep, type SweepItem } from '../sweep/sweep.js'
import { showAlignment, writeResults } from './comparison-files.js'
import { type Given, noArgument, type Options, UsageError } from './options.js'
import { readStyle } from './picture-file.js'
import { report, sweepReport } from './report.js'
import { sweepFolder } from './sweep-folder.js'

/** The format of sweep.json. */
const MERGED_FORMAT = 'mdgl-sweep-results/1'

/** A combination of which some runs are finished. */
interface MergedCombination {
  readonly combination: Combination
  readonly values: readonly string[]
  readonly comparison: Comparison
}

/** `mdgl compare --sweep PLAN`: the finished runs of a sweep together; exit code 1 where some are missing. */
export async function mergeSweep({ options, rest }: Given<Options>, plan: string): Promise<number> {
  const other = Object.keys(options).find(name => !['sweep', 'out', 'style'].includes(name))
  if (other !== undefined) throw new UsageError(`--${other} is set in the plan, not beside --sweep`)
  noArgument(rest, ' beside --sweep')
  const sweep = await loadSweep(plan)
  const given = typeof options.out === 'string' ? options.out : undefined
  const out = given ?? sweepFolder(sweep)
  const style = await readStyle(typeof options.style === 'string' ? options.style : undefined)
  const { runs, missing } = await finishedRuns(sweep, out)
  if (runs.length > 0) await show(sweep, out, await mergedCells(runs, out, style), missing)
  if (missing.length === 0) return 0
  const elsewhere = given === undefined ? '' : ` --out ${shellWord(out)}`
  const which = missing.map(({ index, label }) => `item ${index} (${label})`).join('; ')
  console.error(
    `mdgl: ${missing.length} of ${sweep.items.length} items are not finished in ${out}: ${which}; \`mdgl sweep ${shellWord(plan)}${elsewhere}\` continues with them`
  )
  return 1
}

async function finishedRuns(sweep: Sweep, out: string) {
  const runs: { readonly combination: Combination; readonly run: FinishedRun }[] = []
  const missing: SweepItem[] = []
  for (const item of sweep.items) {
    const run = await keptRun(runOf(item, 1), combinationFolder(out, item.combination))
    if (run === undefined) missing.push(item)
    else runs.push({ combination: item.combination, run })
  }
  return { runs, missing }
}

/** Sums up each combination, and writes its figures and curves into its folder, as `mdgl compare` does. */
async function mergedCells(
  runs: readonly { readonly combination: Combination; readonly run: FinishedRun }[],
  out: string,
  style: PictureStyle | undefined
): Promise<MergedCombination[]> {
  const merged: MergedCombination[] = []
  for (const [combination, ofCombination] of groupBy(runs, ({ combination }) => combination)) {
    const { task, iterations, alignmentEvery } = combination.options
    const finished = ofCombination.map(({ run }) => run)
    const comparison = summarise(combination.title, iterations, finished, await measureOf(task))
    const folder = combinationFolder(out, combination)
    await writeResults(comparison, folder, style)
    if (alignmentEvery !== undefined)
      await showAlignment(summariseAlignment(finished), combination.options, folder, undefined, style)
    merged.push({ combination, values: combination.values, comparison })
  }
  return merged
}

/** Prints the table and writes sweep.json. */
async function show(
  { name, axes }: Sweep,
  out: string,
  merged: readonly MergedCombination[],
  missing: readonly SweepItem[]
): Promise<void> {
  const file = join(out, 'sweep.json')
  await mkdir(out, { recursive: true })
  await writeFile(file, mergedJson(axes, merged, missing))
  const [first] = merged
  const table = axes.length === 0 && first ? report(first.comparison) : sweepReport(name, axes, merged)
  const curves = merged.map(({ combination }) => join(combinationFolder(out, combination), 'learning-curves.png'))
  console.log(`${table}\n\nFigures: ${file}\nLearning curves: ${curves.join('\n                 ')}`)
}

function mergedJson(
  axes: readonly string[],
  merged: readonly MergedCombination[],
  missing: readonly SweepItem[]
): string {
  const cells = merged.map(({ values, comparison }) => ({
    values: Object.fromEntries(axes.map((axis, i) => [axis, values[i]])),
    ...figures(comparison)
  }))
  const absent = missing.map(({ index, label }) => ({ index, label }))
  return `${JSON.stringify({ format: MERGED_FORMAT, axes, cells, missing: absent }, null, 2)}\n`
}
