import type { WholeDescription } from '../network/description.js'
import { column, type Disc, disc, LOOP_REACH, type Point, radiusOf, ring } from './network-geometry.js'

/** The picture's size. */
export const SIZE = { width: 960, height: 700 }
/** The middle of the ring of types. */
export const CENTRE = { x: 480, y: 355 }
const RADIUS = { x: 260, y: 225 }
const INPUT_X = 70
const READOUT_X = 890
const LABEL_GAP = 14
/** Where the legend ends, at most. */
const LEGEND_END = 64

/** A type's cells in a disc. */
export interface TypeDisc extends Disc {
  /** Its neurons, counted through all populations, in the order of the dots. */
  readonly neurons: readonly number[]
}

/** Where everything stands. */
export interface Layout {
  /** Where the cells of each type are gathered. */
  readonly types: ReadonlyMap<string, TypeDisc>
  /** The units of each input, population and readout. */
  readonly units: ReadonlyMap<string, readonly Point[]>
  /** The names of inputs and readouts. */
  readonly labels: readonly (Point & { readonly text: string })[]
}

/** Inputs on the left, readouts on the right, and between them the cells of each type that has any. */
export function layOut(description: WholeDescription): Layout {
  const { inputs, populations, readouts } = description
  const cells = typesOf(description)
  // Discs of many cells lie nearer to the middle, so that neither they nor their loops reach the legend.
  const largest = Math.max(0, ...cells.map(({ members }) => radiusOf(members.length)))
  const room = CENTRE.y - LEGEND_END - LOOP_REACH - largest
  const centres = ring(cells.length, CENTRE, { x: RADIUS.x, y: Math.min(RADIUS.y, room) })
  const first = firstNeurons(populations)
  const types = new Map(
    cells.map(({ name, members }, i): [string, TypeDisc] => {
      const neurons = members.map(({ population, unit }) => (first.get(population) ?? 0) + unit)
      return [name, { ...disc(members.length, centres[i] ?? CENTRE), neurons }]
    })
  )
  const recurrent = new Map(populations.map(({ name }): [string, Point[]] => [name, []]))
  for (const { name, members } of cells) {
    for (const [i, { population, unit }] of members.entries()) {
      const dots = recurrent.get(population)
      const dot = types.get(name)?.dots[i]
      if (dots !== undefined && dot !== undefined) dots[unit] = dot
    }
  }
  const sides = [...columns(inputs, INPUT_X), ...columns(readouts, READOUT_X)]
  return {
    types,
    units: new Map([...recurrent, ...sides.map(({ text, dots }): [string, Point[]] => [text, dots])]),
    labels: sides.map(({ text, dots, x }) => ({ text, x, y: Math.min(...dots.map(({ y }) => y)) - LABEL_GAP }))
  }
}

/** The number of each population's first neuron. */
function firstNeurons(populations: WholeDescription['populations']): ReadonlyMap<string, number> {
  let next = 0
  return new Map(
    populations.map(({ name, size }) => {
      const first = next
      next += size
      return [name, first]
    })
  )
}

interface Cells {
  readonly name: string
  readonly members: readonly { readonly population: string; readonly unit: number }[]
}

/** The types that have cells; without types, every population is one. */
function typesOf({ populations, types }: WholeDescription): Cells[] {
  const sizes = new Map(populations.map(({ name, size }) => [name, size]))
  const all = (population: string) => Array.from({ length: sizes.get(population) ?? 0 }, (_, unit) => unit)
  const declared = types ?? populations.map(({ name }) => ({ name, members: [{ population: name, units: all(name) }] }))
  return declared
    .map(({ name, members }) => ({
      name,
      members: members.flatMap(({ population, units = all(population) }) => units.map(unit => ({ population, unit })))
    }))
    .filter(({ members }) => members.length > 0)
}

/** Parts one below the other, the units of each in a column. */
function columns(parts: readonly { readonly name: string; readonly size: number }[], x: number) {
  const height = (SIZE.height - 160) / Math.max(1, parts.length)
  return parts.map(({ name, size }, i) => {
    const middle = { x, y: CENTRE.y + (i - (parts.length - 1) / 2) * height }
    return { text: name, x, dots: column(size, middle, height - 50) }
  })
}
