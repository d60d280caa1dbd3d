import { axisX, axisY, gridY, line, rectY, ruleX, tickX } from '@observablehq/plot'
import type { NeuronTrace, SignalByType, TrialSnapshot } from '../analysis/trial-snapshot.js'
import type { WeightsSnapshot } from '../analysis/weights-snapshot.js'
import { cellColours, readoutColour, signColour } from './colours.js'
import { drawn, figure } from './figure.js'
import { FONT_FAMILY, FONT_SIZE } from './font.js'
import { LEGEND, legendColumn, twoColumns } from './legend.js'

const WIDTH = 760
const MARGIN = { left: 110, right: 24, bottom: 48 }
/** Units of a letter's width, of names that must have room. */
const LETTER = 7.2
/** A logarithmic axis shows this many powers of ten at most. */
const DECADES = 5
const ROWS = 360
const GAP = 8
const PANEL = 150
const GREY = '#555555'

/** The spikes of a trial, inputs above and then the cells by type, over the readout; an SVG document. */
export function trialPicture(snapshot: TrialSnapshot, width = WIDTH): string {
  const left = leftOf(snapshot, width)
  const below = drawn({
    ...frameOf(PANEL, width, left),
    x: { domain: [0, snapshot.steps * snapshot.dt], axis: null },
    marks: [...axes('readout', 'time (ms)', left), ...lines(snapshot.outputs, snapshot, readoutColour)]
  })
  const height = ROWS + GAP + PANEL
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ` font-family="'${FONT_FAMILY}', sans-serif" font-size="${FONT_SIZE}px">`,
    '<rect width="100%" height="100%" fill="white"/>',
    raster(snapshot, left, width),
    below.replace('<svg ', `<svg y="${ROWS + GAP}" `),
    ...unitNames(snapshot.outputs, width),
    '</svg>\n'
  ].join('')
}

/** The margin that the longest type's name needs. */
function leftOf({ types }: TrialSnapshot, width: number): number {
  const longest = Math.max(...types.map(({ name }) => name.length))
  return Math.max(MARGIN.left, Math.min(width / 3, 16 + LETTER * longest))
}

