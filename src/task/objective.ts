import type { CustomScore, NativeModel, Targets as NativeTargets } from '#native'
import { askEngine } from '../addon/ask-engine.js'
import type { Readout, WholeDescription } from '../network/description.js'
import { toPositiveSteps } from '../network/duration.js'
import { find } from '../network/names.js'
import {
  callable,
  finite,
  floats,
  isObject,
  list,
  nonNegative,
  numbers,
  object,
  oneOf,
  ownMemory,
  record,
  wholeNumber
} from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Values } from '../support/precision.js'
import { isFloatArray } from '../support/recognise.js'
import { narrowed } from '../support/wide-integers.js'
import type {
  Batch,
  BatchShape,
  CrossEntropy,
  CustomLoss,
  CustomLossResult,
  Loss,
  LossByReadout,
  Losses,
  ObjectiveOptions,
  ReadoutTrace,
  Regulariser,
  SquaredError,
  Targets
} from './batch.js'
import { encodeWindows } from './class-windows.js'
import { columnsOf, putColumns, takeColumns } from './readout-columns.js'

/** A loss at its readout. */
export interface Term {
  readonly readout: Readout
  readonly loss: Loss
}

/** What is to become small, checked against a network. */
export interface Objective {
  /** As the engine reads it: JSON. */
  readonly json: string
  readonly terms: readonly Term[]
  /** Whether δ of some readout comes from JavaScript. */
  readonly custom: boolean
  /** Every readout, in the order of their units in the engine's arrays. */
  readonly readouts: readonly Readout[]
}

/** Checks losses and regulariser against a network, of which the engine has its own view. */
export function makeObjective(
  losses: Losses,
  regulariser: Regulariser | null | undefined,
  description: WholeDescription,
  network: NativeModel
): Objective {
  const readouts = description.readouts
  const alone = isLoss(losses)
  const terms = alone ? [onlyTerm(losses, readouts)] : namedTerms(losses, readouts)
  const custom = terms.some(term => term.loss.kind === 'custom')
  const checked = regulariser == null ? null : checkRegulariser(regulariser)
  const json = JSON.stringify({
    losses: terms.map(term => encodeTerm(term, description.dt, alone ? 'loss' : `loss.${term.readout.name}`)),
    regulariser: checked
  })
  const named = Object.fromEntries(terms.map(({ readout, loss }) => [readout.name, loss]))
  const loss = alone ? terms[0]?.loss : named
  askEngine({ loss, regulariser: checked }, () => network.checkObjective(json))
  return { json, terms, custom, readouts }
}

/** The objective of a call: that of its options, or else that which the batch brings along. */
export function objectiveFor(
  options: ObjectiveOptions,
  batch: Batch,
  description: WholeDescription,
  network: NativeModel
): Objective {
  const { loss, regulariser } = options
  if (loss !== undefined) return makeObjective(loss, regulariser, description, network)
  const { loss: own, regulariser: ownRegulariser } = object(batch, 'batch')
  if (own === undefined) throw invalid('options.loss', loss, 'a loss, unless the batch has one (makeBatch gives it)')
  return makeObjective(own, regulariser === undefined ? ownRegulariser : regulariser, description, network)
}

/** Checks a batch's targets and lays them out for the engine, one entry per loss. */
export function encodeTargets(objective: Objective, batch: Batch, shape: BatchShape): NativeTargets[] {
  return objective.terms.map(({ readout, loss }) => {
    if (loss.kind === 'custom') return {}
    const path = `batch.targets.${readout.name}`
    const targets = targetsOf(batch.targets, readout.name, objective, path)
    return encodeTerms(targets, loss, { ...shape, units: readout.size }, path)
  })
}

