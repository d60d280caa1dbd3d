import { randomUUID } from 'node:crypto'
import type { TrialSnapshot } from '../analysis/trial-snapshot.js'
import type { Metrics } from '../operations/train.js'
import type { AlignmentRecord } from '../runs/alignment-record.js'
import type { Frame, RunInfo } from './frames.js'

/** Frames per second, at most. */
const INTERVAL = 100
/** Points of a run's curve that a new page is sent. */
const MOST_POINTS = 4000

/** What a run has done. */
interface RunHistory {
  readonly metrics: Metrics[]
  readonly alignment: AlignmentRecord[]
  snapshot: TrialSnapshot | undefined
}

interface Known extends RunHistory {
  info: RunInfo
}

const nothingOf = (info: RunInfo): Known => ({ info, metrics: [], alignment: [], snapshot: undefined })

/** The known state of all runs, and the subscribers to its changes, which are sent in batches, ten per second. */
export class EventHub {
  readonly session = randomUUID()
  readonly #runs = new Map<string, Known>()
  readonly #listeners = new Set<(frame: Frame) => void>()
  #changes = new Map<string, Known>()
  #timer: NodeJS.Timeout | undefined

  /** Whether anybody snapshots. */
  get watched(): boolean {
    return this.#listeners.size > 0
  }

  info(id: string): RunInfo | undefined {
    return this.#runs.get(id)?.info
  }

  /** Adds a run, or says what has become of it. */
  describe(info: RunInfo): void {
    const known = this.#runs.get(info.id)
    if (known === undefined) this.#runs.set(info.id, nothingOf(info))
    else known.info = info
    this.#changed(info.id)
  }

  /** A run begins anew: what was known of its course is void. */
  forget(id: string): void {
    const known = this.#runs.get(id)
    if (known === undefined) return
    this.#runs.set(id, nothingOf(known.info))
    // Pages cannot be told to drop metrics; they get everything again.
    for (const listener of this.#listeners) listener(this.whole())
  }

  /** Adds to the course of a run. */
  add(id: string, { metrics = [], alignment = [], snapshot }: Partial<RunHistory>): void {
    for (const course of [this.#runs.get(id), this.#changed(id)]) {
      if (course === undefined) continue
      for (const line of metrics) course.metrics.push(line)
      for (const record of alignment) course.alignment.push(record)
      course.snapshot = snapshot ?? course.snapshot
    }
  }

  /** Calls with everything, then with every change; gives what ends it. */
  subscribe(listener: (frame: Frame) => void): () => void {
    // What has gathered is part of the whole, and not news to the one who comes now.
    this.#flush()
    this.#listeners.add(listener)
    listener(this.whole())
    return () => {
      this.#listeners.delete(listener)
    }
  }

  whole(): Frame {
    const runs = new Map([...this.#runs].map(([id, known]) => [id, { ...known, metrics: thinned(known.metrics) }]))
    return frame(this.session, true, runs)
  }

  /** Sends what has gathered, and stops the clock. */
  close(): void {
    this.#flush()
    this.#listeners.clear()
  }

  #changed(id: string): Known | undefined {
    const known = this.#runs.get(id)
    if (known === undefined || !this.watched) return undefined
    const change = this.#changes.get(id) ?? nothingOf(known.info)
    change.info = known.info
    this.#changes.set(id, change)
    this.#timer ??= setTimeout(() => this.#flush(), INTERVAL)
    return change
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const changes = this.#changes
    this.#changes = new Map()
    if (changes.size === 0) return
    const changed = frame(this.session, false, changes)
    for (const listener of this.#listeners) listener(changed)
  }
}

function frame(session: string, whole: boolean, runs: ReadonlyMap<string, Known>): Frame {
  const entries = [...runs]
  const listed = <T>(of: (known: Known) => readonly T[]) =>
    Object.fromEntries(entries.map(([id, known]) => [id, of(known)] as const).filter(([, all]) => all.length > 0))
  return {
    session,
    whole,
    runs: entries.map(([, { info }]) => info),
    metrics: listed(({ metrics }) => metrics),
    alignment: listed(({ alignment }) => alignment),
    snapshots: Object.fromEntries(
      entries.flatMap(([id, { snapshot }]) => (snapshot === undefined ? [] : [[id, snapshot]]))
    )
  }
}

/** All validations, and of the training steps an even sample. */
function thinned(metrics: readonly Metrics[]): Metrics[] {
  const stride = Math.ceil(metrics.length / MOST_POINTS)
  return metrics.filter(({ split, iteration }) => split === 'validation' || iteration % stride === 0)
}
