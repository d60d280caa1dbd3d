import type { NeuronTrace, TrialSnapshot } from '../../analysis/trial-snapshot.js'
import { darkScheme, ink, ofRule } from './colours.js'
import { Controls } from './controls.js'
import { IterationCurves } from './curves.js'
import { create, element, setOptions, setText } from './elements.js'
import { groupsOf } from './groups.js'
import { histogram, weightsText } from './histogram.js'
import { Message } from './message.js'
import { groundOf, NetworkPanel } from './network.js'
import { iterationOf, RunsTable } from './runs-table.js'
import { Server } from './server.js'
import { type KnownRun, Store } from './store.js'
import { TrialPanels } from './trial.js'
import { View } from './view.js'

/** Least ms between two requests for the channels' shares of a run that goes on. */
const SHARES_EVERY = 20_000

const server = new Server()
const store = new Store()
const view = new View(schedule)
const message = new Message()
const controls = new Controls(server, message)
const curves = new IterationCurves()
const table = new RunsTable(view)
const trial = new TrialPanels({ neuron: chooseNeuron, type: chooseType })
const network = new NetworkPanel({ neuron: chooseNeuron, type: chooseType, channel: chooseChannel })

const runs = element<HTMLSelectElement>('run')
const neuron = element<HTMLInputElement>('neuron')
const projection = element<HTMLSelectElement>('projection')
const smoothing = element<HTMLInputElement>('smoothing')
const counts = element<HTMLInputElement>('log-counts')

let scheduled = false
let trace: NeuronTrace | undefined
let asked = { snapshot: '', neuron: '', shares: '', sharesAt: 0 }
let shown: { snapshot: TrialSnapshot | undefined; as: string } = { snapshot: undefined, as: '' }
/** Why a run's trial cannot be shown. */
const problems = new Map<string, { readonly key: string; readonly text: string }>()

function current(): KnownRun | undefined {
  return store.runs.get(view.text('run') ?? '') ?? store.runs.values().next().value
}

const chosenNeuron = () => Math.floor(view.number('neuron') ?? 0)

function chooseNeuron(index: number): void {
  const type = current()?.snapshot?.types.find(({ neurons }) => neurons.includes(index))?.name
  view.set({ neuron: String(index), type, channel: undefined })
}

function chooseType(name: string): void {
  view.set({ type: view.text('type') === name ? undefined : name, channel: undefined })
}

function chooseChannel(key: string): void {
  view.set({ channel: view.text('channel') === key ? undefined : key, type: undefined })
}

/** The chosen type, or the two that the chosen channel joins. */
function chosenTypes(snapshot: TrialSnapshot): ReadonlySet<string> {
  const channel = view.text('channel')
  if (channel === undefined) return new Set([view.text('type') ?? ''].filter(Boolean))
  const names = snapshot.types.map(({ name }) => name)
  const [from] = names.filter(name => names.some(to => `${name}->${to}` === channel))
  return new Set(names.filter(name => name === from || `${from}->${name}` === channel))
}

/** At most one drawing a frame of the screen. */
function schedule(): void {
  if (scheduled) return
  scheduled = true
  requestAnimationFrame(() => {
    scheduled = false
    draw()
  })
}

function draw(): void {
  const run = current()
  const all = [...store.runs.values()]
  setOptions(runs, [...store.runs.keys()], run?.info.id)
  element('run-choice').hidden = all.length < 2
  element('content').hidden = run === undefined
  if (run === undefined) {
    setText(element('summary'), 'No run yet.')
    return
  }
  summary(run)
  controls.show(run.info)
  const hidden = view.all('hidden')
  const visible = all.filter(each => each === run || !hidden.has(each.info.id))
  table.show(all, groupsOf(all), run)
  const overlaid = store.runs.get(view.text('overlay') ?? '')
  smoothing.value = String(Math.min(0.99, view.number('smoothing') ?? 0))
  counts.checked = view.text('counts') !== 'linear'
  const overlay = overlaid === run ? undefined : overlaid
  curves.show({ runs: visible, chosen: run, overlay, smoothing: Number(smoothing.value) })
  drawTrial(run)
}

function summary(run: KnownRun): void {
  const { train, validation, info } = run
  const { task, rule, seed, iterations, state, process, warnings } = info
  const last = validation.at(-1) ?? train.at(-1)
  const loss = last === undefined ? '' : `, ${last.split} loss ${last.loss.toFixed(4)}`
  const by = process === undefined ? '' : ` (process ${process.pid} on ${process.host})`
  const text = `${task}, ${ofRule(rule).label}, seed ${seed}: ${state}${by}, iteration ${iterationOf(run)} of ${iterations}${loss}`
  setText(element('summary'), text)
  element('summary').classList.toggle('error', state === 'failed')
  const list = element('warnings')
  if (list.childElementCount !== warnings.length) list.replaceChildren(...warnings.map(each => create('li', {}, each)))
}

