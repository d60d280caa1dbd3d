import type { Metrics } from '../frames.js'
import { align, type Curve, LineChart } from './chart.js'
import { faint, ink, ofRule } from './colours.js'
import { element } from './elements.js'
import { type Group, groupsOf } from './groups.js'
import { type Point, smooth, spread } from './spread.js'
import type { KnownRun } from './store.js'

/** Which runs the curves show, and how. */
export interface CurvesView {
  /** Those that are not hidden. */
  readonly runs: readonly KnownRun[]
  readonly chosen: KnownRun
  /** Laid over the chosen one. */
  readonly overlay: KnownRun | undefined
  /** From 0, as they are, to below 1. */
  readonly smoothing: number
}

type Line = Curve & { readonly at: readonly number[] }
type Points = (run: KnownRun) => readonly Point[]

const GROUP = 'iterations'
const DASHES: readonly (readonly number[])[] = [[], [10, 4], [2, 3], [10, 3, 2, 3]]
const REFERENCE = [3, 4]

/** The curves over iterations: of every group of runs mean and spread, over them the chosen run. */
export class IterationCurves {
  readonly #loss = new LineChart('loss', { x: 'iteration', y: 'loss', group: GROUP, height: 215 })
  readonly #accuracy = new LineChart('accuracy', {
    x: 'iteration',
    y: 'accuracy',
    group: GROUP,
    height: 215,
    within: [0, 1]
  })
  readonly #rates = new LineChart('rates', { x: 'iteration', y: 'rate (Hz)', group: GROUP })
  readonly #alignment = new LineChart('alignment', { x: 'iteration', y: 'cosine', group: GROUP, within: [-1, 1] })
  readonly #speed = new LineChart('speed', { x: 'iteration', y: 'ms per iteration', group: GROUP })

  show(view: CurvesView): void {
    const { chosen } = view
    const { chance, targetRate, lossUnit } = chosen.info
    const metrics = (pick: (line: Metrics) => number | null) => (run: KnownRun) => points(validated(run), pick)
    const training = (pick: (line: Metrics) => number | null) => (run: KnownRun) =>
      run.validation.length === 0 ? [] : points(run.train, pick)
    const panel = (id: string, chart: LineChart, lines: readonly Line[]) => {
      element(`${id}-panel`).hidden = lines.length === 0
      chart.show(align(lines))
    }
    const loss = (line: Metrics) => line.loss
    const accuracy = (line: Metrics) => line.accuracy
    const comparable = view.runs.every(({ info }) => info.lossUnit === lossUnit && info.chance?.loss === chance?.loss)
    const withChance = (lines: readonly Line[], value: number | undefined) =>
      value === undefined || !comparable ? lines : [...lines, ...reference('chance', value, lines)]
    element('loss-unit').textContent = lossUnit === 'loss' ? '' : ` (${lossUnit})`
    panel('loss', this.#loss, withChance(lines(view, metrics(loss), training(loss)), chance?.loss))
    panel('accuracy', this.#accuracy, withChance(lines(view, metrics(accuracy), training(accuracy)), chance?.accuracy))
    const rates = lines(
      view,
      metrics(line => line.rate)
    )
    panel('rates', this.#rates, targetRate === null ? rates : [...rates, ...reference('target', targetRate, rates)])
    const trainMs = (run: KnownRun) => points(run.train, line => line.msPerIteration)
    panel('speed', this.#speed, lines(view, trainMs))
    const cosines = lines(view, ({ alignment }) =>
      alignment.map(({ iteration, all }) => ({ iteration, value: all.cosine }))
    )
    panel('alignment', this.#alignment, [...cosines, ...reference('0', 0, cosines)])
    element('alignment-none').hidden = cosines.length > 0
  }
}

const validated = ({ validation, train }: KnownRun) => (validation.length > 0 ? validation : train)

const points = (metrics: readonly Metrics[], pick: (line: Metrics) => number | null): Point[] =>
  metrics.map(line => ({ iteration: line.iteration, value: pick(line) }))

/** The groups' means, then the chosen run and the one laid over it; alone, a run has its training batches behind it. */
function lines(view: CurvesView, of: Points, behind: Points = () => []): Line[] {
  const { runs, chosen, overlay, smoothing } = view
  const two = overlay !== undefined
  const smoothed = (run: KnownRun) => smooth(of(run), smoothing)
  const groups = groupsOf(runs).flatMap(group => mean(group, smoothed, two || runs.length > 1))
  const alone = runs.length === 1 && runs[0] === chosen
  const own = alone
    ? [raw(behind(chosen), chosen, 'training'), ...(smoothing > 0 ? [raw(of(chosen), chosen, 'unsmoothed')] : [])]
    : []
  const single = runs.length > 1 || two ? [one(chosen, smoothed(chosen), { width: 3 })] : []
  const over = overlay === undefined ? [] : [one(overlay, smoothed(overlay), { width: 3, dash: [6, 4] })]
  return [...own, ...groups, ...single, ...over].filter(({ values }) => values.some(value => value !== null))
}

/** A group's mean with its spread; thinner where single runs stand out from it. */
function mean({ label, colour, place, members }: Group, of: Points, thin: boolean): Line[] {
  const { iterations, mean, low, high } = spread(members.map(of))
  if (iterations.length === 0) return []
  const dash = DASHES[place % DASHES.length] ?? []
  const style = { label: members.length > 1 ? `${label} (${members.length})` : label, colour, width: thin ? 1.5 : 2 }
  const band = members.length > 1 ? { low, high } : {}
  return [{ ...style, ...(dash.length > 0 && { dash }), at: iterations, values: mean, ...band }]
}

function one(
  { info }: KnownRun,
  found: readonly Point[],
  style: { readonly width: number; readonly dash?: readonly number[] }
): Line {
  const { colour } = ofRule(info.rule)
  return {
    label: info.id,
    colour,
    ...style,
    at: found.map(({ iteration }) => iteration),
    values: found.map(({ value }) => value)
  }
}

/** A run's values as they are, faint behind its curve. */
function raw(found: readonly Point[], { info }: KnownRun, label: string): Line {
  const colour = faint(hex(ofRule(info.rule).colour), '80')
  return {
    label,
    colour,
    width: 1,
    at: found.map(({ iteration }) => iteration),
    values: found.map(({ value }) => value)
  }
}

/** A horizontal line beside others. */
function reference(label: string, value: number, beside: readonly Line[]): Line[] {
  const at = beside.flatMap(line => [...line.at])
  if (at.length === 0) return []
  const ends = [Math.min(...range(at)), Math.max(...range(at))]
  return [{ label, colour: ink('quiet'), width: 1, dash: REFERENCE, at: ends, values: ends.map(() => value) }]
}

const range = (values: readonly number[]): [number, number] =>
  values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  )

/** The ink may be written with three digits. */
const hex = (colour: string) =>
  colour.length === 4 ? `#${[...colour.slice(1)].map(digit => digit + digit).join('')}` : colour