/** Names of the readout's units, side by side above their lines, as far apart as the longest needs. */
function unitNames(outputs: readonly SignalByType[], width: number): string[] {
  const each = 18 + LETTER * Math.max(0, ...outputs.map(({ name }) => name.length))
  return outputs.map(({ name }, place) => {
    const x = width - MARGIN.right - each * (outputs.length - 1 - place)
    return `<text x="${x}" y="${ROWS + GAP + 10}" text-anchor="end" fill="${readoutColour(place)}">${escaped(name)}</text>`
  })
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** The learning signal over the modulatory signal, means of |·| over the cells of each type, on logarithmic axes; an SVG document. */
export function signalsPicture(snapshot: TrialSnapshot, width = WIDTH): string {
  const colours = cellColours(snapshot.types)
  const colourOf = (place: number) => colours[place] ?? GREY
  const legend = legendColumn(
    snapshot.types.map(({ name }, place) => ({ text: escaped(name), stroke: colourOf(place) })),
    MARGIN.left
  )
  const top = LEGEND.top + LEGEND.row * snapshot.types.length
  const panel = (signals: readonly SignalByType[], label: string, y: number) => {
    const [least, most] = decades(signals)
    return drawn({
      ...frameOf(PANEL + 40, width),
      y: { type: 'log', domain: [least, most] },
      marks: [
        gridY({ stroke: '#dddddd', strokeOpacity: 1, ticks: powers(least, most) }),
        axisX({ label: 'time (ms)', labelAnchor: 'center', labelArrow: 'none', fontSize: FONT_SIZE }),
        axisY({
          label,
          labelAnchor: 'center',
          labelArrow: 'none',
          labelOffset: 92,
          fontSize: FONT_SIZE,
          ticks: powers(least, most),
          tickFormat: power
        }),
        ...lines(signals, snapshot, colourOf, least)
      ]
    }).replace('<svg ', `<svg y="${y}" `)
  }
  const height = top + 2 * (PANEL + 40)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ` font-family="'${FONT_FAMILY}', sans-serif" font-size="${FONT_SIZE}px">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...legend,
    panel(snapshot.learning, 'learning, mean |L|', top),
    panel(snapshot.modulation, 'modulation, mean |Γ|', top + PANEL + 40),
    '</svg>\n'
  ].join('')
}

/** Whole powers of ten about the values of signals, from the largest down. */
function decades(signals: readonly SignalByType[]): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, 0]
  for (const { values } of signals)
    for (const value of values) {
      most = Math.max(most, value)
      if (value > 0) least = Math.min(least, value)
    }
  if (most === 0) return [0.1, 1]
  const top = Math.ceil(Math.log10(most))
  return [10 ** Math.max(top - DECADES, Math.min(top - 1, Math.floor(Math.log10(least)))), 10 ** top]
}

const powers = (least: number, most: number): number[] => {
  const [from, to] = [Math.round(Math.log10(least)), Math.round(Math.log10(most))]
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i))
}

const power = (value: number) =>
  value >= 0.01 && value < 1e4 ? String(Number(value.toPrecision(3))) : value.toExponential(0)

/** A neuron's membrane and its threshold in a trial, a mark per spike above them; an SVG document. */
export function membranePicture(
  { voltage, threshold, dt, neuron, type, spikes }: NeuronTrace,
  types: TrialSnapshot['types'],
  width = WIDTH
): string {
  const at = (values: readonly number[]) => values.map((value, step) => ({ ms: step * dt, value }))
  const colour = cellColours(types)[types.findIndex(({ name }) => name === type)] ?? GREY
  const names = [
    { text: `v of neuron ${neuron} (${escaped(type)})`, stroke: colour },
    { text: 'threshold', stroke: GREY, dash: '6 4' }
  ]
  const options = {
    ...frameOf(300, width),
    marginTop: LEGEND.top + LEGEND.row * names.length,
    marks: [
      ...axes('membrane (dimensionless)', 'time (ms)'),
      line(at(voltage), { x: 'ms', y: 'value', stroke: colour, strokeWidth: 1 }),
      line(at(threshold), { x: 'ms', y: 'value', stroke: GREY, strokeWidth: 1.5, strokeDasharray: '6 4' }),
      tickX(
        spikes.map(step => step * dt),
        {
          stroke: 'black',
          strokeWidth: 1,
          insetBottom: 300 - LEGEND.top - LEGEND.row * names.length - MARGIN.bottom - 8
        }
      )
    ]
  }
  return figure(options, legendColumn(names, MARGIN.left).join(''))
}

/** The weights of each projection now, over an outline of those at the start, on logarithmic axes; an SVG document. */
export function weightsPicture({ weights }: TrialSnapshot, width = WIDTH): string {
  const legend = twoColumns(
    [
      { text: 'now: positive weights', stroke: signColour('excitatory'), width: 8 },
      { text: 'now: negative weights', stroke: signColour('inhibitory'), width: 8 }
    ],
    [{ text: 'at the start', stroke: 'black', width: 1 }],
    MARGIN.left,
    width
  )
  const top = LEGEND.top + legend.rows * LEGEND.row
  const panels = weights.map((each, i) => weightsPanel(each, width).replace('<svg ', `<svg y="${top + WEIGHTS * i}" `))
  const height = top + WEIGHTS * panels.length
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ` font-family="'${FONT_FAMILY}', sans-serif" font-size="${FONT_SIZE}px">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...legend.svg,
    ...panels,
    '</svg>\n'
  ].join('')
}

const WEIGHTS = 200
/** The least count of a logarithmic axis: a bin of one synapse has some height. */
const LEAST_COUNT = 0.7

function weightsPanel(
  { name, edges, now, first, moved, synapses, firstSynapses }: WeightsSnapshot,
  width: number
): string {
  const bins = now.flatMap((count, bin) => {
    const [from, to] = [edges[bin] ?? 0, edges[bin + 1] ?? 0]
    return count === 0 ? [] : [{ from, to, count, colour: signColour(from + to < 0 ? 'inhibitory' : 'excitatory') }]
  })
  const outline = first.flatMap((count, bin) => [
    { at: edges[bin] ?? 0, count: Math.max(count, LEAST_COUNT) },
    { at: edges[bin + 1] ?? 0, count: Math.max(count, LEAST_COUNT) }
  ])
  const most = Math.max(1, ...now, ...first)
  const ticks = powers(1, 10 ** Math.ceil(Math.log10(Math.max(most, 10)))).filter(value => value <= 1.3 * most)
  return drawn({
    ...frameOf(WEIGHTS, width),
    marginTop: 12,
    y: { type: 'log', domain: [LEAST_COUNT, 1.3 * most] },
    marks: [
      gridY({ stroke: '#dddddd', strokeOpacity: 1, ticks }),
      axisX({
        label: `${name}: ${synapses} of ${firstSynapses} synapses live, moved by ${(100 * moved).toFixed(0)} %`,
        labelAnchor: 'center',
        labelArrow: 'none',
        fontSize: FONT_SIZE
      }),
      axisY({
        label: 'synapses',
        labelAnchor: 'center',
        labelArrow: 'none',
        labelOffset: 92,
        fontSize: FONT_SIZE,
        ticks,
        tickFormat: String
      }),
      rectY(bins, { x1: 'from', x2: 'to', y1: LEAST_COUNT, y2: 'count', fill: 'colour', fillOpacity: 0.75 }),
      line(outline, { x: 'at', y: 'count', stroke: 'black', strokeWidth: 1 }),
      ruleX([0], { stroke: '#777777' })
    ]
  })
}

