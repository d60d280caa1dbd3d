import { invalid } from '../support/error.js'
import { badFile } from './file-error.js'
import type { NirArray, NirGraph, NirNode } from './nir-graph.js'

/** A way from a node with state or an input to the next such node or an output, and the nodes that only pass on between them. */
export interface NirPath {
  readonly from: string
  readonly to: string
  readonly through: readonly string[]
}

const PASSING: ReadonlySet<NirNode['type']> = new Set(['Linear', 'Affine', 'Scale', 'Delay', 'Identity'])

/** All ways through a graph. Throws for a loop without cells in it, and for a node that nothing reaches. */
export function pathsOf({ nodes, edges }: NirGraph): NirPath[] {
  const next = new Map<string, string[]>([...nodes.keys()].map(name => [name, []]))
  for (const [from, to] of edges) next.get(from)?.push(to)
  const paths: NirPath[] = []
  const seen = new Set<string>()
  const follow = (from: string, at: string, through: readonly string[]): void => {
    for (const to of next.get(at) ?? []) {
      if (!passes(nodes, to)) paths.push({ from, to, through })
      else if (through.includes(to)) throw invalid(`nodes.${to}`, 'part of a loop without cells', 'loops through cells')
      else {
        seen.add(to)
        follow(from, to, [...through, to])
      }
    }
  }
  for (const name of nodes.keys()) if (!passes(nodes, name)) follow(name, name, [])
  const lost = [...nodes.keys()].find(name => passes(nodes, name) && !seen.has(name))
  if (lost !== undefined) throw invalid(`nodes.${lost}`, 'fed by nothing', 'nodes that an Input or cells reach')
  return paths
}

function passes(nodes: NirGraph['nodes'], name: string): boolean {
  const node = nodes.get(name)
  return node !== undefined && PASSING.has(node.type)
}

/** An array of a node that must have one, of so many dimensions. */
export function arrayOf(graph: NirGraph, name: string, parameter: string, dimensions: number): NirArray {
  const array = graph.nodes.get(name)?.arrays[parameter]
  if (array === undefined) throw badFile(`nodes.${name}`, `has no ${parameter}, which a node of its type has`)
  if (array.shape.length !== dimensions) {
    throw invalid(`nodes.${name}.${parameter}`, `of shape (${array.shape.join(', ')})`, `${dimensions} dimension(s)`)
  }
  return array
}
