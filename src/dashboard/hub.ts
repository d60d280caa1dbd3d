import { randomUUID } from 'node:crypto'
import type { Look } from '../analysis/look.js'
import type { Angle, Frame, Row, RunInfo } from './frames.js'

/** Frames a second at most. */
const INTERVAL = 100
/** Points of a run's curve that a new page is sent. */
const MOST_ROWS = 4000

interface Known {
  info: RunInfo
  rows: Row[]
  angles: Angle[]
  look: Look | undefined
}

/** Everything known of the runs, and who wants to hear of changes. Changes are gathered and sent ten times a second. */
export class Hub {
  readonly session = randomUUID()
  readonly #runs = new Map<string, Known>()
  readonly #listeners = new Set<(frame: Frame) => void>()
  #changes = new Map<string, Known>()
  #timer: NodeJS.Timeout | undefined

  /** Whether anybody looks. */
  get watched(): boolean {
    return this.#listeners.size > 0
  }

  info(id: string): RunInfo | undefined {
    return this.#runs.get(id)?.info
  }

  /** Adds a run, or says what has become of it. */
  describe(info: RunInfo): void {
    const known = this.#runs.get(info.id)
    if (known === undefined) this.#runs.set(info.id, { info, rows: [], angles: [], look: undefined })
    else known.info = info
    this.#changed(info.id)
  }

  /** A run begins anew: what was known of its course is void. */
  forget(id: string): void {
    const known = this.#runs.get(id)
    if (known === undefined) return
    this.#runs.set(id, { info: known.info, rows: [], angles: [], look: undefined })
    // Pages cannot be told to drop rows; they get everything again.
    for (const listener of this.#listeners) listener(this.whole())
  }

  addRows(id: string, rows: readonly Row[]): void {
    const [known, change] = [this.#runs.get(id), this.#changed(id)]
    for (const row of rows) {
      known?.rows.push(row)
      change?.rows.push(row)
    }
  }

  addAngles(id: string, angles: readonly Angle[]): void {
    const [known, change] = [this.#runs.get(id), this.#changed(id)]
    for (const angle of angles) {
      known?.angles.push(angle)
      change?.angles.push(angle)
    }
  }

  look(id: string, look: Look): void {
    const known = this.#runs.get(id)
    if (known !== undefined) known.look = look
    const change = this.#changed(id)
    if (change !== undefined) change.look = look
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
    const runs = new Map([...this.#runs].map(([id, known]) => [id, { ...known, rows: thinned(known.rows) }]))
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
    const change = this.#changes.get(id) ?? { info: known.info, rows: [], angles: [], look: undefined }
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
  return {
    session,
    whole,
    runs: entries.map(([, { info }]) => info),
    rows: Object.fromEntries(entries.filter(([, { rows }]) => rows.length > 0).map(([id, { rows }]) => [id, rows])),
    angles: Object.fromEntries(
      entries.filter(([, { angles }]) => angles.length > 0).map(([id, { angles }]) => [id, angles])
    ),
    looks: Object.fromEntries(entries.flatMap(([id, { look }]) => (look === undefined ? [] : [[id, look]])))
  }
}

/** All validations, and of the training steps an even sample. */
function thinned(rows: readonly Row[]): Row[] {
  const stride = Math.ceil(rows.length / MOST_ROWS)
  return rows.filter(({ split, iteration }) => split === 'validation' || iteration % stride === 0)
}
