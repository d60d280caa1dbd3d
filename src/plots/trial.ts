import { axisX, axisY, gridY, line, ruleX, ruleY } from '@observablehq/plot'
import type { NeuronTrace, SignalByType, TrialSnapshot } from '../analysis/trial-snapshot.js'
import { drawn, FONT_SIZE, figure } from './figure.js'
import { FONT_FAMILY } from './font.js'
import { LEGEND, legendColumn } from './legend.js'

/** Okabe and Ito's colours, which colour-blind people can tell apart; in the order of the types. */
const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'] as const
const WIDTH = 760
const MARGIN = { left: 110, right: 24, bottom: 48 }
const ROWS = 360
const GAP = 8
const PANEL = 150
const GREY = '#555555'

const colourOf = (place: number) => COLOURS[place % COLOURS.length] ?? COLOURS[0]

/** The spikes of a trial, inputs above and then the cells by type, over the readout; an SVG document. */
export function trialPicture(snapshot: TrialSnapshot): string {
  const below = drawn({
    ...frameOf(PANEL),
    x: { domain: [0, snapshot.steps * snapshot.dt], axis: null },
    marks: signalMarks(snapshot.outputs, snapshot, 'readout')
  })
  const height = ROWS + GAP + PANEL
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`,
    ` font-family="'${FONT_FAMILY}', sans-serif" font-size="${FONT_SIZE}px">`,
    '<rect width="100%" height="100%" fill="white"/>',
    raster(snapshot),
    below.replace('<svg ', `<svg y="${ROWS + GAP}" `),
    ...snapshot.outputs.map(unitName),
    '</svg>\n'
  ].join('')
}

/** Names of the readout's units, side by side above their lines. */
function unitName({ name }: SignalByType, place: number, { length }: readonly SignalByType[]): string {
  const x = WIDTH - MARGIN.right - 90 * (length - 1 - place)
  return `<text x="${x}" y="${ROWS + GAP + 10}" text-anchor="end" fill="${colourOf(place)}">${name}</text>`
}

/** The learning signal over the modulatory signal, means of |·| over the cells of each type; an SVG document. */
export function signalsPicture(snapshot: TrialSnapshot): string {
  const legend = legendColumn(
    snapshot.types.map(({ name }, place) => ({ text: name, stroke: colourOf(place) })),
    MARGIN.left
  )
  const top = LEGEND.top + LEGEND.row * snapshot.types.length
  const panel = (signals: readonly SignalByType[], label: string, y: number) =>
    drawn({ ...frameOf(PANEL + 40), marks: signalMarks(signals, snapshot, label) }).replace('<svg ', `<svg y="${y}" `)
  const height = top + 2 * (PANEL + 40)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`,
    ` font-family="'${FONT_FAMILY}', sans-serif" font-size="${FONT_SIZE}px">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...legend,
    panel(snapshot.learning, 'learning signal, mean |L|', top),
    panel(snapshot.modulation, 'modulatory signal, mean |Γ|', top + PANEL + 40),
    '</svg>\n'
  ].join('')
}

/** A neuron's membrane and its threshold in a trial; an SVG document. */
export function membranePicture({ voltage, threshold, dt, neuron, type }: NeuronTrace): string {
  const at = (values: readonly number[]) => values.map((value, step) => ({ ms: step * dt, value }))
  const names = [
    { text: `v of neuron ${neuron} (${type})`, stroke: colourOf(0) },
    { text: 'threshold', stroke: colourOf(1), dash: '6 4' }
  ]
  const options = {
    ...frameOf(300),
    marginTop: LEGEND.top + LEGEND.row * names.length,
    marks: [
      ...axes('membrane (dimensionless)', 'time (ms)'),
      line(at(voltage), { x: 'ms', y: 'value', stroke: colourOf(0), strokeWidth: 1 }),
      line(at(threshold), { x: 'ms', y: 'value', stroke: colourOf(1), strokeWidth: 1.5, strokeDasharray: '6 4' })
    ]
  }
  return figure(options, legendColumn(names, MARGIN.left).join(''))
}

/** The weights of each projection now, over an outline of what they were first; an SVG document. */
export function weightsPicture({ weights }: TrialSnapshot): string {
  const panels = weights.map(({ name, edges, now, first, moved }, i) => {
    const bars = now.map((count, bin) => {
      const [from, to] = [edges[bin] ?? 0, edges[bin + 1] ?? 0]
      return [
        { at: from, count },
        { at: to, count }
      ]
    })
    const outline = first.flatMap((count, bin) => [
      { at: edges[bin] ?? 0, count },
      { at: edges[bin + 1] ?? 0, count }
    ])
    const label = `${name}: moved by ${(100 * moved).toFixed(0)} %`
    return drawn({
      ...frameOf(200),
      marks: [
        ...axes('synapses', `weight, ${label}`),
        line(bars.flat(), { x: 'at', y: 'count', stroke: colourOf(0), strokeWidth: 2 }),
        line(outline, { x: 'at', y: 'count', stroke: GREY, strokeWidth: 1, strokeDasharray: '4 3' }),
        ruleX([0], { stroke: '#cccccc' }),
        ruleY([0], { stroke: GREY })
      ]
    }).replace('<svg ', `<svg y="${LEGEND.top + 2 * LEGEND.row + 200 * i}" `)
  })
  const legend = legendColumn(
    [
      { text: 'now', stroke: colourOf(0) },
      { text: 'at the start', stroke: GREY, dash: '4 3' }
    ],
    MARGIN.left
  )
  const height = LEGEND.top + 2 * LEGEND.row + 200 * panels.length
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`,
    ` font-family="'${FONT_FAMILY}', sans-serif" font-size="${FONT_SIZE}px">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...legend,
    ...panels,
    '</svg>\n'
  ].join('')
}

function frameOf(height: number) {
  return { width: WIDTH, height, marginLeft: MARGIN.left, marginRight: MARGIN.right, marginBottom: MARGIN.bottom }
}

function axes(y: string, x: string) {
  return [
    gridY({ stroke: '#dddddd', strokeOpacity: 1, ticks: 4 }),
    axisX({ label: x, labelAnchor: 'center', labelArrow: 'none', fontSize: FONT_SIZE }),
    axisY({ label: y, labelAnchor: 'center', labelArrow: 'none', labelOffset: 92, fontSize: FONT_SIZE, ticks: 4 })
  ]
}

function signalMarks(signals: readonly SignalByType[], { dt }: TrialSnapshot, label: string) {
  return [
    ...axes(label, 'time (ms)'),
    ...signals.map(({ values }, place) =>
      line(
        values.map((value, step) => ({ ms: step * dt, value })),
        { x: 'ms', y: 'value', stroke: colourOf(place), strokeWidth: 1.5 }
      )
    )
  ]
}

/** One path for each type: a stroke a spike. */
function raster({ steps, types, inputUnits, inputs, spikes }: TrialSnapshot): string {
  const cells = types.reduce((sum, { neurons }) => sum + neurons.length, 0)
  const inputHeight = Math.min(ROWS / 4, (ROWS * inputUnits) / Math.max(1, cells + inputUnits))
  const [inputRow, cellRow] = [inputHeight / Math.max(1, inputUnits), (ROWS - inputHeight - GAP) / Math.max(1, cells)]
  const x = (step: number) => MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * step) / Math.max(1, steps)
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
      `<text x="${MARGIN.left - 8}" y="${((top + bottom) / 2).toFixed(1)}" dy="0.35em" text-anchor="end" fill="${colour}">${text}</text>`
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
