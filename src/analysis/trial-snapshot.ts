import { cellConstants, type Model } from '../model/model.js'
import type { ProjectionValues } from '../model/projection-values.js'
import type { WholeDescription } from '../network/description.js'
import { plasticNames } from '../network/names.js'
import type { RecordingShape } from '../network/recording-shape.js'
import { type Recording, simulate } from '../operations/simulate.js'
import { type CustomRule, isCustomRule } from '../rule/custom-rule.js'
import { expandRule, type Rule, type RuleName } from '../rule/rule.js'
import type { Values } from '../support/precision.js'
import type { Batch } from '../task/batch.js'
import { makeBatch, type Task } from '../task/task.js'
import { type AnalogueInputs, analogueInputs } from './analogue-inputs.js'
import { type CellSign, cellSigns, commonSign } from './cell-signs.js'
import { type WeightsSnapshot, weightsSnapshot } from './weights-snapshot.js'

type Constants = ReturnType<typeof cellConstants>

/** Neurons of one cell type, in the order of the raster. */
export interface TypeRows {
  readonly name: string
  /** How its cells act on others; `'either'` where they differ. */
  readonly sign: CellSign
  readonly neurons: readonly number[]
}

/** A signal's mean over the cells of each type. */
export interface SignalByType {
  readonly name: string
  /** One value per step. */
  readonly values: readonly number[]
}

/** One trial of the network as it is now. */
export interface TrialSnapshot {
  readonly iteration: number
  readonly steps: number
  /** Step in ms. */
  readonly dt: number
  readonly types: readonly TypeRows[]
  readonly inputUnits: number
  /** Pairs (step, unit). */
  readonly inputs: readonly number[]
  /** Inputs that are values; nothing where the task has none. */
  readonly analogue?: AnalogueInputs
  /** Pairs (step, neuron). */
  readonly spikes: readonly number[]
  /** y of each readout unit, one per step. */
  readonly outputs: readonly SignalByType[]
  /** Firing rate of each type in the trial, in Hz. */
  readonly rates: readonly { readonly name: string; readonly rate: number }[]
  /** Mean |L| and |Γ| of each type; none where the rule has no such signal to record. */
  readonly learning: readonly SignalByType[]
  readonly modulation: readonly SignalByType[]
  readonly weights: readonly WeightsSnapshot[]
}

/** One neuron of a snapshot. */
export interface NeuronTrace {
  readonly iteration: number
  readonly neuron: number
  readonly type: string
  readonly dt: number
  /** v, and A = thr + β b, one per step. */
  readonly voltage: readonly number[]
  readonly threshold: readonly number[]
  /** The steps in which it fires. */
  readonly spikes: readonly number[]
  /** L and Γ, empty where none is recorded. */
  readonly learning: readonly number[]
  readonly modulation: readonly number[]
}

/** A run in the middle of its training, as {@link captureTrial} needs it. */
export interface Subject {
  readonly model: Model
  readonly task: Task
  readonly rule: RuleName | Rule | CustomRule
  readonly seed: number
  readonly iteration: number
}

/** A snapshot, and single neurons of the recording behind it. */
export interface CapturedTrial {
  readonly snapshot: TrialSnapshot
  neuron(index: number): NeuronTrace | undefined
}

/** The weights that later snapshots are compared with. */
export type FirstWeights = ReadonlyMap<string, ProjectionValues>

/** The plastic weights as they are. */
export function weightsOf(model: Model): FirstWeights {
  return new Map(plasticNames(model.description).map(name => [name, model.weights.get(name)]))
}

/** Runs one trial of the batch that validates the iteration, and records what the page shows. It changes nothing of the model. */
export async function captureTrial(subject: Subject, first: FirstWeights): Promise<CapturedTrial> {
  const { model, task, rule, seed, iteration } = subject
  const batch = await makeBatch(task, { seed, split: 'validation', iteration, size: 1 })
  const { loss, regulariser } = task
  // A custom rule is given the learning signal of e-prop.
  const recorded = canRecord(task, rule)
    ? ({ rule: isCustomRule(rule) ? 'eprop' : rule, loss, regulariser } as const)
    : {}
  const constants = cellConstants(model)
  const recording = await simulate(model, batch, { voltage: true, inputs: true, seed, ...recorded, threads: 1 })
  return {
    snapshot: {
      iteration,
      steps: recording.shape.lengths[0] ?? recording.shape.steps,
      dt: recording.shape.dt,
      ...spikes(recording, model),
      ...analogue(batch, recording, model.description),
      ...signals(recording),
      weights: plasticNames(model.description).map(name =>
        weightsSnapshot(name, model.weights.get(name), first.get(name))
      )
    },
    neuron: index => neuron(recording, constants, iteration, index)
  }
}

