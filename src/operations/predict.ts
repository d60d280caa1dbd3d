import type { Targets as NativeTargets } from '#native'
import { drawKey, encodeBatch } from '../engine/encode-batch.js'
import { checkOptions, type RunOptions, withSession } from '../engine/engine-session.js'
import { type Model, nativeModel } from '../model/model.js'
import type { NetworkDescription, Readout } from '../network/description.js'
import type { InputNames, ReadoutNames } from '../network/names.js'
import { object, orDefault } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { Precision, Values } from '../support/precision.js'
import { isFloat32Array } from '../support/recognise.js'
import type { Batch, BatchShape, Losses } from '../task/batch.js'
import { answerWindow, encodeTargets, makeObjective, type Objective } from '../task/objective.js'
import { columnsOf, takeColumns } from '../task/readout-columns.js'

/** Options of {@link predict}. */
export interface PredictOptions<ReadoutName extends string = string> extends RunOptions {
  /** The loss, whose window determines the steps from which an answer is read. Default: the batch's own; for a batch without one, the last step. */
  readonly loss?: Losses<ReadoutName> | undefined
  /** Seed of the input events that the engine draws. Default: the network's seed. */
  readonly seed?: number | undefined
}

/**
 * The answers of a readout: one per trial or, where the loss has the window `'targets'`, one per {@link ClassWindow} of the batch, in the
 * order of trials and times.
 */
export interface Prediction<P extends Precision = Precision> {
  /** The unit of the highest value, per answer; of equal ones the first. */
  readonly classes: Uint32Array
  /** softmax of the values, `[answer][unit]`. */
  readonly probabilities: Values<P>
  /** Readout y, the mean over the steps of the answer, `[answer][unit]`. */
  readonly values: Values<P>
  /** Whether each class is the target's; missing where the batch has no class targets for this readout. */
  readonly correct?: readonly boolean[]
  /** The trial of each answer. */
  readonly trials: Uint32Array
  /** Readout y at every step, `[trial][step][unit]`. Steps beyond a shorter trial's end mean nothing. */
  readonly trace: Values<P>
  /** Number of units. */
  readonly units: number
}

/** Predictions by readout. */
export type Predictions<D extends NetworkDescription, P extends Precision> = {
  readonly [Name in ReadoutNames<D>]: Prediction<P>
}

/**
 * Runs a batch and returns the answers of each readout: classes, their probabilities, and values. With targets, `correct` agrees
 * with the accuracy of {@link evaluate}.
 *
 * @example
 * ```ts
 * const { choice } = await predict(model, batch);
 * console.log(choice.classes, choice.probabilities, choice.correct);
 * ```
 * @param model - The model; it is not changed.
 * @param batch - The batch; it needs targets only where the loss has the window `'targets'`.
 * @param options - The loss and more.
 * @throws {@link MdglError} as a rejection: `'invalid'` for bad options and batches, `'not-finite'`, `'memory'`, `'disposed'`; the
 * signal's reason when aborted.
 */
export async function predict<D extends NetworkDescription, P extends Precision>(
  model: Model<D, P>,
  batch: Batch<InputNames<D>, ReadoutNames<D>>,
  options: PredictOptions<ReadoutNames<D>> = {}
): Promise<Predictions<D, P>> {
  nativeModel(model)
  const checked = checkOptions(options, ['loss', 'seed'])
  const { description } = model
  const losses = orDefault(checked.loss, object(batch, 'batch').loss)
  const objective = losses === undefined ? undefined : makeObjective(losses, null, description, nativeModel(model))
  const known = batch.targets === undefined ? undefined : objective
  const { handle, ...shape } = encodeBatch(batch, description, known, drawKey(checked.seed, description))
  const targets = known === undefined ? [] : encodeTargets(known, batch, shape)
  const plan = { training: false }
  const { readout } = await withSession(model, plan, checked, session =>
    session.run(engine => engine.simulate(handle, false, false))
  )
  const readouts = description.readouts
  const entries = readouts.map(own => {
    const trace = takeColumns(readout, columnsOf(readouts, own, shape.trials * shape.steps)) as Values<P>
    return [own.name, answersOf(trace, own, { shape, objective, targets })] as const
  })
  return Object.fromEntries(entries) as unknown as Predictions<D, P>
}

/** The steps from which an answer is read, and the right class where it is known. */
interface Answer {
  readonly trial: number
  readonly from: number
  readonly to: number
  readonly target: number | undefined
}

interface Asked {
  readonly shape: BatchShape
  readonly objective: Objective | undefined
  readonly targets: readonly NativeTargets[]
}

function answersOf<P extends Precision>(trace: Values<P>, readout: Readout, asked: Asked): Prediction<P> {
  const answers = answersAsked(readout, asked)
  const units = readout.size
  const [values, probabilities] = [like(trace, answers.length * units), like(trace, answers.length * units)]
  const classes = new Uint32Array(answers.length)
  for (const [i, { trial, from, to }] of answers.entries()) {
    const sums = new Float64Array(units)
    for (let step = from; step < to; step++) {
      const row = (trial * asked.shape.steps + step) * units
      for (let unit = 0; unit < units; unit++) sums[unit] = (sums[unit] ?? 0) + (trace[row + unit] ?? 0)
    }
    classes[i] = sums.reduce((best, sum, unit) => (sum > (sums[best] ?? 0) ? unit : best), 0)
    const means = sums.map(sum => sum / (to - from))
    values.set(means, i * units)
    probabilities.set(softmax(means), i * units)
  }
  const judged = answers.some(({ target }) => target !== undefined)
  const correct = judged && { correct: answers.map(({ target }, i) => classes[i] === target) }
  return {
    classes,
    probabilities,
    values,
    ...correct,
    trials: Uint32Array.from(answers, one => one.trial),
    trace,
    units
  }
}

const FIELDS = 4

function answersAsked(readout: Readout, { shape, objective, targets }: Asked): readonly Answer[] {
  const at = objective?.terms.findIndex(term => term.readout === readout) ?? -1
  const window = answerWindow(objective?.terms[at])
  const { classes, windows } = targets[at] ?? {}
  if (window !== 'targets') {
    return shape.lengths.map((to, trial) => ({ trial, from: Math.max(0, to - window), to, target: classes?.[trial] }))
  }
  if (windows === undefined)
    throw invalid(`batch.targets.${readout.name}`, undefined, 'the windows that the loss asks for')
  return Array.from({ length: windows.length / FIELDS }, (_, i) => {
    const [trial = 0, from = 0, to = 0, target] = windows.subarray(i * FIELDS, (i + 1) * FIELDS)
    return { trial, from, to, target }
  })
}

function softmax(values: Float64Array): Float64Array {
  const highest = values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY)
  const powers = values.map(value => Math.exp(value - highest))
  const total = powers.reduce((sum, power) => sum + power, 0)
  return powers.map(power => power / total)
}

function like<P extends Precision>(values: Values<P>, length: number): Values<P> {
  return (isFloat32Array(values) ? new Float32Array(length) : new Float64Array(length)) as Values<P>
}
