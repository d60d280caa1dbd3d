import type { TrialSnapshot } from '../../analysis/trial-snapshot.js'
import type { AlignmentRecord, Frame, Metrics, RunInfo } from '../frames.js'

/** Everything the page knows of one run. */
export interface KnownRun {
  info: RunInfo
  readonly train: Metrics[]
  readonly validation: Metrics[]
  readonly alignment: AlignmentRecord[]
  snapshot: TrialSnapshot | undefined
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
      if (known === undefined)
        this.runs.set(info.id, { info, train: [], validation: [], alignment: [], snapshot: undefined })
      else known.info = info
    }
    for (const [id, metrics] of Object.entries(frame.metrics)) {
      const known = this.runs.get(id)
      for (const line of metrics) known?.[line.split].push(line)
    }
    for (const [id, alignment] of Object.entries(frame.alignment)) {
      const known = this.runs.get(id)
      for (const record of alignment) known?.alignment.push(record)
    }
    for (const [id, snapshot] of Object.entries(frame.snapshots)) {
      const known = this.runs.get(id)
      if (known !== undefined) known.snapshot = snapshot
    }
  }
}
