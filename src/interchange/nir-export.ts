import type { Model } from '../model/model.js'
import type { ProjectionValues } from '../model/projection-values.js'
import type {
  InputPopulation,
  Parameter,
  Population,
  Readout,
  WholeDescription,
  WholePopulation,
  WholeProjection
} from '../network/description.js'
import { inMs, stepsIn } from '../network/duration.js'
import { invalid } from '../support/error.js'
import { isFloat32Array } from '../support/recognise.js'
import {
  type CellsNote,
  currentGain,
  type GraphNote,
  type NirArray,
  type NirGraph,
  type NirNode,
  type ProjectionNote
} from './nir-graph.js'

const MS_PER_SECOND = 1000

/** A model as a graph. Throws for what NIR has no node for. */
export function toGraph(model: Model): NirGraph {
  const { description } = model
  refuse(description)
  const draft = new GraphDraft()
  for (const input of description.inputs) draft.add(input.name, inputNode(input))
  for (const population of description.populations as readonly NirPopulation[]) {
    draft.add(population.name, cellsNode(population, description.dt))
  }
  for (const readout of description.readouts) draft.add(readout.name, leakyNode(readout))
  for (const projection of description.projections) addProjection(draft, model, projection)
  for (const readout of description.readouts) addOutput(draft, model, readout)
  if (description.readouts.length === 0) {
    for (const { name, size } of description.populations) draft.path(name, [[`${name}.output`, outputNode(size)]])
  }
  return { nodes: draft.nodes, edges: draft.edges, note: JSON.stringify(graphNote(description)) }
}

/** Nodes and edges so far. */
class GraphDraft {
  readonly nodes = new Map<string, NirNode>()
  readonly edges: [string, string][] = []

  add(name: string, node: NirNode): void {
    if (name === '.' || /[/\0]/.test(name)) {
      throw invalid('name', name, "for NIR, whose names are those of HDF5: no '/', no null character and not '.'")
    }
    this.nodes.set(name, node)
  }

  /** Adds nodes one after another from a node that is there, and on to another one. Names that are taken are lengthened. */
  path(from: string, parts: readonly (readonly [string, NirNode])[], to?: string): void {
    let before = from
    for (const [wanted, node] of parts) {
      let name = wanted
      while (this.nodes.has(name)) name += '_'
      this.add(name, node)
      this.edges.push([before, name])
      before = name
    }
    if (to !== undefined) this.edges.push([before, to])
  }
}

/** A population of a model that NIR has: of neither is anything left out. */
type NirPopulation = WholePopulation &
  Required<Pick<Population, 'threshold' | 'refractoryPeriod' | 'dampening' | 'synapticTimeConstant'>>

function refuse({ conventions, populations, readouts }: WholeDescription): void {
  if (conventions === 'bellec2020') throw invalid('conventions', conventions, "for NIR: 'mdgl2021'")
  for (const population of populations as readonly NirPopulation[]) {
    const { name, model, membraneTimeConstant, synapticTimeConstant, refractoryPeriod } = population
    for (const key of ['noise', 'currents'] as const) {
      if (population[key] !== undefined) throw invalid(`populations.${name}.${key}`, population[key], 'for NIR: none')
    }
    if (model !== 'lif' && model !== 'cuba-lif') {
      throw invalid(`populations.${name}.model`, model, "for NIR: 'lif' or 'cuba-lif'")
    }
    const periods = typeof refractoryPeriod === 'number' ? [refractoryPeriod] : refractoryPeriod
    const period = periods.find(ms => ms !== 0)
    if (period !== undefined) throw invalid(`populations.${name}.refractoryPeriod`, period, 'for NIR: 0')
    refuseZero(membraneTimeConstant, `populations.${name}.membraneTimeConstant`)
    refuseZero(synapticTimeConstant, `populations.${name}.synapticTimeConstant`)
  }
  for (const { name, timeConstant } of readouts) refuseZero(timeConstant, `readouts.${name}.timeConstant`)
}

/** NIR's equations divide by their time constants. */
function refuseZero(timeConstant: Parameter | undefined, path: string): void {
  const all = typeof timeConstant === 'object' ? timeConstant : [timeConstant]
  if (all.includes(0)) throw invalid(path, 0, 'for NIR: above 0')
}

function inputNode({ size, sign }: Required<InputPopulation>): NirNode {
  return { type: 'Input', arrays: { shape: vector([size]) }, note: JSON.stringify({ sign } satisfies CellsNote) }
}

function outputNode(size: number): NirNode {
  return { type: 'Output', arrays: { shape: vector([size]) } }
}

function cellsNode(population: NirPopulation, dt: number): NirNode {
  const { size, model, sign, dampening, membraneTimeConstant, threshold, synapticTimeConstant } = population
  const { tau, ...resting } = leak(membraneTimeConstant, size)
  const spiking = { ...resting, v_reset: each(0, size), v_threshold: each(threshold, size) }
  const note = JSON.stringify({ sign, dampening } satisfies CellsNote)
  if (model === 'lif') return { type: 'LIF', arrays: { tau, ...spiking }, note }
  const times = each(synapticTimeConstant, size)
  const gain = { ...times, data: times.data.map(ms => 1 / currentGain(ms, dt)) }
  const current = { tau_syn: inSeconds(times), w_in: gain }
  return { type: 'CubaLIF', arrays: { tau_mem: tau, ...current, ...spiking }, note }
}

function leakyNode({ size, timeConstant }: Required<Readout>): NirNode {
  return { type: 'LI', arrays: leak(timeConstant, size) }
}

