import { Model } from '../model/model.js'
import type { Channel, NetworkDescription } from '../network/description.js'
import { FONT_FAMILY } from './font.js'
import { arc, type Disc, loop, type Point } from './network-geometry.js'
import { CENTRE, type Layout, layOut, SIZE } from './network-layout.js'

/** More synapses than this are drawn by an even sample. */
const MOST_SYNAPSES = 1500
/** Okabe and Ito's colours, which colour-blind people can tell apart. */
const EXCITATORY = '#0072B2'
const INHIBITORY = '#D55E00'
const CHANNEL_COLOURS = ['#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#5D3A9B', '#000000'] as const
const GREY = '#777777'
const DASH = '7 4'

/**
 * A network as a multidigraph, an SVG document: dots are cells, gathered by type; thin lines are synapses (of many an even
 * sample), and dashed arrows are neuromodulatory channels, from the type that secretes to the type that receives; their
 * colours are the ligands. Inputs stand on the left, readouts on the right. `mdgl plot network` writes the same, as PNG too.
 *
 * @example
 * ```ts
 * await writeFile('network.svg', networkGraph(description));
 * ```
 * @param description - A network; its connectivity is drawn from its seed, as {@link Model.create} draws it.
 * @returns The document's text.
 * @throws {@link MdglError} `'invalid'` for a description that is not allowed.
 */
export function networkGraph(description: NetworkDescription): string {
  using model = Model.create(description)
  const layout = layOut(model.description)
  const synapses = synapsesOf(model, layout)
  const drawn = sample(synapses)
  const channels = channelsOf(model.description)
  const sources = [...new Set(channels.map(sourceOf))].sort()
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE.width}" height="${SIZE.height}"`,
    ` viewBox="0 0 ${SIZE.width} ${SIZE.height}" font-family="'${FONT_FAMILY}', sans-serif" font-size="14px">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<defs>${sources.map((_, i) => arrowHead(i)).join('')}</defs>`,
    ...drawn.map(({ from, to, colour }) =>
      line(from, to, `stroke="${colour}" stroke-width="0.6" stroke-opacity="0.35"`)
    ),
    ...[...layout.types.values()].map(rim),
    ...[...layout.units.values()].flat().map(dot),
    ...channels.map(channel => channelArrow(channel, layout, sources.indexOf(sourceOf(channel)))),
    ...[...layout.types].map(([name, at]) => typeName(name, at)),
    ...layout.labels.map(({ text, x, y }) => words(text, { x, y }, 'middle')),
    legend(sources),
    words(count(drawn.length, synapses.length), { x: SIZE.width - 20, y: SIZE.height - 16 }, 'end'),
    '</svg>\n'
  ].join('')
}

interface Synapse {
  readonly from: Point
  readonly to: Point
  readonly colour: string
}

function synapsesOf(model: Model, { units }: Layout): Synapse[] {
  return (model.description.projections ?? []).flatMap(({ name, from, to }) => {
    const { pre, post, values } = model.weights.get(name ?? `${from}->${to}`)
    const [senders, receivers] = [units.get(from), units.get(to)]
    return Array.from(pre, (sender, i) => ({
      from: senders?.[sender] ?? CENTRE,
      to: receivers?.[post[i] ?? 0] ?? CENTRE,
      colour: (values[i] ?? 0) < 0 ? INHIBITORY : EXCITATORY
    }))
  })
}

function sample<T>(all: readonly T[]): readonly T[] {
  const stride = Math.ceil(all.length / MOST_SYNAPSES)
  return all.filter((_, i) => i % stride === 0)
}

type Edge = Pick<Channel, 'name' | 'from' | 'to'>

/** The network's channels, or those that it has by default: between all ordered pairs of types. */
function channelsOf({ channels, types, populations }: NetworkDescription): readonly Edge[] {
  if (channels !== undefined) return channels
  const names = (types ?? populations).map(({ name }) => name)
  return names.flatMap(from => names.map(to => ({ name: `${from}->${to}`, from, to })))
}

/** What colours a channel: its ligand, where its name begins with one, or else the secreting type. */
function sourceOf({ name, from, to }: Edge): string {
  const ligand = name.endsWith(`:${from}->${to}`) ? name.slice(0, -`:${from}->${to}`.length) : ''
  return ligand === '' ? `secreted by ${from}` : `ligand ${ligand}`
}

const colourOf = (source: number) => CHANNEL_COLOURS[source % CHANNEL_COLOURS.length] ?? GREY

function channelArrow({ from, to }: Edge, { types }: Layout, source: number): string {
  const [secreting, receiving] = [types.get(from), types.get(to)]
  // A type without cells neither secretes nor receives.
  if (secreting === undefined || receiving === undefined) return ''
  const path = from === to ? loop(secreting, CENTRE) : arc(secreting, receiving)
  const stroke = `stroke="${colourOf(source)}" stroke-width="1.8" stroke-dasharray="${DASH}"`
  return `<path d="${path}" fill="none" ${stroke} marker-end="url(#arrow-${source})"/>`
}

function arrowHead(source: number): string {
  const size = `markerUnits="userSpaceOnUse" markerWidth="10" markerHeight="10"`
  const shape = `<path d="M0 1 L9 5 L0 9 Z" fill="${colourOf(source)}"/>`
  return `<marker id="arrow-${source}" ${size} refX="8" refY="5" orient="auto">${shape}</marker>`
}

const line = (from: Point, to: Point, stroke: string) =>
  `<line x1="${from.x.toFixed(1)}" y1="${from.y.toFixed(1)}" x2="${to.x.toFixed(1)}" y2="${to.y.toFixed(1)}" ${stroke}/>`

const rim = ({ x, y, radius }: Disc) =>
  `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius.toFixed(1)}" fill="white" fill-opacity="0.7" stroke="#999999"/>`

const dot = ({ x, y }: Point) => `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="2" fill="#333333"/>`

function words(text: string, { x, y }: Point, anchor: 'start' | 'middle' | 'end'): string {
  const halo = `stroke="white" stroke-width="3" paint-order="stroke"`
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" dy="0.35em" text-anchor="${anchor}" ${halo}>${escaped(text)}</text>`
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** Below a disc of the upper half and above one of the lower: loops are on the other side. */
function typeName(name: string, { x, y, radius, dots }: Disc): string {
  const side = y > CENTRE.y + 1 ? -1 : 1
  return words(`${name} (${dots.length})`, { x, y: y + side * (radius + 14) }, 'middle')
}

/** What the strokes mean, above the network. */
function legend(sources: readonly string[]): string {
  const entries = [
    ['excitatory synapse', `stroke="${EXCITATORY}"`],
    ['inhibitory synapse', `stroke="${INHIBITORY}"`],
    ...sources.map((source, i) => [
      `channel, ${source}`,
      `stroke="${colourOf(i)}" stroke-width="1.8" stroke-dasharray="${DASH}" marker-end="url(#arrow-${i})"`
    ])
  ]
  return entries
    .map(([text = '', stroke = ''], i) => {
      const at = { x: 20 + (i % 3) * 310, y: 20 + Math.floor(i / 3) * 20 }
      return line(at, { x: at.x + 34, y: at.y }, stroke) + words(text, { x: at.x + 42, y: at.y }, 'start')
    })
    .join('')
}

const count = (drawn: number, all: number) => (drawn === all ? `${all} synapses` : `${drawn} of ${all} synapses drawn`)
