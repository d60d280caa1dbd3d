import { type CellSign, cellSigns, commonSign } from '../analysis/cell-signs.js'
import { Model } from '../model/model.js'
import type { Channel, WholeDescription } from '../network/description.js'
import { cellColours, ligandColour, signColour } from './colours.js'
import { FONT_FAMILY, FONT_SIZE } from './font.js'
import { arc, type Disc, loop, type Point } from './network-geometry.js'
import { CENTRE, type Layout, layOut, SIZE } from './network-layout.js'

/** More synapses than this are drawn by an even sample. */
const MOST_SYNAPSES = 1500
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
export function networkGraph(description: WholeDescription): string {
  return drawNetwork(description, 1)
}

/** The same with text and legend larger by a factor, for a picture that is printed small. */
export function drawNetwork(description: WholeDescription, scale: number): string {
  using model = Model.create(description)
  const layout = layOut(model.description)
  const synapses = synapsesOf(model, layout)
  const drawn = sample(synapses)
  const colours = coloursOf(model, layout)
  const channels = channelsOf(model.description)
  const sources = sourcesOf(channels, colours)
  const sourceOf = (channel: Edge) => sources.findIndex(({ text }) => text === sourceName(channel))
  const legend = legendOf(sources, scale)
  const height = SIZE.height + legend.above
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE.width}" height="${height}"`,
    ` viewBox="0 ${-legend.above} ${SIZE.width} ${height}" font-family="'${FONT_FAMILY}', sans-serif" font-size="${FONT_SIZE * scale}px">`,
    `<rect y="${-legend.above}" width="100%" height="100%" fill="white"/>`,
    `<defs>${sources.map(arrowHead).join('')}</defs>`,
    ...drawn.map(({ from, to, sign }) =>
      line(from, to, `class="synapse ${sign}" stroke="${signColour(sign)}" stroke-width="0.6" stroke-opacity="0.35"`)
    ),
    ...[...layout.types].map(rim),
    ...dots(model.description, layout, colours),
    ...channels.map(channel => channelArrow(channel, layout, sourceOf(channel), sources)),
    ...[...layout.types].map(([name, at]) => typeName(name, at, colours.get(name) ?? 'black', scale)),
    ...layout.labels.map(sideName),
    legend.svg,
    words(count(drawn.length, synapses.length), { x: SIZE.width - 20, y: SIZE.height - 16 }, 'end'),
    '</svg>\n'
  ].join('')
}

interface Synapse {
  readonly from: Point
  readonly to: Point
  readonly sign: CellSign
}

function synapsesOf(model: Model, { units }: Layout): Synapse[] {
  return (model.description.projections ?? []).flatMap(({ name, from, to }) => {
    const { pre, post, values } = model.weights.get(name ?? `${from}->${to}`)
    const [senders, receivers] = [units.get(from), units.get(to)]
    return Array.from(pre, (sender, i) => ({
      from: senders?.[sender] ?? CENTRE,
      to: receivers?.[post[i] ?? 0] ?? CENTRE,
      sign: (values[i] ?? 0) < 0 ? 'inhibitory' : 'excitatory'
    }))
  })
}

/** The colour of each type, by how its cells act on others. */
function coloursOf(model: Model, { types }: Layout): ReadonlyMap<string, string> {
  const signs = cellSigns(model)
  const drawn = [...types].map(([name, { neurons }]) => ({
    name,
    sign: commonSign(neurons.map(neuron => signs[neuron] ?? 'either'))
  }))
  const colours = cellColours(drawn)
  return new Map(drawn.map(({ name }, i) => [name, colours[i] ?? 'black']))
}

function sample<T>(all: readonly T[]): readonly T[] {
  const stride = Math.ceil(all.length / MOST_SYNAPSES)
  return all.filter((_, i) => i % stride === 0)
}

type Edge = Pick<Channel, 'name' | 'from' | 'to'>

/** The network's channels, or those that it has by default: between all ordered pairs of types. */
function channelsOf({ channels, types, populations }: WholeDescription): readonly Edge[] {
  if (channels !== undefined) return channels
  const names = (types ?? populations).map(({ name }) => name)
  return names.flatMap(from => names.map(to => ({ name: `${from}->${to}`, from, to })))
}

/** What a channel carries, and its colour. */
interface Source {
  readonly text: string
  readonly colour: string
}

/** A channel's ligand, where its name begins with one, or else the secreting type. */
function sourceName({ name, from, to }: Edge): string {
  const ligand = name.endsWith(`:${from}->${to}`) ? name.slice(0, -`:${from}->${to}`.length) : ''
  return ligand === '' ? `secreted by ${from}` : `ligand ${ligand}`
}

/** What the channels carry: of the secreting type's colour, or of the ligand's own. */
function sourcesOf(channels: readonly Edge[], colours: ReadonlyMap<string, string>): Source[] {
  const secreting = new Map(channels.map(channel => [sourceName(channel), channel.from]))
  let ligands = 0
  return [...secreting].sort().map(([text, from]) => {
    const own = text.startsWith('ligand ') ? ligandColour(ligands++) : undefined
    return { text, colour: own ?? colours.get(from) ?? 'black' }
  })
}

