import type { Look } from '../../analysis/look.js'
import type { Angle, Frame, Row, RunInfo } from '../frames.js'

/** Everything the page knows of one run. */
export interface KnownRun {
  info: RunInfo
  readonly train: Row[]
  readonly validation: Row[]
  readonly angles: Angle[]
  look: Look | undefined
}

/** The runs as the frames so far tell them. */
export class Store {
  readonly runs = new Map<string, KnownRun>()
  session = ''

  /** Takes a frame in; a whole one replaces all. */
  take(frame: Frame): void {
    if (frame.whole) {
      this.runs.clear()
      this.session = frame.session
    }
    for (const info of frame.runs) {
      const known = this.runs.get(info.id)
      if (known === undefined) this.runs.set(info.id, { info, train: [], validation: [], angles: [], look: undefined })
      else known.info = info
    }
    for (const [id, rows] of Object.entries(frame.rows)) {
      const known = this.runs.get(id)
      for (const row of rows) known?.[row.split].push(row)
    }
    for (const [id, angles] of Object.entries(frame.angles)) {
      const known = this.runs.get(id)
      for (const angle of angles) known?.angles.push(angle)
    }
    for (const [id, look] of Object.entries(frame.looks)) {
      const known = this.runs.get(id)
      if (known !== undefined) known.look = look
    }
  }

  /** The runs by rule, in the order in which they came. */
  byRule(): Map<string, KnownRun[]> {
    const groups = new Map<string, KnownRun[]>()
    for (const run of this.runs.values()) groups.set(run.info.rule, [...(groups.get(run.info.rule) ?? []), run])
    return groups
  }
}
