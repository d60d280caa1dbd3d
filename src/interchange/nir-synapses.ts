import { invalid } from '../support/error.js'
import type { NirGraph } from './nir-graph.js'
import { arrayOf, type NirPath } from './nir-paths.js'

/** What the nodes along a path make of it: a weight and a delay for each pair of units that it joins. */
export interface NirSynapses {
  readonly pre: readonly number[]
  readonly post: readonly number[]
  readonly values: readonly number[]
  /** In the file's unit of time. */
  readonly delays: readonly number[]
  /** The node that holds the weights; none where units are joined one to one. */
  readonly matrix?: string
  /** The delay of any pair, one of weight 0 too. */
  readonly delayOf: (pre: number, post: number) => number
}

/** What stands before and behind the weights, a number per unit. */
interface Side {
  readonly scale: Float64Array
  readonly delay: Float64Array
}

/** The synapses of a path between so many units. Throws for what is no synapse. */
export function synapsesOf(
  graph: NirGraph,
  { from, to, through }: NirPath,
  senders: number,
  receivers: number
): NirSynapses {
  const matrices = through.filter(name => isMatrix(graph, name))
  const [matrix, second] = matrices
  if (second !== undefined)
    throw invalid(`nodes.${second}`, `weights behind those of '${matrix}'`, 'one matrix between cells')
  const cut = matrix === undefined ? through.length : through.indexOf(matrix)
  const before = sideOf(graph, through.slice(0, cut), { node: from, units: senders })
  if (matrix === undefined) {
    refuseSingle(graph, from, senders, { node: to, units: receivers })
    if (senders !== receivers)
      throw invalid(`nodes.${to}`, `${receivers} units behind ${senders} of '${from}'`, 'as many')
    return { ...joinPairs(identity(senders), before, sideOf(graph, [], { node: to, units: receivers })) }
  }
  refuseBias(graph, matrix)
  const [rows = 0, columns = 0] = arrayOf(graph, matrix, 'weight', 2).shape
  refuseSingle(graph, from, senders, { node: matrix, units: columns })
  refuseSingle(graph, to, receivers, { node: matrix, units: rows })
  const behind = sideOf(graph, through.slice(cut + 1), { node: to, units: receivers })
  return { ...joinPairs(weightsOf(graph, matrix, senders, receivers), before, behind), matrix }
}

/** A node, and how many units it has or speaks of. */
interface Units {
  readonly node: string
  readonly units: number
}

/**
 * Refuses cells or an input of one unit beside something that has more: what was meant for each of many units was written as one number, as
 * other programs allow.
 */
export function refuseSingle(graph: NirGraph, name: string, units: number, beside: Units): void {
  if (units !== 1 || beside.units <= 1) return
  const [parameter] = Object.keys(graph.nodes.get(name)?.arrays ?? {})
  const what = `of one unit, while '${beside.node}' has ${beside.units}`
  const allowed =
    parameter === 'shape' ? `(${beside.units})` : `${beside.units} numbers, one per unit, in each parameter`
  throw invalid(`nodes.${name}.${parameter}`, what, allowed)
}

type Weights = (visit: (pre: number, post: number, weight: number) => void) => void

const identity =
  (units: number): Weights =>
  visit => {
    for (let unit = 0; unit < units; unit++) visit(unit, unit, 1)
  }

function weightsOf(graph: NirGraph, matrix: string, senders: number, receivers: number): Weights {
  const weight = arrayOf(graph, matrix, 'weight', 2)
  const [rows = 0, columns = 0] = weight.shape
  if (rows !== receivers || columns !== senders) {
    throw invalid(
      `nodes.${matrix}.weight`,
      `of shape (${rows}, ${columns})`,
      `(${receivers}, ${senders}) between its cells`
    )
  }
  return visit => {
    weight.data.forEach((value, i) => {
      if (value !== 0) visit(i % senders, Math.floor(i / senders), value)
    })
  }
}

function joinPairs(weights: Weights, before: Side, behind: Side): Omit<NirSynapses, 'matrix'> {
  const synapses = { pre: [] as number[], post: [] as number[], values: [] as number[], delays: [] as number[] }
  const delayOf = (pre: number, post: number) => (before.delay[pre] ?? 0) + (behind.delay[post] ?? 0)
  weights((pre, post, weight) => {
    synapses.pre.push(pre)
    synapses.post.push(post)
    synapses.values.push(weight * (before.scale[pre] ?? 1) * (behind.scale[post] ?? 1))
    synapses.delays.push(delayOf(pre, post))
  })
  return { ...synapses, delayOf }
}

function sideOf(graph: NirGraph, names: readonly string[], { node, units }: Units): Side {
  const scale = new Float64Array(units).fill(1)
  const delay = new Float64Array(units)
  for (const name of names) {
    const type = graph.nodes.get(name)?.type
    if (type === 'Scale' || type === 'Delay') {
      const { data } = arrayOf(graph, name, type === 'Scale' ? 'scale' : 'delay', 1)
      refuseSingle(graph, node, units, { node: name, units: data.length })
    }
    if (type === 'Scale')
      vectorOf(graph, name, 'scale', units).forEach((value, i) => {
        scale[i] = (scale[i] ?? 1) * value
      })
    if (type === 'Delay')
      vectorOf(graph, name, 'delay', units).forEach((value, i) => {
        if (!(value >= 0)) throw invalid(`nodes.${name}.delay[${i}]`, value, 'a number of at least 0')
        delay[i] = (delay[i] ?? 0) + value
      })
  }
  return { scale, delay }
}

/** A parameter with one number for each of so many units. */
export function vectorOf(graph: NirGraph, name: string, parameter: string, units: number): Float64Array {
  const { data } = arrayOf(graph, name, parameter, 1)
  if (data.length !== units)
    throw invalid(`nodes.${name}.${parameter}`, `${data.length} numbers`, `${units}, one per unit`)
  const wrong = data.findIndex(value => !Number.isFinite(value))
  if (wrong >= 0) throw invalid(`nodes.${name}.${parameter}[${wrong}]`, data[wrong], 'a finite number')
  return Float64Array.from(data)
}

function isMatrix(graph: NirGraph, name: string): boolean {
  const type = graph.nodes.get(name)?.type
  return type === 'Linear' || type === 'Affine'
}

/** A cell has no bias in mdgl; a readout's stands behind its filter. */
function refuseBias(graph: NirGraph, name: string): void {
  if (graph.nodes.get(name)?.type !== 'Affine') return
  const { data: bias } = arrayOf(graph, name, 'bias', 1)
  const unit = bias.findIndex(value => value !== 0)
  if (unit >= 0)
    throw invalid(`nodes.${name}.bias[${unit}]`, bias[unit], '0 before cells; a bias may stand behind an LI node')
}
