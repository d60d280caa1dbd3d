import type { WholeDescription } from '../network/description.js'
import type { Metrics } from '../operations/train.js'
import type { CodeFile } from '../runs/code-file.js'
import type { ImportedFile } from '../runs/imported-files.js'
import { changeText, type Intervention } from '../runs/interventions.js'
import { learningRateText } from '../runs/learning-rate-text.js'
import type { Provenance } from '../runs/provenance.js'
import { ruleLabel } from '../runs/rule-label.js'
import type { RunConfig, StoredRun } from '../runs/run-folder.js'
import type { Schedule } from '../task/schedule.js'
import { delayText, initialText, synapsesText } from './connectivity-text.js'
import { parameter } from './methods-text.js'

/** A table of a report: rows of cells, the first of which names its row. */
export interface ReportTable {
  readonly title: string
  /** Names of the columns; none where a row is a name and a value. */
  readonly head?: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** The tables of a run: what came of it, what was changed while it ran, network, rule, training, and what made it. */
export function reportTables(
  { config, metrics, ...run }: StoredRun,
  changes: readonly Intervention[],
  warnings: readonly string[],
  state: string
): { readonly result: ReportTable; readonly settings: readonly ReportTable[] } {
  const { training } = config
  const validations = metrics.filter(({ split }) => split === 'validation')
  const last = validations.at(-1) ?? metrics.at(-1)
  const seconds =
    metrics.reduce((sum, { split, msPerIteration }) => sum + (split === 'train' ? msPerIteration : 0), 0) / 1000
  const result = [
    ['state', state],
    ['iterations', `${metrics.at(-1)?.iteration ?? 0} of ${training.iterations}, ${training.batchSize} trials each`],
    ['last loss', last === undefined ? '–' : `${last.loss.toFixed(4)} (${last.split})`],
    ['last accuracy', last?.accuracy?.toFixed(3) ?? '–'],
    ['training time', `${seconds.toFixed(1)} s, validations not counted`],
    ...warnings.map(message => ['warning', message]),
    ...(run.diverged === undefined
      ? []
      : [['diverged after', `iteration ${run.diverged.iteration}: ${run.diverged.message}`]])
  ]
  const settings = [
    ...(changes.length === 0 ? [] : [changesTable(changes)]),
    populationsTable(config),
    projectionsTable(config, metrics.at(-1)?.living ?? {}),
    ruleTable(config),
    trainingTable(config),
    provenanceTable(config)
  ]
  return { result: { title: 'Result', rows: result }, settings: settings.filter(({ rows }) => rows.length > 0) }
}

function changesTable(changes: readonly Intervention[]): ReportTable {
  const rows = changes.map(change => [
    String(change.iteration),
    'stop' in change ? 'stopped before it' : changeText(change)
  ])
  return { title: 'Changed while it ran', head: ['from iteration', 'change'], rows }
}

function populationsTable({ network }: RunConfig): ReportTable {
  const { inputs, populations, readouts } = network as WholeDescription
  const ms = (value: unknown) => (value === undefined ? '' : parameter(value, 'ms'))
  const plain = (value: unknown) => (value === undefined ? '' : parameter(value))
  const rows = [
    ...inputs.map(({ name, size, sign }) => [name, String(size), 'input', signText(sign)]),
    ...populations.map(population => [
      population.name,
      String(population.size),
      population.model,
      signText(population.sign),
      ms(population.membraneTimeConstant),
      plain(population.threshold),
      ms(population.refractoryPeriod),
      ms(population.adaptationTimeConstant),
      plain(population.adaptationStrength)
    ]),
    ...readouts.map(({ name, size, timeConstant }) => [name, String(size), 'readout', '', `τ_out ${timeConstant} ms`])
  ]
  const head = ['population', 'units', 'model', 'sign', 'τ_m', 'thr', 'refractory', 'τ_a', 'β']
  return { title: 'Network', head, rows: rows.map(row => head.map((_, i) => row[i] ?? '')) }
}

function signText(sign: unknown): string {
  if (Array.isArray(sign)) {
    const count = (of: number) => sign.filter(each => each === of).length
    return `${count(1)} excitatory, ${count(-1)} inhibitory${count(0) > 0 ? `, ${count(0)} free` : ''}`
  }
  if (typeof sign !== 'object' || sign === null) return typeof sign === 'string' ? sign : 'free'
  const { excitatory, inhibitory } = sign as { readonly excitatory: number; readonly inhibitory: number }
  return `${excitatory} excitatory, ${inhibitory} inhibitory`
}

function projectionsTable({ network }: RunConfig, living: Metrics['living']): ReportTable {
  const { projections, dt } = network as WholeDescription
  const counted = Object.keys(living).length > 0
  const rows = projections.map(projection => {
    const { name, from, to, connections, initialise, delay = dt, plastic } = projection
    const start = connections !== undefined ? 'listed' : initialise === undefined ? '' : initialText(initialise)
    const trained = plastic === false ? 'fixed' : 'trained'
    const key = name ?? `${from}->${to}`
    const alive = counted ? [String(living[key] ?? '–')] : []
    return [key, synapsesText(projection), ...alive, start, delayText(delay), trained]
  })
  const alive = counted ? ['living at the end'] : []
  return { title: 'Projections', head: ['projection', 'synapses', ...alive, 'initial weights', 'delay', ''], rows }
}

function ruleTable(config: RunConfig): ReportTable {
  const rows = flat(config.rule as Readonly<Record<string, unknown>>)
  return { title: `Learning rule: ${ruleLabel(config)}`, rows }
}

function trainingTable({ training, precision, seed }: RunConfig): ReportTable {
  const { loss, regulariser, optimiser } = training as Readonly<
    Record<string, Readonly<Record<string, unknown>> | null>
  >
  const rows = [
    ['seed of network and batches', String(seed)],
    ['precision', precision],
    ['batch', `${training.batchSize} trials`],
    ['validation', `every ${training.validateEvery} iterations`],
    ...flat({ loss, regulariser: regulariser ?? 'none' }),
    ...flat({ optimiser })
  ]
  return { title: 'Training', rows }
}

function provenanceTable(config: RunConfig): ReportTable {
  const { versions, instructionSetClass, taskFile, ruleFile, provenance } = config
  const made = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const rows = [
    ['made by', made.join(', ')],
    ...(provenance === undefined ? [] : provenanceRows(provenance)),
    ['multiply-adds', instructionSetClass],
    ...fileRows('task file', taskFile),
    ...fileRows('rule file', ruleFile)
  ]
  return { title: 'Made with', rows }
}

function fileRows(what: string, file: CodeFile | undefined): string[][] {
  if (file === undefined) return []
  const row = (name: string, { path, sha256 }: ImportedFile) => [name, `${path} (SHA-256 ${sha256})`]
  return [row(what, file), ...(file.imports ?? []).map(imported => row('imported by it', imported))]
}

function provenanceRows({ date, processor, instructionSet, system, commit, changed }: Provenance): string[][] {
  return [
    ['begun', date],
    ['commit', commit === null ? 'no repository' : `${commit}${changed === true ? ', with changes' : ''}`],
    ['processor', `${processor}, ${instructionSet}`],
    ['system', system]
  ]
}

/** Nested settings as rows of `a.b` and a value; a learning rate as the command line has it. */
function flat(settings: Readonly<Record<string, unknown>>, path = ''): string[][] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const at = path === '' ? name : `${path}.${name}`
    if (name === 'learningRate') return [[at, learningRateText(value as number | Schedule) ?? 'a table']]
    if (Array.isArray(value)) return value.length === 0 ? [] : listed(value, at)
    if (typeof value === 'object' && value !== null) return flat(value as Readonly<Record<string, unknown>>, at)
    return [[at, value === null ? 'none' : String(value)]]
  })
}

/** A list of plain values on one row, of others a row each. */
const listed = (values: readonly unknown[], at: string): string[][] =>
  values.every(value => typeof value !== 'object')
    ? [[at, values.length > 12 ? `${values.length} values` : values.join(', ')]]
    : values.flatMap((value, i) => flat(value as Readonly<Record<string, unknown>>, `${at}[${i}]`)).slice(0, 60)
