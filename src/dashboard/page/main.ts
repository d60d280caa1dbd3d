import type { NeuronTrace, TrialSnapshot } from '../../analysis/trial-snapshot.js'
import { isLearningRate, LEARNING_RATE, type Metrics } from '../frames.js'
import { align, type Curve, LineChart } from './chart.js'
import { ink, ofPlace, ofRule } from './colours.js'
import { histogram } from './histogram.js'
import { Raster } from './raster.js'
import { Server } from './server.js'
import { spread } from './spread.js'
import { type KnownRun, Store } from './store.js'

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T

const server = new Server()
const store = new Store()
const runs = element<HTMLSelectElement>('run')
const neuron = element<HTMLInputElement>('neuron')
const projection = element<HTMLSelectElement>('projection')
const pause = element<HTMLButtonElement>('pause')
const stop = element<HTMLButtonElement>('stop')
const learningRate = element<HTMLInputElement>('learning-rate')
const summary = element('summary')

const charts = {
  loss: new LineChart('loss', { x: 'iteration', y: 'loss' }),
  accuracy: new LineChart('accuracy', { x: 'iteration', y: 'accuracy' }),
  outputs: new LineChart('outputs', { x: 'time (ms)', y: 'readout' }),
  membrane: new LineChart('membrane', { x: 'time (ms)', y: 'v, threshold' }),
  learning: new LineChart('learning', { x: 'time (ms)', y: 'mean |L|' }),
  modulation: new LineChart('modulation', { x: 'time (ms)', y: 'mean |Γ|' }),
  rates: new LineChart('rates', { x: 'iteration', y: 'rate (Hz)' }),
  alignment: new LineChart('alignment', { x: 'iteration', y: 'cosine' }),
  speed: new LineChart('speed', { x: 'iteration', y: 'ms/iteration' })
}
const raster = new Raster(element<HTMLCanvasElement>('raster'), choose)

/** What is chosen is part of the address: a reload shows the same. */
const chosen = new URLSearchParams(location.hash.slice(1))
let trace: NeuronTrace | undefined
let shownGraph = ''
let drawn = false
let asked = ''
let shownSnapshot: TrialSnapshot | undefined
let shownAs = ''

function current(): KnownRun | undefined {
  return store.runs.get(chosen.get('run') ?? '') ?? store.runs.values().next().value
}

function keep(key: string, value: string): void {
  chosen.set(key, value)
  history.replaceState(null, '', `#${chosen}`)
  schedule()
}

function choose(index: number): void {
  neuron.value = String(index)
  keep('neuron', String(index))
}

const chosenNeuron = () => Math.max(0, Number.parseInt(chosen.get('neuron') ?? '0', 10) || 0)

/** At most one drawing a frame of the screen. */
function schedule(): void {
  if (drawn) return
  drawn = true
  requestAnimationFrame(() => {
    drawn = false
    draw()
  })
}

function draw(): void {
  const run = current()
  list()
  if (run === undefined) {
    summary.textContent = 'No run yet.'
    return
  }
  control(run)
  courses()
  if (isNew(run.snapshot)) {
    if (run.snapshot !== undefined) showSnapshot(run, run.snapshot)
    raster.show(run.snapshot, chosenNeuron())
  }
  const graph = server.graph(run.info.id)
  if (graph !== shownGraph) {
    shownGraph = graph
    const image = element('graph').querySelector('img') as HTMLImageElement
    image.src = graph
    image.alt = `The network of ${run.info.task}: cells by type, synapses as thin lines, modulatory channels as dashed arrows`
  }
}

/** Whether a snapshot is to be drawn: it, what is chosen in it, or how it is shown has changed. */
function isNew(snapshot: TrialSnapshot | undefined): boolean {
  const key = `${chosen} ${ink()} ${element('weights').clientWidth}`
  if (snapshot === shownSnapshot && key === shownAs) return false
  shownSnapshot = snapshot
  shownAs = key
  return true
}

function list(): void {
  const ids = [...store.runs.keys()]
  if ([...runs.options].map(({ value }) => value).join() !== ids.join()) {
    runs.replaceChildren(...ids.map(id => new Option(id, id)))
  }
  const run = current()
  if (run !== undefined) runs.value = run.info.id
}

function control({ info, train, validation }: KnownRun): void {
  const last = validation.at(-1) ?? train.at(-1)
  const { task, rule, seed, iterations, state, process } = info
  const at = Math.max(train.at(-1)?.iteration ?? 0, validation.at(-1)?.iteration ?? 0)
  const loss = last === undefined ? '' : `, ${last.split} loss ${last.loss.toFixed(4)}`
  const by = process === undefined ? '' : ` (process ${process.pid} on ${process.host})`
  summary.textContent = `${task}, ${ofRule(rule).label}, seed ${seed}: ${state}${by}, iteration ${at} of ${iterations}${loss}`
  const live = info.controllable && (state === 'running' || state === 'paused')
  element('controls').hidden = !info.controllable
  pause.disabled = !live
  stop.disabled = !live
  element<HTMLButtonElement>('set-rate').disabled = !live
  pause.textContent = state === 'paused' ? 'Resume' : 'Pause'
  if (document.activeElement !== learningRate) learningRate.value = String(info.learningRate)
}

