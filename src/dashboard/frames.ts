// What the server and the page tell each other. Nothing here needs Node or a browser.
import type { AlignmentRecord } from '../runs/alignment-record.js'
import type { Metrics } from '../train.js'

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
  /** Whether this server may pause, stop and change it. */
  readonly controllable: boolean
  /** The optimiser's learning rate of the moment. */
  readonly learningRate: number
}

/** One line of metrics, without what a curve does not show. */
export type Row = Pick<Metrics, 'iteration' | 'split' | 'loss' | 'accuracy' | 'rate' | 'msPerIteration'>

/** The angle to BPTT's gradient at an iteration. */
export type Angle = Pick<AlignmentRecord, 'iteration'> & { readonly cosine: number | null }

/** Neurons of one cell type, in the order of the raster. */
export interface TypeRows {
  readonly name: string
  readonly neurons: readonly number[]
}

/** A signal's mean over the cells of each type. */
export interface SignalByType {
  readonly name: string
  /** One a step. */
  readonly values: readonly number[]
}

/** A projection's weights. */
export interface WeightsLook {
  readonly name: string
  /** Edges of the bins, and how many weights each holds: now, and when the run was first looked at. */
  readonly edges: readonly number[]
  readonly now: readonly number[]
  readonly first: readonly number[]
  /** ‖W − W_first‖ / ‖W_first‖. */
  readonly moved: number
  readonly synapses: number
}

/** One trial of the network as it is now. */
export interface Look {
  readonly iteration: number
  readonly steps: number
  /** Step in ms. */
  readonly dt: number
  readonly types: readonly TypeRows[]
  readonly inputUnits: number
  /** Pairs (step, unit). */
  readonly inputs: readonly number[]
  /** Pairs (step, neuron). */
  readonly spikes: readonly number[]
  /** y of each readout unit, one a step. */
  readonly outputs: readonly SignalByType[]
  /** Firing rate of each type in the trial, in Hz. */
  readonly rates: readonly { readonly name: string; readonly rate: number }[]
  /** Mean |L| and |Γ| of each type; none where the rule has no such signal to record. */
  readonly learning: readonly SignalByType[]
  readonly modulation: readonly SignalByType[]
  readonly weights: readonly WeightsLook[]
}

/** One neuron of the last look: GET /api/neuron. */
export interface NeuronTrace {
  readonly iteration: number
  readonly neuron: number
  readonly type: string
  readonly dt: number
  /** v, and A = thr + β b, one a step. */
  readonly voltage: readonly number[]
  readonly threshold: readonly number[]
  /** L and Γ, empty where none is recorded. */
  readonly learning: readonly number[]
  readonly modulation: readonly number[]
}

/** What changed since the last frame. The first frame of a connection has everything. */
export interface Frame {
  /** Names the server's start: another one means that everything before is void. */
  readonly session: string
  readonly whole: boolean
  readonly runs: readonly RunInfo[]
  readonly rows: { readonly [run: string]: readonly Row[] }
  readonly angles: { readonly [run: string]: readonly Angle[] }
  readonly looks: { readonly [run: string]: Look }
}

/** What the page asks of a run: POST /api/control. */
export type Control =
  | { readonly run: string; readonly action: 'pause' | 'resume' | 'stop' }
  | { readonly run: string; readonly action: 'learning-rate'; readonly value: number }
