import { ofRule } from './colours.js'
import type { KnownRun } from './store.js'

/** Runs that are averaged together: of one task, rule and length. */
export interface Group {
  readonly key: string
  readonly label: string
  readonly colour: string
  /** Whether another group of the same rule comes before it, so that its lines are dashed. */
  readonly place: number
  readonly members: readonly KnownRun[]
}

/** Runs by task, rule and length, in the order in which they came; a label names what the groups differ in. */
export function groupsOf(runs: readonly KnownRun[]): Group[] {
  const byKey = new Map<string, KnownRun[]>()
  for (const run of runs) {
    const { task, rule, iterations } = run.info
    const key = JSON.stringify([task, rule, iterations])
    const group = byKey.get(key)
    if (group === undefined) byKey.set(key, [run])
    else group.push(run)
  }
  const tasks = new Set(runs.map(({ info }) => info.task))
  const lengths = new Set(runs.map(({ info }) => info.iterations))
  const places = new Map<string, number>()
  return [...byKey].map(([key, members]) => {
    const [task, rule, iterations] = JSON.parse(key) as [string, string, number]
    const { label, colour } = ofRule(rule)
    const parts = [label, ...(tasks.size > 1 ? [task] : []), ...(lengths.size > 1 ? [`${iterations} iterations`] : [])]
    const place = places.get(rule) ?? 0
    places.set(rule, place + 1)
    return { key, label: parts.join(', '), colour, place, members }
  })
}
