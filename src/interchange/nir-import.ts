import type { NetworkDescription, Parameter, Projection } from '../network/description.js'
import { inMs, toSteps } from '../network/duration.js'
import { array, numbers, object, orDefault } from '../support/check.js'
import { invalid } from '../support/error.js'
import {
  type CellsNote,
  currentGain,
  type GraphNote,
  NIR_CELLS,
  type NirGraph,
  type ProjectionNote
} from './nir-graph.js'
import { arrayOf, type NirPath, pathsOf } from './nir-paths.js'
import { type NirSynapses, refuseSingle, synapsesOf, vectorOf } from './nir-synapses.js'

/** A graph as mdgl has it. */
export interface Imported {
  readonly description: NetworkDescription
  /** The biases of the readouts that have any. */
  readonly bias: ReadonlyMap<string, Float64Array>
}

/** How a graph's times are to be read. */
export interface TimeScale {
  /** The network's step in ms; nothing for that of the file's own note. */
  readonly dt: number | undefined
  /** Milliseconds in the file's unit of time. */
  readonly milliseconds: number
}

/** A graph as a network description and biases. Throws for what mdgl has no equal for. */
export function fromGraph(graph: NirGraph, times: TimeScale): Imported {
  return new GraphReader(graph, times).read()
}

class GraphReader {
  readonly #graph: NirGraph
  readonly #milliseconds: number
  readonly #dt: number
  readonly #note: Partial<GraphNote>
  readonly #sizes = new Map<string, number>()

  constructor(graph: NirGraph, { dt, milliseconds }: TimeScale) {
    this.#graph = graph
    this.#milliseconds = milliseconds
    this.#note = parse<GraphNote>(graph.note, 'metadata')
    this.#dt = orDefault(dt, orDefault(this.#note.dt, 1))
  }

