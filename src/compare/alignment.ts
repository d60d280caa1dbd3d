import type { GradientAlignment } from '../analysis/alignment.js'
import type { AlignmentRecord } from '../runs/alignment-record.js'
import { mean, standardDeviation } from '../support/averages.js'
import { type FinalIterations, firstFinal, type Series } from './curve.js'
import { groupBy } from './group-by.js'
import type { FinishedRun } from './runs.js'

/** The format of alignment.json. */
const ALIGNMENT_FORMAT = 'mdgl-alignment/1'

/** The name under which all plastic projections stand together. */
const ALL = 'all'

/** Mean and standard deviation over seeds, and how many seeds have a value. */
export interface OverSeeds {
  readonly seeds: number
  readonly mean: number
  readonly deviation: number
}

/** A rule's alignment to BPTT in one part of the network: null where no seed has a value. */
export interface PartAlignment {
  /** Its name. */
  readonly rule: string
  /** `'all'` first, then a projection's name. */
  readonly part: string
  /** The mean over the run. */
  readonly cosine: OverSeeds | null
  /** Means over the records of the end of the run. */
  readonly final: {
    readonly cosine: OverSeeds | null
    /** In degrees. */
    readonly angle: OverSeeds | null
    readonly normRatio: OverSeeds | null
  }
  /** The cosine along each seed's run, records without one left out. */
  readonly series: readonly Series[]
  /** How many records have no cosine, and of how many. */
  readonly without: { readonly records: number; readonly of: number }
}

/** Sums up the alignments of finished runs, by rule and part. */
export function summariseAlignment(runs: readonly FinishedRun[], finalIterations?: FinalIterations): PartAlignment[] {
  return [...groupBy(runs, ({ rule }) => rule)].flatMap(([rule, ruleRuns]) => {
    const records = ruleRuns.map(({ alignment }) => alignment ?? [])
    const parts = [ALL, ...Object.keys(records[0]?.[0]?.projections ?? {})]
    return parts.map((part, i) =>
      partAlignment(
        rule,
        part,
        records.map(run => run.map(pick(i === 0 ? null : part))),
        finalIterations
      )
    )
  })
}

interface Entry extends GradientAlignment {
  readonly iteration: number
}

const NONE: GradientAlignment = { cosine: null, angle: null, normRatio: null }

/** A record's figures of one projection, or of all. */
const pick =
  (projection: string | null) =>
  ({ iteration, all, projections }: AlignmentRecord): Entry => ({
    iteration,
    ...(projection === null ? all : (projections[projection] ?? NONE))
  })

function partAlignment(
  rule: string,
  part: string,
  runs: readonly (readonly Entry[])[],
  finalIterations: FinalIterations
): PartAlignment {
  const finals = runs.map(entries =>
    entries.slice(
      firstFinal(
        entries.map(({ iteration }) => iteration),
        finalIterations
      )
    )
  )
  const entries = runs.flat()
  return {
    rule,
    part,
    cosine: overSeeds(runs, 'cosine'),
    final: {
      cosine: overSeeds(finals, 'cosine'),
      angle: overSeeds(finals, 'angle'),
      normRatio: overSeeds(finals, 'normRatio')
    },
    series: runs.map(cosines),
    without: { records: entries.filter(({ cosine }) => cosine === null).length, of: entries.length }
  }
}

/** Over the seeds' means of the records that have a value. */
function overSeeds(runs: readonly (readonly Entry[])[], figure: keyof GradientAlignment): OverSeeds | null {
  const means = runs.flatMap(entries => {
    const known = entries.flatMap(entry => entry[figure] ?? [])
    return known.length === 0 ? [] : [mean(known)]
  })
  return means.length === 0 ? null : { seeds: means.length, mean: mean(means), deviation: standardDeviation(means) }
}

function cosines(entries: readonly Entry[]): Series {
  const known = entries.flatMap(({ iteration, cosine }) => (cosine === null ? [] : [{ iteration, cosine }]))
  return { iterations: known.map(({ iteration }) => iteration), values: known.map(({ cosine }) => cosine) }
}

/** alignment.json: every figure of the table. */
export function alignmentJson(
  task: string,
  every: number,
  parts: readonly PartAlignment[],
  finalIterations?: FinalIterations
): string {
  const figures = parts.map(({ series, ...figures }) => figures)
  const results = { format: ALIGNMENT_FORMAT, task, every, finalIterations: finalIterations ?? null, parts: figures }
  return `${JSON.stringify(results, null, 2)}\n`
}
