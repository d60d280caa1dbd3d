import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alignmentJson, type PartAlignment } from '../compare/alignment.js'
import { type Comparison, resultsJson } from '../compare/comparison.js'
import type { FinalIterations } from '../compare/curve.js'
import type { RunSettings } from '../runs/train-run.js'
import { alignmentReport } from './alignment-report.js'

/**
 * Writes a comparison's figures and its learning curves.
 *
 * @returns The path of the PNG picture.
 */
export async function writeResults(comparison: Comparison, out: string): Promise<string> {
  // The plotting libraries are slow to load, and only this needs them.
  const [{ learningCurves }, { toPng }] = await Promise.all([
    import('../plots/learning-curves.js'),
    import('../plots/png.js')
  ])
  await mkdir(out, { recursive: true })
  const svg = learningCurves(comparison)
  const picture = join(out, 'learning-curves.png')
  await writeFile(join(out, 'results.json'), resultsJson(comparison))
  await writeFile(join(out, 'learning-curves.svg'), svg)
  await writeFile(picture, toPng(svg))
  return picture
}

/** Prints the table of the alignment, and writes its figures and its picture. */
export async function showAlignment(
  parts: readonly PartAlignment[],
  options: Omit<RunSettings, 'rule' | 'ruleFile' | 'seed'>,
  out: string,
  finalIterations?: FinalIterations
): Promise<void> {
  const [{ alignmentCurves }, { toPng }] = await Promise.all([
    import('../plots/alignment-curves.js'),
    import('../plots/png.js')
  ])
  const { task, iterations, validateEvery, alignmentEvery: every = validateEvery } = options
  const svg = alignmentCurves(parts, iterations)
  const picture = join(out, 'alignment.png')
  await writeFile(join(out, 'alignment.json'), alignmentJson(task.name, every, parts, finalIterations))
  await writeFile(join(out, 'alignment.svg'), svg)
  await writeFile(picture, toPng(svg))
  console.log(`\n${alignmentReport(parts, every, finalIterations)}\n\nAlignment: ${picture}`)
}
