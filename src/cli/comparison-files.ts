import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alignmentJson, type PartAlignment } from '../compare/alignment.js'
import { type Comparison, resultsJson } from '../compare/comparison.js'
import type { FinalIterations } from '../compare/curve.js'
import type { PictureStyle } from '../plots/picture-style.js'
import type { RunSettings } from '../runs/train-run.js'
import { alignmentReport } from './alignment-report.js'
import { widthFor, writePicture } from './picture-file.js'

/**
 * Writes a comparison's figures and its learning curves.
 *
 * @returns The path of the PNG picture.
 */
export async function writeResults(comparison: Comparison, out: string, style?: PictureStyle): Promise<string> {
  // The plotting libraries are slow to load, and only this needs them.
  const { learningCurves } = await import('../plots/learning-curves.js')
  await mkdir(out, { recursive: true })
  const svg = learningCurves(comparison, widthFor(style))
  const picture = join(out, 'learning-curves.png')
  await writeFile(join(out, 'results.json'), resultsJson(comparison))
  await writePicture(join(out, 'learning-curves.svg'), svg, style)
  await writePicture(picture, svg, style)
  return picture
}

/** Prints the table of the alignment, and writes its figures and its picture. */
export async function showAlignment(
  parts: readonly PartAlignment[],
  options: Omit<RunSettings, 'rule' | 'ruleFile' | 'seed'>,
  out: string,
  finalIterations?: FinalIterations,
  style?: PictureStyle
): Promise<void> {
  const { alignmentCurves } = await import('../plots/alignment-curves.js')
  const { task, iterations, validateEvery, alignmentEvery: every = validateEvery } = options
  const svg = alignmentCurves(parts, iterations, widthFor(style))
  const picture = join(out, 'alignment.png')
  await writeFile(join(out, 'alignment.json'), alignmentJson(task.name, every, parts, finalIterations))
  await writePicture(join(out, 'alignment.svg'), svg, style)
  await writePicture(picture, svg, style)
  console.log(`\n${alignmentReport(parts, every, finalIterations)}\n\nAlignment: ${picture}`)
}