/** The curves over iterations: every rule, mean and spread over its seeds. */
function courses(): void {
  const groups = [...store.byRule()]
  const curves = (points: (run: KnownRun) => readonly { iteration: number; value: number | null }[]) =>
    groups.flatMap(([rule, members]) => {
      const { iterations, mean, low, high } = spread(members.map(points))
      const { label, colour } = ofRule(rule)
      const band = members.length > 1 ? { low, high } : {}
      return iterations.length === 0 ? [] : [{ label, colour, at: iterations, values: mean, ...band }]
    })
  const metrics = ({ validation, train }: KnownRun) => (validation.length > 0 ? validation : train)
  const of = (pick: (line: Metrics) => number | null) => (run: KnownRun) =>
    metrics(run).map(line => ({ iteration: line.iteration, value: pick(line) }))
  charts.loss.show(align(curves(of(line => line.loss))))
  charts.accuracy.show(align(curves(of(line => line.accuracy))))
  charts.rates.show(align(curves(of(line => line.rate))))
  charts.speed.show(align(curves(of(line => line.msPerIteration))))
  const cosines = curves(({ alignment }) => alignment.map(({ iteration, all }) => ({ iteration, value: all.cosine })))
  element('alignment-none').hidden = cosines.length > 0
  charts.alignment.show(align(cosines))
}

function showSnapshot(run: KnownRun, snapshot: TrialSnapshot): void {
  const ms = Array.from({ length: snapshot.steps }, (_, step) => step * snapshot.dt)
  const show = (chart: LineChart, signals: TrialSnapshot['learning']) =>
    chart.show({
      x: ms,
      curves: signals.map(({ name, values }, place) => ({ label: name, colour: ofPlace(place), values }))
    })
  show(charts.outputs, snapshot.outputs)
  show(charts.learning, snapshot.learning)
  show(charts.modulation, snapshot.modulation)
  const list = element<HTMLDListElement>('rate-list')
  const entries = snapshot.rates.flatMap(({ name, rate }) => {
    const [term, value] = [document.createElement('dt'), document.createElement('dd')]
    term.textContent = name
    value.textContent = `${rate.toFixed(1)} Hz in this trial`
    return [term, value]
  })
  list.replaceChildren(...entries)
  weights(snapshot)
  const key = `${run.info.id} ${snapshot.iteration} ${chosenNeuron()}`
  if (key !== asked) {
    asked = key
    void server.neuron(run.info.id, chosenNeuron()).then(found => {
      trace = found
      membrane()
    })
  }
  membrane()
}

function membrane(): void {
  const type = element('neuron-type')
  type.textContent = trace === undefined ? 'no such neuron' : `type ${trace.type}, iteration ${trace.iteration}`
  if (trace === undefined) {
    charts.membrane.show({ x: [], curves: [] })
    return
  }
  const { voltage, threshold, dt } = trace
  const curves: Curve[] = [
    { label: 'v', colour: ofPlace(0), values: voltage },
    { label: 'threshold', colour: ofPlace(1), values: threshold, dash: [6, 4] }
  ]
  charts.membrane.show({ x: voltage.map((_, step) => step * dt), curves })
}

function weights(snapshot: TrialSnapshot): void {
  const names = snapshot.weights.map(({ name }) => name)
  if ([...projection.options].map(({ value }) => value).join() !== names.join()) {
    projection.replaceChildren(...names.map(name => new Option(name, name)))
  }
  const shown = snapshot.weights.find(({ name }) => name === chosen.get('projection')) ?? snapshot.weights[0]
  if (shown === undefined) return
  projection.value = shown.name
  const place = element('weights')
  place.replaceChildren(histogram(shown, Math.max(240, place.clientWidth)))
  element('moved').textContent =
    `${shown.synapses} synapses; moved by ${(100 * shown.moved).toFixed(1)} % of their norm since the first snapshot (outline).`
}

async function wish(action: 'pause' | 'resume' | 'stop' | 'learning-rate', value = 0): Promise<void> {
  const run = current()?.info.id
  if (run === undefined) return
  const problem = await server.control(action === 'learning-rate' ? { run, action, value } : { run, action })
  if (problem !== undefined) element('connection').textContent = `refused: ${problem}`
}

const togglePause = () => void wish(current()?.info.state === 'paused' ? 'resume' : 'pause')

runs.addEventListener('change', () => keep('run', runs.value))
neuron.addEventListener('change', () => keep('neuron', neuron.value))
projection.addEventListener('change', () => keep('projection', projection.value))
pause.addEventListener('click', togglePause)
stop.addEventListener('click', () => void wish('stop'))
element('set-rate').addEventListener('click', () => {
  const value = Number(learningRate.value)
  if (isLearningRate(value)) void wish('learning-rate', value)
  else element('connection').textContent = `the learning rate must be ${LEARNING_RATE}`
})
document.addEventListener('keydown', ({ key, target, ctrlKey, metaKey, altKey }) => {
  const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement
  if (key === 'p' && !typing && !ctrlKey && !metaKey && !altKey && !pause.disabled) togglePause()
})
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', schedule)
window.addEventListener('resize', schedule)
neuron.value = String(chosenNeuron())
server.listen(
  frame => {
    store.take(frame)
    schedule()
  },
  connected => {
    element('connection').textContent = connected ? 'connected' : 'the run has ended or is away; waiting for it'
  }
)