  read(): Imported {
    const order = this.#note.order && object(this.#note.order, 'metadata.mdgl.order')
    const names = inOrder([...this.#graph.nodes.keys()], order?.parts)
    const inputs = names.filter(name => this.#type(name) === 'Input').map(name => this.#input(name))
    const populations = names.filter(name => NIR_CELLS.has(this.#type(name))).map(name => this.#population(name))
    const leaky = names.filter(name => this.#type(name) === 'LI').map(name => this.#readout(name))
    const paths = pathsOf(this.#graph)
    const bias = this.#biases(paths)
    const readouts = leaky.map(readout => ({ ...readout, bias: bias.has(readout.name) }))
    const projections = this.#projections(paths)
    const wanted = inOrder(
      projections.map(({ name = '' }) => name),
      order?.projections
    )
    const { seed, pseudoDerivative, sheet, types, channels, lesions } = this.#note
    const description = {
      schema: 'mdgl-network/1',
      dt: this.#dt,
      ...given({ seed, pseudoDerivative, sheet, types, channels, lesions }),
      inputs,
      populations,
      readouts,
      projections: projections.sort((a, b) => wanted.indexOf(a.name ?? '') - wanted.indexOf(b.name ?? ''))
    } as NetworkDescription
    return { description, bias }
  }

  #input(name: string) {
    const { data: shape } = arrayOf(this.#graph, name, 'shape', 1)
    if (shape.length !== 1) throw invalid(`nodes.${name}.shape`, `(${shape.join(', ')})`, 'one dimension')
    this.#sizes.set(name, shape[0] ?? 0)
    return { name, size: shape[0] ?? 0, ...given(this.#cells(name)) }
  }

  #population(name: string) {
    const tau = NIR_CELLS.get(this.#type(name)) ?? 'tau'
    const size = this.#size(name, tau)
    this.#only(name, 'v_leak', size)
    if (this.#has(name, 'v_reset')) this.#only(name, 'v_reset', size)
    const model = this.#isCurrentBased(name)
      ? ({ model: 'cuba-lif', synapticTimeConstant: this.#time(name, 'tau_syn', size) } as const)
      : ({ model: 'lif' } as const)
    return {
      name,
      size,
      ...model,
      membraneTimeConstant: this.#time(name, tau, size),
      threshold: uniform(vectorOf(this.#graph, name, 'v_threshold', size)),
      refractoryPeriod: 0,
      ...given(this.#cells(name))
    }
  }

  #readout(name: string) {
    const size = this.#size(name, 'tau')
    this.#only(name, 'v_leak', size)
    const timeConstant = this.#time(name, 'tau', size)
    if (typeof timeConstant === 'number') return { name, size, timeConstant }
    throw invalid(`nodes.${name}.tau`, timeConstant, 'the same for all units of an LI node')
  }

  #cells(name: string): Partial<CellsNote> {
    return parse<CellsNote>(this.#graph.nodes.get(name)?.note, `nodes.${name}.metadata`)
  }

  /** The units of LIF or LI cells: as many as the longest of their parameters has numbers. */
  #size(name: string, tau: string): number {
    const given = Object.keys(this.#graph.nodes.get(name)?.arrays ?? {})
    const lengths = [tau, ...given].map(parameter => arrayOf(this.#graph, name, parameter, 1).data.length)
    const size = lengths.reduce((most, length) => Math.max(most, length), 0)
    this.#sizes.set(name, size)
    return size
  }

  /** Refuses a voltage that is not 0: mdgl's cells rest there, and a spike subtracts the threshold. */
  #only(name: string, parameter: 'v_leak' | 'v_reset', size: number): void {
    const values = vectorOf(this.#graph, name, parameter, size)
    const unit = values.findIndex(value => value !== 0)
    if (unit >= 0) throw invalid(`nodes.${name}.${parameter}[${unit}]`, values[unit], '0')
  }

  #time(name: string, parameter: string, size: number): Parameter {
    return uniform(this.#times(name, parameter, size))
  }

  #times(name: string, parameter: string, size: number): Float64Array {
    return vectorOf(this.#graph, name, parameter, size).map(tau => this.#toMs(tau))
  }

  /** Seconds are often milliseconds over a thousand: the product's last bit is noise. */
  #toMs(time: number): number {
    return withoutNoise(time * this.#milliseconds)
  }

  /** What weights onto cells or a readout are multiplied by: R, and of a current what a spike adds to it. */
  #gain(name: string, size: number): Float64Array {
    const r = vectorOf(this.#graph, name, 'r', size)
    if (!this.#isCurrentBased(name)) return r
    const factor = this.#has(name, 'w_in') ? vectorOf(this.#graph, name, 'w_in', size) : r.map(() => 1)
    const tau = this.#times(name, 'tau_syn', size)
    return r.map((own, i) => own * withoutNoise((factor[i] ?? 1) * currentGain(tau[i] ?? 0, this.#dt)))
  }

  /** The biases behind LI nodes: Affine nodes with a matrix that changes nothing. */
  #biases(paths: readonly NirPath[]): Map<string, Float64Array> {
    const biases = new Map<string, Float64Array>()
    const ends = new Set<string>()
    for (const { from, to, through } of paths) {
      if (this.#type(from) !== 'LI') continue
      if (this.#type(to) !== 'Output')
        throw invalid(`nodes.${from}`, `an LI node that leads to '${to}'`, 'one that leads to an Output')
      if (ends.has(from)) throw invalid(`nodes.${from}`, 'an LI node with several ways to an Output', 'one')
      ends.add(from)
      const [affine, more] = through.filter(name => this.#type(name) !== 'Identity')
      if (affine === undefined) continue
      if (more !== undefined || this.#type(affine) !== 'Affine') {
        throw invalid(
          `nodes.${more ?? affine}`,
          `a ${this.#type(more ?? affine)} node behind an LI node`,
          'one Affine node, its bias'
        )
      }
      biases.set(from, this.#bias(from, affine))
    }
    return biases
  }

  #bias(readout: string, affine: string): Float64Array {
    const size = this.#sizes.get(readout) ?? 0
    const { data: weight, shape } = arrayOf(this.#graph, affine, 'weight', 2)
    refuseSingle(this.#graph, readout, size, { node: affine, units: shape[1] ?? 0 })
    const same = weight.length === size * size && weight.every((value, i) => value === Number(i % (size + 1) === 0))
    if (!same) throw invalid(`nodes.${affine}.weight`, 'a matrix behind an LI node', 'the identity, for a bias')
    return vectorOf(this.#graph, affine, 'bias', size)
  }

  /** A projection for each path between units; those of saved nodes that have parts of one projection are joined to it. */
  #projections(paths: readonly NirPath[]): Projection[] {
    const drafts: ProjectionDraft[] = []
    for (const path of paths) {
      if (this.#type(path.from) === 'LI') continue
      if (this.#type(path.to) === 'Output') {
        this.#refuseRawOutput(path)
        continue
      }
      const next = this.#project(path)
      const whole = drafts.find(draft => draft.part && next.part && isSameProjection(draft, next))
      if (whole === undefined) drafts.push(next)
      else addSynapses(whole.synapses, next.synapses)
    }
    const taken = new Set<string | undefined>()
    return drafts.map(draft => {
      const name = unused(draft.wanted, `${draft.from}->${draft.to}`, taken)
      taken.add(name)
      return projectionOf(draft, name, this.#dt)
    })
  }

  /** Spikes of cells may be an output as they are. */
  #refuseRawOutput({ from, to, through }: NirPath): void {
    const changing = through.find(name => this.#type(name) !== 'Identity')
    if (NIR_CELLS.has(this.#type(from)) && changing === undefined) return
    const what = changing === undefined ? 'an Output of an Input' : `an Output behind '${changing}'`
    throw invalid(`nodes.${to}`, what, 'an Output of spikes, or of an LI node')
  }

  /** The synapses of a path, each with the steps that spikes take along it. */
  #project(path: NirPath): ProjectionDraft {
    const { from, to } = path
    if (this.#type(from) === 'Input' && this.#type(to) === 'LI') {
      throw invalid(`nodes.${to}`, `an LI node that Input '${from}' feeds`, 'one that cells feed')
    }
    const size = (name: string) => this.#sizes.get(name) ?? 0
    const found = synapsesOf(this.#graph, path, size(from), size(to))
    const gain = this.#gain(to, size(to))
    const note = parse<ProjectionNote>(
      this.#graph.nodes.get(found.matrix ?? '')?.note,
      `nodes.${found.matrix}.metadata`
    )
    const synapses: DelayedSynapses = { pre: [], post: [], values: [], steps: [] }
    const add = (pre: number, post: number, value: number) => {
      const steps = this.#stepsOf(found.delayOf(pre, post), path)
      synapses.pre.push(pre)
      synapses.post.push(post)
      synapses.values.push(value * (gain[post] ?? 1))
      synapses.steps.push(steps)
    }
    found.values.forEach((value, i) => {
      add(found.pre[i] ?? 0, found.post[i] ?? 0, value)
    })
    for (const [pre, post] of silentPairs(note, found)) add(pre, post, 0)
    const { plastic, part = false } = note
    return { from, to, wanted: note.name ?? found.matrix ?? `${from}->${to}`, part, plastic, synapses }
  }

  /** Without a delay an input acts in its own step, which is one step here, and a spike in the next. */
  #stepsOf(delay: number, { from, to, through }: NirPath): number {
    const path = `nodes.${through.find(name => this.#type(name) === 'Delay')}.delay`
    const steps = toSteps(this.#toMs(delay), this.#dt, path)
    if (this.#type(to) === 'LI' && steps > 0) throw invalid(path, delay, `0 steps to an LI node ('${to}')`)
    return this.#type(from) === 'Input' ? steps + 1 : Math.max(steps, 1)
  }

  #type(name: string): string | undefined {
    return this.#graph.nodes.get(name)?.type
  }

  #isCurrentBased(name: string): boolean {
    return this.#type(name) === 'CubaLIF'
  }

  #has(name: string, parameter: string): boolean {
    return this.#graph.nodes.get(name)?.arrays[parameter] !== undefined
  }
}

/** A product of factors that were computed as each other's inverse, or nearly: its last bit is noise. */
function withoutNoise(product: number): number {
  return Number(product.toPrecision(15))
}

/** Synapses, each with its delay in steps. */
interface DelayedSynapses {
  readonly pre: number[]
  readonly post: number[]
  readonly values: number[]
  readonly steps: number[]
}

/** A projection before it has a name that no other has. */
interface ProjectionDraft {
  readonly from: string
  readonly to: string
  readonly wanted: string
  /** Whether a file's note says that others belong to it. */
  readonly part: boolean
  readonly plastic: boolean | undefined
  readonly synapses: DelayedSynapses
}

function isSameProjection(one: ProjectionDraft, other: ProjectionDraft): boolean {
  const { from, to, wanted, plastic } = one
  return from === other.from && to === other.to && wanted === other.wanted && plastic === other.plastic
}

function addSynapses(to: DelayedSynapses, more: DelayedSynapses): void {
  for (const key of ['pre', 'post', 'values', 'steps'] as const) for (const value of more[key]) to[key].push(value)
}

/** The projection of a draft: one delay where all synapses have the same, else a list. */
function projectionOf({ from, to, plastic, synapses }: ProjectionDraft, name: string, dt: number): Projection {
  const { pre, post, values, steps } = synapses
  const [first = 1] = steps
  const delay = steps.every(own => own === first) ? inMs(first, dt) : steps.map(own => inMs(own, dt))
  const autapses = from === to && pre.some((sender, i) => sender === post[i]) ? true : undefined
  const pairs = new Set(pre.map((sender, i) => `${sender} ${post[i]}`))
  const multapses = pairs.size < pre.length ? true : undefined
  return { name, from, to, connections: { pre, post, values }, delay, ...given({ autapses, multapses, plastic }) }
}

/** Pairs with a synapse of weight 0, which a matrix cannot show. */
function silentPairs({ silent }: Partial<ProjectionNote>, { pre, post }: NirSynapses): [number, number][] {
  if (silent === undefined) return []
  const present = new Set(pre.map((sender, i) => `${sender} ${post[i]}`))
  const path = 'metadata.mdgl.silent'
  const receivers = numbers(array(silent, path)[1], path)
  const pairs = Array.from(numbers(silent[0], path), (sender, i): [number, number] => [sender, receivers[i] ?? 0])
  return pairs.filter(([sender, receiver]) => !present.has(`${sender} ${receiver}`))
}

function parse<T extends object>(note: string | undefined, path: string): Partial<T> {
  if (note === undefined) return {}
  try {
    return object(JSON.parse(note), path)
  } catch {
    throw invalid(`${path}.mdgl`, note, 'what mdgl wrote, a JSON object')
  }
}

/** Without what is not given. */
function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}

/** One number where all are the same. */
function uniform(values: Float64Array): Parameter {
  const [first = 0] = values
  return values.every(value => value === first) ? first : Array.from(values)
}

/** Names in the order of a list; those that it has not come behind. */
function inOrder(names: readonly string[], order: readonly string[] | undefined): string[] {
  const listed = array(order ?? [], 'metadata.mdgl.order').filter(name => names.includes(name))
  return [...listed, ...names.filter(name => !listed.includes(name))]
}

function unused(wanted: string, fallback: string, taken: ReadonlySet<string | undefined>): string {
  if (!taken.has(wanted)) return wanted
  let name = fallback
  for (let i = 2; taken.has(name); i++) name = `${fallback} ${i}`
  return name
}