function encodeTerms(targets: unknown, loss: Loss, shape: BatchShape & { readonly units: number }, path: string) {
  const { lengths, steps, dt, units, range } = shape
  if (loss.kind !== 'cross-entropy') return { values: encodeValues(targets, lengths.length * steps * units, path) }
  if (loss.window !== 'targets') return { classes: encodeClasses(targets, units, lengths.length, path) }
  return { windows: encodeWindows(targets, { lengths, dt, classes: units, part: range !== undefined }, path) }
}

/** Asks the custom losses about a readout `[trial][step][unit of any readout]`: δ in the engine's layout, and each E. */
export function askCustomLosses(
  objective: Objective,
  batch: Batch,
  values: Values,
  trials: number,
  steps: number
): CustomScore {
  const { readouts, terms } = objective
  const width = readouts.reduce((sum, readout) => sum + readout.size, 0)
  const delta = new Float64Array(trials * steps * width)
  const losses: CustomScore['losses'] = []
  for (const term of terms.filter(({ loss }) => loss.kind === 'custom')) {
    const columns = columnsOf(readouts, term.readout, trials * steps)
    const { units } = columns
    const result = ask(term, { values: takeColumns(values, columns), trials, steps, units }, batch)
    putColumns(delta, result.delta, columns)
    losses.push({ loss: result.loss, ...(result.accuracy !== undefined && { accuracy: result.accuracy }) })
  }
  return { delta, losses }
}

/** Or what was meant for one: readouts have losses, no settings. */
function isLoss(losses: Losses): losses is Loss {
  if (!isObject(losses)) return false
  const meant = Object.values(losses).some(part => part !== undefined && typeof part !== 'object')
  return Object.hasOwn(losses, 'kind') || meant
}

function onlyTerm(loss: Loss, readouts: readonly Readout[]): Term {
  const [readout, ...others] = readouts
  if (readout === undefined || others.length > 0) {
    throw invalid('loss', loss, `one loss for each readout by name: ${list(readouts.map(({ name }) => name))}`)
  }
  return { readout, loss: checkLoss(loss, 'loss') }
}

function namedTerms(losses: LossByReadout, readouts: readonly Readout[]): Term[] {
  if (!isObject(losses))
    throw invalid('loss', losses, "a loss, as {kind: 'cross-entropy'}, or one for each readout by name")
  const terms = Object.entries(losses).map(([name, loss]) => ({
    readout: find(readouts, name, 'loss'),
    loss: checkLoss(loss, `loss.${name}`)
  }))
  if (terms.length === 0) throw invalid('loss', losses, 'at least one loss')
  return terms
}

function checkLoss(given: Loss | undefined, path: string): Loss {
  const loss = object(given, path) as Loss
  const kind = oneOf(loss.kind, `${path}.kind`, ['cross-entropy', 'squared-error', 'custom'] as const)
  if (kind === 'cross-entropy') {
    return { ...record(loss as CrossEntropy, path, [...STEP_LOSS, 'window', 'classWeights']), kind }
  }
  if (kind !== 'custom') return { ...record(loss as SquaredError, path, STEP_LOSS), kind }
  const { weight, reduction, classWeights, evaluate } = loss as AnyLoss & Pick<CustomLoss, 'evaluate'>
  const judge = callable(evaluate, `${path}.evaluate`)
  // With its own object, of which the function may make use. The engine refuses what a custom loss cannot have.
  const own: CustomLoss & AnyLoss = {
    kind,
    weight,
    reduction,
    classWeights,
    evaluate: (trace, batch) => judge.call(loss as CustomLoss, trace, batch)
  }
  return own
}

/** What some loss has. */
type AnyLoss = Pick<Partial<CrossEntropy>, 'weight' | 'reduction' | 'classWeights'> & Pick<Loss, 'kind'>

const STEP_LOSS = ['kind', 'weight', 'reduction'] as const