function channelArrow({ from, to }: Edge, { types }: Layout, source: number, sources: readonly Source[]): string {
  const [secreting, receiving] = [types.get(from), types.get(to)]
  // A type without cells neither secretes nor receives.
  if (secreting === undefined || receiving === undefined) return ''
  const path = from === to ? loop(secreting, CENTRE) : arc(secreting, receiving)
  const stroke = `stroke="${sources[source]?.colour}" stroke-width="1.8" stroke-dasharray="${DASH}"`
  const data = `class="channel" data-from="${escaped(from)}" data-to="${escaped(to)}"`
  return `<path d="${path}" fill="none" ${stroke} marker-end="url(#arrow-${source})" ${data}/>`
}

function arrowHead({ colour }: Source, i: number): string {
  const size = `markerUnits="userSpaceOnUse" markerWidth="10" markerHeight="10"`
  return `<marker id="arrow-${i}" ${size} refX="8" refY="5" orient="auto"><path d="M0 1 L9 5 L0 9 Z" fill="${colour}"/></marker>`
}

const line = (from: Point, to: Point, stroke: string) =>
  `<line x1="${from.x.toFixed(1)}" y1="${from.y.toFixed(1)}" x2="${to.x.toFixed(1)}" y2="${to.y.toFixed(1)}" ${stroke}/>`

const rim = ([name, { x, y, radius }]: readonly [string, Disc]) =>
  `<circle class="type" data-type="${escaped(name)}" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius.toFixed(1)}" fill="white" fill-opacity="0.7" stroke="#999999"/>`

/** Cells in the colour of their type, and units of inputs and readouts. */
function dots(description: WholeDescription, { types, units }: Layout, colours: ReadonlyMap<string, string>): string[] {
  const cells = [...types].flatMap(([type, { neurons, dots }]) =>
    neurons.map((neuron, i) => {
      const data = `class="cell" data-type="${escaped(type)}" data-neuron="${neuron}"`
      return dot(dots[i] ?? CENTRE, colours.get(type) ?? 'black', data)
    })
  )
  const sides = [...(description.inputs ?? []), ...(description.readouts ?? [])]
  return [
    ...cells,
    ...sides.flatMap(({ name }) => (units.get(name) ?? []).map(at => dot(at, '#555555', 'class="unit"')))
  ]
}

const dot = ({ x, y }: Point, colour: string, data: string) =>
  `<circle ${data} cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="2.2" fill="${colour}"/>`

function words(text: string, { x, y }: Point, anchor: 'start' | 'middle' | 'end', more = ''): string {
  const halo = `stroke="white" stroke-width="3" paint-order="stroke"`
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" dy="0.35em" text-anchor="${anchor}" ${halo}${more}>${escaped(text)}</text>`
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

/** Beside a disc above or below the middle, where synapses are few; else below one of the upper half and above one of the lower. */
function typeName(name: string, { x, y, radius, dots }: Disc, colour: string, scale: number): string {
  const side = y > CENTRE.y + 1 ? -1 : 1
  const data = ` fill="${colour}" class="type-name" data-type="${escaped(name)}"`
  const text = `${name} (${dots.length})`
  if (Math.abs(x - CENTRE.x) < 1) return words(text, { x: x + radius + 10, y }, 'start', data)
  return words(text, { x, y: y + side * (radius + 14 * scale) }, 'middle', data)
}

/** The name of an input or readout: it grows from the picture's edge inwards. */
function sideName({ text, x, y }: Layout['labels'][number]): string {
  const left = x < CENTRE.x
  return words(text, { x: left ? 8 : SIZE.width - 8, y }, left ? 'start' : 'end')
}

const LETTER = 7.2
const KEY = { x: 20, y: 20, row: 20, stroke: 34, gap: 8 }

/** What the strokes mean, above the network, in as many columns as the longest name leaves. */
function legendOf(sources: readonly Source[], scale: number): { svg: string; above: number } {
  const signs = (['excitatory', 'inhibitory'] as const).map(sign => [
    `${sign} synapse`,
    `class="${sign}" stroke="${signColour(sign)}" stroke-width="2"`
  ])
  const channels = sources.map(({ text, colour }, i) => [
    `channel, ${text}`,
    `class="key" stroke="${colour}" stroke-width="1.8" stroke-dasharray="${DASH}" marker-end="url(#arrow-${i})"`
  ])
  const entries = [...signs, ...channels]
  const longest = Math.max(...entries.map(([text = '']) => text.length))
  const width = scale * (KEY.stroke + 3 * KEY.gap + LETTER * longest)
  const columns = Math.max(1, Math.min(4, Math.floor((SIZE.width - 2 * KEY.x) / width)))
  const [row, rows] = [scale * KEY.row, Math.ceil(entries.length / columns)]
  const above = scale <= 1 ? 0 : Math.ceil(rows * row)
  const svg = entries
    .map(([text = '', stroke = ''], i) => {
      const at = { x: KEY.x + (i % columns) * width, y: KEY.y + Math.floor(i / columns) * row - above }
      const end = { x: at.x + scale * KEY.stroke, y: at.y }
      return line(at, end, stroke) + words(text, { x: end.x + scale * KEY.gap, y: at.y }, 'start')
    })
    .join('')
  return { svg: `<g class="legend">${svg}</g>`, above }
}

const count = (drawn: number, all: number) => (drawn === all ? `${all} synapses` : `${drawn} of ${all} synapses drawn`)