/** Signals are recorded of built-in losses, and of rules with a learning signal at each step. */
export function canRecord(task: Task, rule: Subject['rule']): boolean {
  const losses = 'kind' in task.loss ? [task.loss] : Object.values(task.loss)
  if (losses.some(loss => loss?.kind === 'custom')) return false
  if (isCustomRule(rule)) return true
  const { estimator } = expandRule(rule)
  return estimator === 'backward' || estimator === 'online'
}

function spikes({ spikes, inputs, shape }: Recording, model: Model) {
  const { inputs: populations } = model.description
  const signs = cellSigns(model)
  const types = Object.entries(shape.types).map(([name, neurons]) => ({
    name,
    sign: commonSign(neurons.map(neuron => signs[neuron] ?? 'either')),
    neurons
  }))
  const counts = new Float64Array(shape.neurons)
  for (let i = 2; i < spikes.length; i += 3) counts[spikes[i] ?? 0] = (counts[spikes[i] ?? 0] ?? 0) + 1
  const seconds = ((shape.lengths[0] ?? shape.steps) * shape.dt) / 1000
  const rate = (neurons: readonly number[]) =>
    neurons.reduce((sum, p) => sum + (counts[p] ?? 0), 0) / Math.max(1, neurons.length) / seconds
  return {
    types,
    inputUnits: populations.reduce((sum, { size }) => sum + size, 0),
    inputs: pairs(inputs ?? new Uint32Array()),
    spikes: pairs(spikes),
    rates: types.map(({ name, neurons }) => ({ name, rate: rate(neurons) }))
  }
}

function analogue(batch: Batch, { shape }: Recording, description: WholeDescription): Pick<TrialSnapshot, 'analogue'> {
  const found = analogueInputs(batch, description, shape.lengths[0] ?? shape.steps)
  return found === undefined ? {} : { analogue: found }
}

/** Triples (trial, step, unit) without the trial. */
function pairs(triples: Uint32Array): number[] {
  const flat: number[] = []
  for (let i = 0; i < triples.length; i += 3) flat.push(triples[i + 1] ?? 0, triples[i + 2] ?? 0)
  return flat
}

function signals({ readout, learningSignal, modulatorySignal, shape }: Recording) {
  const units = Object.entries(shape.readouts).flatMap(([name, { from, to }]) =>
    Array.from({ length: to - from }, (_, i) => ({ name: to - from > 1 ? `${name} ${i}` : name, unit: from + i }))
  )
  return {
    outputs: units.map(({ name, unit }) => ({ name, values: column(readout, unit, shape.units, shape) })),
    learning: learningSignal === undefined ? [] : byType(learningSignal, shape),
    modulation: modulatorySignal === undefined ? [] : byType(modulatorySignal, shape)
  }
}

function byType(values: Values, { types, neurons: width, steps }: RecordingShape): SignalByType[] {
  return Object.entries(types).map(([name, neurons]) => {
    const mean = (step: number) =>
      neurons.reduce((sum, p) => sum + Math.abs(values[step * width + p] ?? 0), 0) / Math.max(1, neurons.length)
    return { name, values: Array.from({ length: steps }, (_, step) => short(mean(step))) }
  })
}

function column(values: Values, index: number, width: number, { steps }: RecordingShape): number[] {
  return Array.from({ length: steps }, (_, step) => short(values[step * width + index] ?? 0))
}

/** Five digits are more than a picture shows. */
const short = (value: number) => Number(value.toPrecision(5))

function neuron(
  { voltage, spikes, learningSignal, modulatorySignal, shape }: Recording,
  constants: Constants,
  iteration: number,
  index: number
): NeuronTrace | undefined {
  if (voltage === undefined || !Number.isInteger(index) || index < 0 || index >= shape.neurons) return undefined
  const type = Object.entries(shape.types).find(([, neurons]) => neurons.includes(index))?.[0] ?? ''
  const of = (values: Values | undefined) => (values === undefined ? [] : column(values, index, shape.neurons, shape))
  const fired = new Set<number>()
  for (let i = 0; i < spikes.length; i += 3) if (spikes[i + 2] === index) fired.add(spikes[i + 1] ?? 0)
  return {
    iteration,
    neuron: index,
    type,
    dt: shape.dt,
    voltage: of(voltage),
    threshold: threshold(constants, shape.steps, index, fired),
    spikes: [...fired],
    learning: of(learningSignal),
    modulation: of(modulatorySignal)
  }
}

/** A_t = thr + β b_t with b_t = ρ b_t−1 + jump z_t−1, by the engine's constants and the spikes that it gave. */
function threshold(constants: Constants, steps: number, index: number, fired: ReadonlySet<number>): number[] {
  const of = (values: Float64Array) => values[index] ?? 0
  const [rho, jump] = [of(constants.rho), of(constants.jump)]
  let b = 0
  return Array.from({ length: steps }, (_, step) => {
    b = rho * b + (fired.has(step - 1) ? jump : 0)
    return short(of(constants.threshold) + of(constants.beta) * b)
  })
}
