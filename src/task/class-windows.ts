import { inMs, toSpan } from '../network/duration.js'
import { array, record, wholeNumber } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { ClassWindow } from './batch.js'

/** The trials for which windows are given, and the readout's number of units. */
export interface WindowedTrials {
  /** Steps of each trial. */
  readonly lengths: readonly number[]
  readonly dt: number
  readonly classes: number
  /** Whether they are a part of a batch, in which there may be no window. */
  readonly part: boolean
}

const FIELDS = 4

interface Window {
  readonly trial: number
  readonly from: number
  readonly to: number
  readonly class: number
  /** Where the caller has it. */
  readonly path: string
}

/** Checks windows and packs them in the order of trials and steps: trial, first step, end step, class. */
export function encodeWindows(given: unknown, trials: WindowedTrials, path: string): Uint32Array {
  const listed = array(given as readonly ClassWindow[], path)
  if (listed.length === 0 && !trials.part) throw invalid(path, given, 'at least one window {trial, from, to, class}')
  const windows = listed.map((window, i) => encodeWindow(window, trials, `${path}[${i}]`))
  windows.sort((a, b) => a.trial - b.trial || a.from - b.from)
  refuseOverlaps(windows, trials.dt)
  const packed = new Uint32Array(FIELDS * windows.length)
  for (const [i, { trial, from, to, class: right }] of windows.entries())
    packed.set([trial, from, to, right], FIELDS * i)
  return packed
}

function encodeWindow(window: ClassWindow, { lengths, dt, classes }: WindowedTrials, path: string): Window {
  record(window, path, ['trial', 'from', 'to', 'class'])
  const trial = wholeNumber(window.trial, `${path}.trial`, 0, lengths.length - 1)
  const length = lengths[trial] ?? 0
  const { from, to } = toSpan(window, dt, path)
  if (to > length) throw invalid(`${path}.to`, window.to, `at most the trial's end, ${inMs(length, dt)} ms`)
  if (from === to)
    throw invalid(`${path}.from`, window.from, `a step (${dt} ms) before the window's end, ${window.to} ms`)
  return { trial, from, to, class: wholeNumber(window.class, `${path}.class`, 0, classes - 1), path }
}

/** A step has one right class. */
function refuseOverlaps(windows: readonly Window[], dt: number): void {
  for (const [i, window] of windows.entries()) {
    const before = windows[i - 1]
    if (before === undefined || before.trial !== window.trial || before.to <= window.from) continue
    const allowed = `at least ${inMs(before.to, dt)} ms, where ${before.path} of the same trial ends`
    throw invalid(`${window.path}.from`, inMs(window.from, dt), allowed)
  }
}
