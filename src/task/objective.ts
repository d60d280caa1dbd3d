import type { CustomScore, NativeModel, Targets as NativeTargets } from '#native'
import { askEngine } from '../addon/ask-engine.js'
import type { Readout, WholeDescription } from '../network/description.js'
import { find } from '../network/names.js'
import {
  callable,
  finite,
  floats,
  isObject,
  list,
  numbers,
  object,
  ownMemory,
  record,
  wholeNumber
} from '../support/check.js'
import { invalid } from '../support/error.js'
import { plainCopy, plainText } from '../support/plain.js'
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
  Losses,
  ObjectiveOptions,
  ReadoutTrace,
  Regulariser,
  Targets
} from './batch.js'
import { encodeWindows } from './class-windows.js'
import { columnsOf, putColumns, takeColumns } from './readout-columns.js'

/** A loss at its readout, as the engine completes it. */
export interface Term {
  readonly readout: Readout
  readonly kind: 'cross-entropy' | 'windowed-cross-entropy' | 'squared-error' | 'custom'
  /** The last steps of a trial that a cross-entropy counts. */
  readonly window?: number
  /** Computes a custom loss and its δ. */
  readonly evaluate?: CustomLoss['evaluate']
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

/** What the engine makes of losses, in the order of the network's readouts. */
interface Completed {
  readonly losses: readonly (Omit<Term, 'readout' | 'evaluate'> & { readonly readout: string })[]
}

/** Losses and regulariser, checked against a network and completed by the engine; only functions are JavaScript's. */
export function makeObjective(
  losses: Losses,
  regulariser: Regulariser | null | undefined,
  description: WholeDescription,
  network: NativeModel
): Objective {
  const { readouts } = description
  const { copy, custom } = copyLosses(losses)
  const given = { loss: copy, regulariser: plainCopy(regulariser) }
  const json = askEngine(given, () => network.completeObjective(plainText(given)))
  const terms = (JSON.parse(json) as Completed).losses.map(loss => ({
    ...loss,
    ...(loss.kind === 'custom' && { evaluate: custom.get(loss.readout) ?? custom.get(undefined) }),
    readout: find(readouts, loss.readout, 'loss')
  })) as readonly Term[]
  return { json, terms, custom: custom.size > 0, readouts }
}

/** A copy of losses as plain data; the functions of custom ones by readout, or that of the only loss. */
function copyLosses(losses: Losses): { copy: unknown; custom: Map<string | undefined, CustomLoss['evaluate']> } {
  const custom = new Map<string | undefined, CustomLoss['evaluate']>()
  const one = (loss: unknown, readout: string | undefined): unknown => {
    if (!isObject(loss) || (loss as Loss).kind !== 'custom') return plainCopy(loss)
    const { weight, reduction, classWeights, evaluate } = loss as AnyLoss & CustomLoss
    const path = readout === undefined ? 'loss.evaluate' : `loss.${readout}.evaluate`
    const judge = callable(evaluate, path)
    // With its own object, of which the function may make use.
    custom.set(readout, (trace, batch) => judge.call(loss as CustomLoss, trace, batch))
    return plainCopy({ kind: 'custom', weight, reduction, classWeights })
  }
  if (!isObject(losses) || 'kind' in losses) return { copy: one(losses, undefined), custom }
  const parts = Object.keys(losses).map(name => [name, one(Reflect.get(losses, name), name)])
  return { copy: Object.fromEntries(parts), custom }
}

/** What some loss has. */
type AnyLoss = Pick<Partial<CrossEntropy>, 'weight' | 'reduction' | 'classWeights'>

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
  return objective.terms.map(({ readout, kind }) => {
    if (kind === 'custom') return {}
    const path = `batch.targets.${readout.name}`
    const targets = targetsOf(batch.targets, readout.name, objective, path)
    return encodeTerm(targets, kind, { ...shape, units: readout.size }, path)
  })
}

function encodeTerm(
  targets: unknown,
  kind: Term['kind'],
  shape: BatchShape & { readonly units: number },
  path: string
) {
  const { lengths, steps, dt, units, range } = shape
  if (kind === 'squared-error') return { values: encodeValues(targets, lengths.length * steps * units, path) }
  if (kind === 'cross-entropy') return { classes: encodeClasses(targets, units, lengths.length, path) }
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
  for (const { readout, evaluate } of terms) {
    if (evaluate === undefined) continue
    const columns = columnsOf(readouts, readout, trials * steps)
    const { units } = columns
    const trace = { values: takeColumns(values, columns), trials, steps, units }
    const result = checkJudgement(evaluate(trace, batch), trace, `loss.${readout.name}`)
    putColumns(delta, result.delta, columns)
    losses.push({ loss: result.loss, ...(result.accuracy !== undefined && { accuracy: result.accuracy }) })
  }
  return { delta, losses }
}

/** The last steps of a trial that a readout's answer is read from, of a loss without answers the last one; or that the targets say it. */
export function answerWindow(term: Term | undefined): number | 'targets' {
  return term?.kind === 'windowed-cross-entropy' ? 'targets' : (term?.window ?? 1)
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

/** What a custom loss gave, each part read once: a getter may answer something else the next time. */
function checkJudgement(result: CustomLossResult, trace: ReadoutTrace, path: string): CustomLossResult {
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
