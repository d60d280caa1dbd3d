import { list } from '../support/check.js'
import { invalid } from '../support/error.js'
import { badFile } from './file-error.js'
import { encodeHdf5, Hdf5Reader, type Hdf5Tree, withFile } from './hdf5.js'
import { NIR_PARAMETERS, type NirArray, type NirGraph, type NirNode, type NirType, NOTE } from './nir-graph.js'

/** The version of the Python package whose layout this is. */
const VERSION = '1.0.8'

/** The bytes of a file as the Python package `nir` writes it. */
export async function encodeGraph(graph: NirGraph): Promise<Uint8Array<ArrayBuffer>> {
  const nodes = [...graph.nodes].map(([name, node]) => [name, nodeTree(node)] as const)
  const edges = { data: graph.edges.flat(), shape: [graph.edges.length, 2] }
  const node = { type: 'NIRGraph', edges, nodes: Object.fromEntries(nodes), ...metadata(graph.note) }
  return encodeHdf5({ version: VERSION, node })
}

function nodeTree({ type, arrays, note }: NirNode): Hdf5Tree {
  const parameters = Object.entries(arrays).map(([name, { data, shape }]) =>
    name === 'shape'
      ? ([name, { data: BigInt64Array.from(data, BigInt), shape }] as const)
      : ([name, { data, shape }] as const)
  )
  return { type, ...Object.fromEntries(parameters), ...metadata(note) }
}

const metadata = (note: string | undefined): Hdf5Tree => (note === undefined ? {} : { metadata: { [NOTE]: note } })

/**
 * Reads a graph of nodes that mdgl knows; graphs in it are dissolved, `a.b` is node b of graph a.
 *
 * @throws {@link MdglError} `'invalid'` for a node of another type, `'file'`.
 */
export async function readGraph(path: string): Promise<NirGraph> {
  return await graphOf(path, path)
}

/** The graph in the bytes of a file. */
export async function decodeGraph(bytes: Uint8Array): Promise<NirGraph> {
  return await withFile(bytes, path => graphOf(path, 'the bytes'))
}

/** @param name - What errors call the file. */
async function graphOf(path: string, name: string): Promise<NirGraph> {
  using file = await Hdf5Reader.open(path, name)
  const source = new GraphSource(file, name)
  if (source.text('node/type') !== 'NIRGraph') throw badFile(name, 'holds no NIR graph')
  const { nodes, edges } = source.graph('node', '')
  const note = source.note('node')
  return { nodes, edges, ...(note !== undefined && { note }) }
}

interface Part {
  readonly nodes: Map<string, NirNode>
  readonly edges: (readonly [string, string])[]
}

/** Where a graph in a graph is entered and left. */
interface Borders {
  readonly Input: readonly string[]
  readonly Output: readonly string[]
}

const MOST_NESTED = 16

class GraphSource {
  readonly #file: Hdf5Reader
  readonly #path: string

  constructor(file: Hdf5Reader, path: string) {
    this.#file = file
    this.#path = path
  }