/** The run's trial: what the run reports, or what its folder holds. */
function drawTrial(run: KnownRun): void {
  const { info, snapshot } = run
  const { id, kept } = info
  void network.load(id, run => server.graph(run)).then(isNew => isNew && schedule())
  if (kept !== null && snapshot?.iteration !== kept) askSnapshot(run, kept)
  const problem = problems.get(id)
  const none =
    problem === undefined
      ? kept === null
        ? 'No trial yet.'
        : 'A trial is being simulated…'
      : `No trial can be shown: ${problem.text}`
  setText(element('trial-none'), none)
  element('trial-none').hidden = snapshot !== undefined
  element('trial-none').classList.toggle('error', problem !== undefined)
  for (const part of ['trial-parts', 'weights-panel']) element(part).hidden = snapshot === undefined
  const as = `${view.key} ${ink()} ${element('weights').clientWidth} ${trace?.iteration} ${trace?.neuron}`
  const types = snapshot === undefined ? new Set<string>() : chosenTypes(snapshot)
  const chosen = { neuron: chosenNeuron(), types, ground: groundOf(darkScheme.matches) }
  network.show(snapshot, { ...chosen, channel: view.text('channel') })
  if (snapshot === undefined || (snapshot === shown.snapshot && as === shown.as)) return
  shown = { snapshot, as }
  setText(element('trial-when'), `after iteration ${snapshot.iteration}`)
  trial.show(snapshot, chosen)
  if (document.activeElement !== neuron) neuron.value = String(chosenNeuron())
  trial.membrane(trace, snapshot, chosen)
  askNeuron(run, snapshot)
  askShares(run, snapshot)
  drawWeights(snapshot)
}

/** Asks for a trial of the weights in a run's folder; one that failed is not asked for again while the weights are the same. */
function askSnapshot({ info: { id } }: KnownRun, kept: number): void {
  const key = `${id} ${kept}`
  if (key === asked.snapshot || problems.get(id)?.key === key) return
  asked.snapshot = key
  void server.snapshot(id).then(({ value, error }) => {
    if (asked.snapshot === key) asked.snapshot = ''
    const run = store.runs.get(id)
    if (value !== undefined && run !== undefined) run.snapshot = value
    if (error === undefined) problems.delete(id)
    else problems.set(id, { key, text: error })
    schedule()
  })
}

function askNeuron({ info }: KnownRun, snapshot: TrialSnapshot): void {
  const key = `${info.id} ${snapshot.iteration} ${chosenNeuron()}`
  if (key === asked.neuron) return
  asked.neuron = key
  void server.neuron(info.id, chosenNeuron()).then(found => {
    if (asked.neuron !== key) return
    trace = found
    shown.as = ''
    schedule()
  })
}

/** What each channel carries is simulated for every channel alone: rarely while a run goes on. */
function askShares({ info }: KnownRun, snapshot: TrialSnapshot): void {
  const key = `${info.id} ${snapshot.iteration}`
  const sameRun = asked.shares.startsWith(`${info.id} `)
  if (key === asked.shares || (sameRun && performance.now() - asked.sharesAt < SHARES_EVERY)) return
  asked = { ...asked, shares: key, sharesAt: performance.now() }
  void server.channels(info.id).then(shares => {
    network.share(info.id, shares)
    schedule()
  })
}

function drawWeights(snapshot: TrialSnapshot): void {
  const names = snapshot.weights.map(({ name }) => name)
  const found = snapshot.weights.find(({ name }) => name === view.text('projection')) ?? snapshot.weights[0]
  setOptions(projection, names, found?.name)
  if (found === undefined) return
  const picture = element('weights')
  picture.replaceChildren(
    histogram(found, Math.max(240, picture.clientWidth), counts.checked, groundOf(darkScheme.matches))
  )
  setText(element('moved'), weightsText(found))
}

runs.addEventListener('change', () => view.set({ run: runs.value }))
neuron.addEventListener('change', () => chooseNeuron(Math.max(0, Number.parseInt(neuron.value, 10) || 0)))
projection.addEventListener('change', () => view.set({ projection: projection.value }))
smoothing.addEventListener('input', () =>
  view.set({ smoothing: smoothing.value === '0' ? undefined : smoothing.value })
)
counts.addEventListener('change', () => view.set({ counts: counts.checked ? undefined : 'linear' }))
darkScheme.addEventListener('change', schedule)
window.addEventListener('resize', schedule)
neuron.value = String(chosenNeuron())
server.listen(
  frame => {
    store.take(frame)
    schedule()
  },
  connected => message.connection(connected ? 'connected' : 'the run has ended or is away; waiting for it')
)
