import { readFileSync } from 'node:fs'
import { publishedCurvesFile } from '../runs/command-file.js'
import type { Curve } from './curve.js'
import { groupBy } from './group-by.js'

interface PublishedRun extends Curve {
  readonly rule: string
}

/** The curves published with the paper's code, by rule; none for a task that is not the paper's. */
export function publishedCurves(task: string): ReadonlyMap<string, readonly Curve[]> {
  if (task !== 'evidence-accumulation') return new Map()
  const { runs } = JSON.parse(readFileSync(publishedCurvesFile(), 'utf8')) as { readonly runs: readonly PublishedRun[] }
  return groupBy(runs, ({ rule }) => rule)
}