  /** The nodes and edges of a group; `prefix` says in which graph they are. */
  graph(group: string, prefix: string): Part {
    if (prefix.split('.').length > MOST_NESTED)
      throw badFile(this.#path, `has graphs nested more than ${MOST_NESTED} deep`)
    const part: Part = { nodes: new Map(), edges: [] }
    const inner = new Map<string, Borders>()
    for (const name of this.#file.names(`${group}/nodes`)) {
      const at = `${group}/nodes/${name}`
      if (this.text(`${at}/type`) === 'NIRGraph') inner.set(name, this.#dissolve(at, `${prefix}${name}.`, part))
      else part.nodes.set(`${prefix}${name}`, this.#node(at, `${prefix}${name}`))
    }
    for (const [from, to] of this.#edges(group)) {
      const end = (name: string, border: keyof Borders) => this.#end(name, border, prefix, inner, part)
      part.edges.push([end(from, 'Output'), end(to, 'Input')])
    }
    refuseTwice(part.edges, this.#path)
    return part
  }

  text(path: string): string {
    const dataset = this.#file.dataset(path)
    const value = dataset && this.#file.value(dataset)
    if (typeof value !== 'string') throw badFile(this.#path, `has no text ${path}, which a NIR file has`)
    return value
  }

  note(group: string): string | undefined {
    const path = `${group}/metadata/${NOTE}`
    if (!this.#file.names(`${group}/metadata`).includes(NOTE)) return undefined
    return this.text(path)
  }

  /** Takes a graph's nodes over into the one around it, in which its inputs and outputs only pass on. */
  #dissolve(group: string, prefix: string, around: Part): Borders {
    const { nodes, edges } = this.graph(group, prefix)
    const borders = { Input: [] as string[], Output: [] as string[] }
    for (const [name, node] of nodes) {
      const border = node.type === 'Input' || node.type === 'Output' ? borders[node.type] : undefined
      border?.push(name)
      around.nodes.set(name, border === undefined ? node : { type: 'Identity', arrays: {} })
    }
    around.edges.push(...edges)
    return borders
  }

  #node(group: string, name: string): NirNode {
    const type = this.text(`${group}/type`)
    if (!Object.hasOwn(NIR_PARAMETERS, type) || type === 'Identity') {
      const known = Object.keys(NIR_PARAMETERS).filter(known => known !== 'Identity')
      throw invalid(`nodes.${name}.type`, type, list([...known, 'NIRGraph']))
    }
    const present = this.#file.names(group)
    const arrays = NIR_PARAMETERS[type as NirType]
      .filter(parameter => present.includes(parameter))
      .map(parameter => [parameter, this.#array(`${group}/${parameter}`)] as const)
    const note = this.note(group)
    return { type: type as NirType, arrays: Object.fromEntries(arrays), ...(note !== undefined && { note }) }
  }

  #array(path: string): NirArray {
    const dataset = this.#file.dataset(path)
    const value = dataset && this.#file.value(dataset)
    const shape = dataset?.shape ?? []
    if (typeof value === 'number' || typeof value === 'bigint') return { data: Float64Array.of(Number(value)), shape }
    if (!ArrayBuffer.isView(value)) throw badFile(this.#path, `${path} holds no numbers`)
    return { data: Float64Array.from(value as unknown as ArrayLike<number | bigint>, Number), shape }
  }

  #edges(group: string): (readonly [string, string])[] {
    const dataset = this.#file.dataset(`${group}/edges`)
    if (dataset === undefined) throw badFile(this.#path, `has no ${group}/edges, which a NIR file has`)
    const ends = dataset.shape?.includes(0) ? [] : this.#file.value(dataset)
    if (!Array.isArray(ends)) throw badFile(this.#path, `${group}/edges are no pairs of names`)
    const names = ends.flat().map(String)
    return Array.from({ length: names.length / 2 }, (_, i) => [names[2 * i] ?? '', names[2 * i + 1] ?? ''] as const)
  }

  /** The node at one end of an edge; of a graph, its only input or output. */
  #end(name: string, border: keyof Borders, prefix: string, inner: ReadonlyMap<string, Borders>, part: Part): string {
    const ends = inner.get(name)?.[border] ?? [`${prefix}${name}`]
    const [end = ''] = ends
    if (ends.length !== 1) throw invalid(`nodes.${prefix}${name}`, `a graph of ${ends.length} ${border} nodes`, 'one')
    if (!part.nodes.has(end)) throw badFile(this.#path, `has an edge at '${end}', where there is no node`)
    return end
  }
}

function refuseTwice(edges: readonly (readonly [string, string])[], path: string): void {
  const seen = new Set<string>()
  for (const edge of edges) {
    const key = JSON.stringify(edge)
    if (seen.has(key)) throw badFile(path, `has the edge ${edge.join(' -> ')} twice`)
    seen.add(key)
  }
}
