import { readFileSync } from 'node:fs'
import type { Curve } from './curve.js'
import { groupBy } from './group-by.js'

interface PublishedRun extends Curve {
  readonly rule: string
}

/** The curves published with the paper's code, by rule; none for a task that is not the paper's. */
export function publishedCurves(task: string): ReadonlyMap<string, readonly Curve[]> {
  if (task !== 'evidence-accumulation') return new Map()
  const file = new URL('../data/fig3c-published.json', import.meta.url)
  const { runs } = JSON.parse(readFileSync(file, 'utf8')) as { readonly runs: readonly PublishedRun[] }
  return groupBy(runs, ({ rule }) => rule)
}