function encodeTerm({ readout, loss }: Term, dt: number, path: string) {
  const { kind, weight, reduction, classWeights }: AnyLoss = loss
  const weights = classWeights === undefined ? undefined : floats(classWeights, `${path}.classWeights`)
  const encoded = {
    readout: readout.name,
    kind,
    ...(weight !== undefined && { weight: finite(weight, `${path}.weight`) }),
    ...(reduction !== undefined && { reduction: oneOf(reduction, `${path}.reduction`, ['mean', 'sum']) }),
    ...(weights !== undefined && {
      classWeights: Array.from(weights, (each, i) => finite(each, `${path}.classWeights[${i}]`))
    })
  }
  if (loss.kind !== 'cross-entropy') return encoded
  const window = windowSteps(loss, dt, path)
  return window === 'targets' ? { ...encoded, kind: 'windowed-cross-entropy' } : { ...encoded, window }
}

function windowSteps({ window }: CrossEntropy, dt: number, path: string): number | 'targets' {
  if (window === 'targets') return window
  return window === undefined ? 1 : toPositiveSteps(window, dt, `${path}.window`)
}

/** The last steps of a trial that a readout's answer is read from, of a loss without answers the last one; or that the targets say it. */
export function lossWindow(term: Term | undefined, dt: number): number | 'targets' {
  return term?.loss.kind === 'cross-entropy' ? windowSteps(term.loss, dt, 'loss') : 1
}

function checkRegulariser(regulariser: Regulariser): Regulariser {
  record(regulariser, 'regulariser', ['strength', 'targetRate'])
  return {
    strength: nonNegative(regulariser.strength, 'regulariser.strength'),
    targetRate: nonNegative(regulariser.targetRate, 'regulariser.targetRate')
  }
}

function targetsOf(targets: Batch['targets'], readout: string, { terms, readouts }: Objective, path: string): unknown {
  const names = readouts.map(({ name }) => name)
  if (targets === undefined) throw invalid(path, targets, 'what the loss needs: classes or values')
  if (!isObject(targets)) {
    throw invalid('batch.targets', targets, 'an array, or one entry for each readout that has a loss')
  }
  if (!Array.isArray(targets) && !ArrayBuffer.isView(targets)) {
    const named = targets as { readonly [readout: string]: Targets }
    const unknown = Object.keys(named).find(name => !names.includes(name))
    if (unknown !== undefined) throw invalid('batch.targets', unknown, list(names))
    return Object.hasOwn(named, readout) ? named[readout] : undefined
  }
  if (terms.length > 1) throw invalid(path, targets, 'one entry for each readout that has a loss, by name')
  return targets
}

function encodeClasses(targets: unknown, classes: number, trials: number, path: string): Uint32Array {
  const values = numbers(narrowed(targets, path), path)
  if (values.length !== trials) throw invalid(path, targets, `one class for each of ${trials} trials`)
  return Uint32Array.from(values, (value, trial) => wholeNumber(value, `${path}[${trial}]`, 0, classes - 1))
}

function encodeValues(targets: unknown, expected: number, path: string): Float64Array | Float32Array {
  const values = floats(targets, path)
  if (values.length !== expected) throw invalid(path, targets, `${expected} values [trial][step][unit]`)
  return values
}

function ask(term: Term, trace: ReadoutTrace, batch: Batch): CustomLossResult {
  const result = (term.loss as CustomLoss).evaluate(trace, batch)
  const path = `loss.${term.readout.name}`
  // Each part is read once: a getter may answer something else the next time.
  const { loss, delta, accuracy } = record(result, path, ['loss', 'delta', 'accuracy'])
  finite(loss, `${path}.loss`)
  if (!isFloatArray(delta)) {
    throw invalid(`${path}.delta`, delta, 'a Float64Array or Float32Array')
  }
  if (ownMemory(delta, `${path}.delta`).length !== trace.values.length) {
    throw invalid(`${path}.delta`, delta, `${trace.values.length} values [trial][step][unit], as the readout has`)
  }
  if (accuracy === undefined) return { loss, delta }
  return { loss, delta, accuracy: finite(accuracy, `${path}.accuracy`) }
}