function frameOf(height: number, width: number, left = MARGIN.left) {
  return { width, height, marginLeft: left, marginRight: MARGIN.right, marginBottom: MARGIN.bottom }
}

function axes(y: string, x: string, left = MARGIN.left) {
  return [
    gridY({ stroke: '#dddddd', strokeOpacity: 1, ticks: 4 }),
    axisX({ label: x, labelAnchor: 'center', labelArrow: 'none', fontSize: FONT_SIZE }),
    axisY({
      label: y,
      labelAnchor: 'center',
      labelArrow: 'none',
      labelOffset: left - 18,
      fontSize: FONT_SIZE,
      ticks: 4
    })
  ]
}

/** A line per signal; values below `least` are gaps. */
function lines(
  signals: readonly SignalByType[],
  { dt }: TrialSnapshot,
  colourOf: (place: number) => string,
  least = Number.NEGATIVE_INFINITY
) {
  return signals.map(({ values }, place) =>
    line(
      values.map((value, step) => ({ ms: step * dt, value: value >= least ? value : Number.NaN })),
      { x: 'ms', y: 'value', stroke: colourOf(place), strokeWidth: 1.5 }
    )
  )
}

/** One path for each type: a stroke a spike. */
function raster({ steps, types, inputUnits, inputs, spikes }: TrialSnapshot, left: number, width: number): string {
  const colours = cellColours(types)
  const colourOf = (place: number) => colours[place] ?? GREY
  const cells = types.reduce((sum, { neurons }) => sum + neurons.length, 0)
  const inputHeight = Math.min(ROWS / 4, (ROWS * inputUnits) / Math.max(1, cells + inputUnits))
  const [inputRow, cellRow] = [inputHeight / Math.max(1, inputUnits), (ROWS - inputHeight - GAP) / Math.max(1, cells)]
  const x = (step: number) => left + ((width - left - MARGIN.right) * step) / Math.max(1, steps)
  const parts: string[] = []
  const draw = (
    flat: Iterable<readonly [number, number]>,
    y: (unit: number) => number,
    row: number,
    colour: string
  ) => {
    const strokes = [...flat].map(
      ([step, unit]) => `M${x(step).toFixed(1)} ${y(unit).toFixed(1)}v${Math.max(0.8, 0.9 * row).toFixed(1)}`
    )
    parts.push(`<path d="${strokes.join('')}" stroke="${colour}" stroke-width="1" fill="none"/>`)
  }
  const name = (text: string, top: number, bottom: number, colour: string) =>
    parts.push(
      `<text x="${left - 8}" y="${((top + bottom) / 2).toFixed(1)}" dy="0.35em" text-anchor="end" fill="${colour}">${escaped(text)}</text>`
    )
  draw(pairs(inputs), unit => unit * inputRow, inputRow, GREY)
  if (inputUnits > 0) name('inputs', 0, inputHeight, GREY)
  let top = inputHeight + GAP
  for (const [place, { name: type, neurons }] of types.entries()) {
    const row = new Map(neurons.map((neuron, i) => [neuron, i]))
    const first = top
    draw(
      pairs(spikes).filter(([, neuron]) => row.has(neuron)),
      neuron => first + (row.get(neuron) ?? 0) * cellRow,
      cellRow,
      colourOf(place)
    )
    top += neurons.length * cellRow
    if (neurons.length > 0) name(type, first, top, colourOf(place))
  }
  return parts.join('')
}

function pairs(flat: readonly number[]): (readonly [number, number])[] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] ?? 0, flat[2 * i + 1] ?? 0] as const)
}
