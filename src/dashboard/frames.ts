// What the server and the page tell each other. Nothing here needs Node or a browser.

import type { TrialSnapshot } from '../analysis/trial-snapshot.js'
import type { Metrics } from '../operations/train.js'
import type { AlignmentRecord } from '../runs/alignment-record.js'

export type { AlignmentRecord, Metrics }

/** What a run is doing. */
export type RunState = 'running' | 'paused' | 'finished' | 'stopped' | 'failed' | 'unfinished'

/** A run as the page lists it. */
export interface RunInfo {
  /** Its folder, the key everywhere. */
  readonly id: string
  readonly task: string
  /** The rule's name, or what its value comes to. */
  readonly rule: string
  readonly seed: number
  readonly iterations: number
  readonly state: RunState
  /** The process that trains it, where that is another than this server. */
  readonly process?: { readonly pid: number; readonly host: string }
  /** Whether this server may pause, stop and change it. */
  readonly controllable: boolean
  /** The optimiser's current learning rate. */
  readonly learningRate: number
  /** The channels of the rule, and what their gains are multiplied by; none where they cannot be perturbed. */
  readonly channels: readonly { readonly name: string; readonly factor: number }[]
  /** The loss's unit, for the axis of its curves. */
  readonly lossUnit: string
  /** What an output that tells nothing comes to; null where that is not known of the loss. */
  readonly chance: { readonly loss: number; readonly accuracy: number } | null
  /** The regulariser's target in Hz; null where there is none. */
  readonly targetRate: number | null
  /** The iteration whose weights the folder holds, from which a trial can be shown; null where it holds none. */
  readonly kept: number | null
  /** What was noticed about the run, each once. */
  readonly warnings: readonly string[]
}

/** What changed since the last frame. The first frame of a connection has everything. */
export interface Frame {
  /** Names the server's start: another one means that everything before is void. */
  readonly session: string
  readonly whole: boolean
  readonly runs: readonly RunInfo[]
  readonly metrics: { readonly [run: string]: readonly Metrics[] }
  readonly alignment: { readonly [run: string]: readonly AlignmentRecord[] }
  readonly snapshots: { readonly [run: string]: TrialSnapshot }
}

/** What a learning rate may be, in words and as a check: the same for the field of the page, the request and the run. */
export const LEARNING_RATE = 'a number above 0'
export const isLearningRate = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0

/** What a channel's factor may be, in words. */
export const CHANNEL_FACTOR = 'a finite number: 0 blocks the channel'

/** What the page asks of a run: POST /api/control. */
export type Control =
  | { readonly run: string; readonly action: 'pause' | 'resume' | 'stop' }
  | { readonly run: string; readonly action: 'learning-rate'; readonly value: number }
  | { readonly run: string; readonly action: 'channel'; readonly channel: string; readonly value: number }