function leak(timeConstant: Parameter, size: number): Record<'tau' | 'r' | 'v_leak', NirArray> {
  return { tau: inSeconds(each(timeConstant, size)), r: each(1, size), v_leak: each(0, size) }
}

function inSeconds(milliseconds: NirArray): NirArray {
  return { ...milliseconds, data: milliseconds.data.map(ms => ms / MS_PER_SECOND) }
}

/**
 * Sender, the delay of more than one step, the weights, receiver; a path of its own for each number of steps, and for each further synapse of
 * a pair.
 */
function addProjection(draft: GraphDraft, model: Model, projection: WholeProjection): void {
  const { from, to, name, plastic } = projection
  const { dt, inputs } = model.description
  const { pre, post, values, shape } = model.weights.get(name)
  const groups = matrices(pre, post, model.weights.delays(name), dt)
  // An input event of one step acts in its own.
  const least = inputs.some(input => input.name === from) ? 1 : 0
  const differ = groups.some(({ steps }) => steps !== groups[0]?.steps)
  for (const { steps, occurrence, own } of groups) {
    const marks = [...(differ ? [`${steps} steps`] : []), ...(occurrence > 1 ? [`${occurrence} per pair`] : [])]
    const wanted = marks.length > 0 ? `${name} (${marks.join(', ')})` : name
    const part = groups.length > 1 && { part: true }
    const linear = linearNode({ pre, post, values, shape }, own, { name, plastic, ...part })
    const seconds = inMs(steps - least, dt) / MS_PER_SECOND
    const node: NirNode = { type: 'Delay', arrays: { delay: each(seconds, shape[0]) } }
    const delayed = steps > 1 ? ([[`${wanted}.delay`, node]] as const) : []
    draft.path(from, [...delayed, [wanted, linear]], to)
  }
}

/** Synapses of one delay, no pair twice. */
interface MatrixGroup {
  readonly steps: number
  /** Which synapse of its pair with this delay each is, from 1 on. */
  readonly occurrence: number
  readonly own: number[]
}

/** A projection's synapses as matrices can have them; one without synapses where there are none. */
function matrices(pre: Uint32Array, post: Uint32Array, delays: Float64Array, dt: number): readonly MatrixGroup[] {
  const groups = new Map<string, MatrixGroup>()
  const met = new Map<string, number>()
  delays.forEach((delay, i) => {
    const steps = stepsIn(delay, dt)
    const pair = `${pre[i]} ${post[i]} ${steps}`
    const occurrence = (met.get(pair) ?? 0) + 1
    met.set(pair, occurrence)
    const key = `${steps} ${occurrence}`
    const group = groups.get(key) ?? { steps, occurrence, own: [] }
    group.own.push(i)
    groups.set(key, group)
  })
  return groups.size > 0 ? [...groups.values()] : [{ steps: 1, occurrence: 1, own: [] }]
}

/** Some synapses of a projection as a matrix. */
function linearNode(
  { pre, post, values, shape }: Pick<ProjectionValues, 'pre' | 'post' | 'values' | 'shape'>,
  own: readonly number[],
  kept: Omit<ProjectionNote, 'silent'>
): NirNode {
  const [senders, receivers] = shape
  const matrix = isFloat32Array(values) ? new Float32Array(senders * receivers) : new Float64Array(senders * receivers)
  for (const i of own) matrix[(post[i] ?? 0) * senders + (pre[i] ?? 0)] = values[i] ?? 0
  const silent = own.filter(i => values[i] === 0)
  const note: ProjectionNote = {
    ...kept,
    ...(silent.length > 0 && { silent: [silent.map(i => pre[i] ?? 0), silent.map(i => post[i] ?? 0)] })
  }
  const weight = { data: matrix, shape: [receivers, senders] }
  return { type: 'Linear', arrays: { weight }, note: JSON.stringify(note) }
}

/** A readout's bias acts behind its filter, so it stands there. */
function addOutput(draft: GraphDraft, model: Model, { name, size, bias }: Readout): void {
  const output = [`${name}.output`, outputNode(size)] as const
  draft.path(name, bias === false ? [output] : [[`${name}.bias`, biasNode(model.bias.get(name))], output])
}

function biasNode(bias: Float32Array | Float64Array): NirNode {
  const size = bias.length
  const identity = Float64Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0))
  const data = isFloat32Array(bias) ? Float32Array.from(identity) : identity
  return { type: 'Affine', arrays: { weight: { data, shape: [size, size] }, bias: { data: bias, shape: [size] } } }
}

function graphNote({ dt, seed, ...rest }: WholeDescription): GraphNote {
  const parts = [...rest.inputs, ...rest.populations, ...rest.readouts].map(({ name }) => name)
  const projections = rest.projections.map(({ name }) => name)
  const { pseudoDerivative, sheet, types, channels, lesions } = rest
  return {
    dt,
    seed,
    order: { parts, projections },
    ...(pseudoDerivative !== undefined && { pseudoDerivative }),
    ...(sheet !== undefined && { sheet }),
    ...(types !== undefined && { types }),
    ...(channels !== undefined && { channels }),
    ...(lesions !== undefined && { lesions })
  }
}

function vector(values: readonly number[]): NirArray {
  return { data: Float64Array.from(values), shape: [values.length] }
}

/** A parameter of each unit. */
function each(value: Parameter, size: number): NirArray {
  return vector(typeof value === 'number' ? Array.from({ length: size }, () => value) : value)
}
