import type { Model } from '../model/model.js'
import { type Activity, activityAt } from '../network/activity.js'
import type { Channel, NetworkDescription, Sign, WholeDescription } from '../network/description.js'
import { plasticNames } from '../network/names.js'
import { shapeOf } from '../network/recording-shape.js'
import type { Metrics } from '../operations/train.js'
import { channelsOf } from '../rule/channels-of.js'
import { type CustomRule, isCustomRule } from '../rule/custom-rule.js'
import { expandRule, type Rule, type RuleName } from '../rule/rule.js'
import type { Losses, Regulariser } from '../task/batch.js'

/** What of a run decides what is worth a warning. */
export interface WatchedRun {
  readonly model: Model
  readonly rule: RuleName | Rule | CustomRule
  readonly loss: Losses
  readonly regulariser: Regulariser | null | undefined
  /** Whether dead synapses are made up for. */
  readonly rewires: boolean
}

const ACTIVITY = {
  silent: 'no cell fired: larger weights or inputs, or lower thresholds, would wake it',
  epileptic:
    'its cells fire at over half of the highest rate they can: smaller weights or inputs, higher thresholds, or the firing-rate ' +
    'regulariser would calm it'
} as const

/** A projection that has lost so much of its synapses is named. */
const LIVING = 0.1
/** Without rewiring, projections under Dale's law that have lost so much of their synapses are named. */
const LOST = 0.01
/** A rate beyond this multiple of the regulariser's target, or below its inverse, is far from it. */
const FAR = 3
/** Iterations over which a rate is averaged, and before which nothing is said of it. */
const RATE_ITERATIONS = 50
/** Validations over which losses are averaged, and how far the best average must lie back. */
const VALIDATIONS = 5
/** By how much of the best loss the validations must have risen, and the training losses have fallen. */
const RISEN = 0.2
const FALLEN = 0.05
/** How many times the training loss the validation loss must be: batches of fresh trials differ by chance. */
const APART = 2
/** Names of channels or types that a message lists. */
const LISTED = 4

/** Finds what would waste a run, each kind once: an inactive or dead part of the network, a rate far from its target, overfitting. */
export class RunWatch {
  readonly #run: WatchedRun
  readonly #said = new Set<string>()
  readonly #first: ReadonlyMap<string, number>
  /** The trained projections whose senders have signs. */
  readonly #signed: readonly string[]
  readonly #rates: number[] = []
  readonly #validations: { readonly iteration: number; readonly loss: number; readonly training: number }[] = []
  #training: number[] = []

  constructor(run: WatchedRun) {
    this.#run = run
    this.#first = livingSynapses(run.model)
    this.#signed = signedProjections(run.model.description)
  }

  /** What can be said before the first iteration. */
  beginning(): string[] {
    const dead = deadChannels(this.#run)
    if (dead.length === 0) return []
    const names = dead.slice(0, LISTED).map(({ name }) => name)
    const more = dead.length > LISTED ? ` and ${dead.length - LISTED} more` : ''
    const what = dead.length === 1 ? 'the channel' : 'the channels'
    return this.#once(
      'channel',
      `${what} ${names.join(', ')}${more} can carry nothing: the secreting cells have no learning signal (no weight to a readout with a loss), or the receiving cells no synapse to them; a readout weight or a synapse there, or another reach, would change that`
    )
  }

  /** What there is to say about a line of metrics. */
  metrics(metrics: Metrics): string[] {
    if (metrics.split === 'train') this.#training.push(metrics.loss)
    const found = [...this.#activity(metrics), ...this.#rate(metrics)]
    if (metrics.split === 'validation')
      found.push(...this.#synapses(metrics), ...this.#lost(metrics), ...this.#overfitting(metrics))
    return found
  }

  #once(kind: string, message: string): string[] {
    if (this.#said.has(kind)) return []
    this.#said.add(kind)
    return [`${message}. The run continues`]
  }

  #activity({ iteration, rate }: Metrics): string[] {
    const activity: Activity = activityAt(this.#run.model.description, rate)
    if (activity === 'normal') return []
    return this.#once(activity, `the network is ${activity} in iteration ${iteration}; ${ACTIVITY[activity]}`)
  }

  #rate({ iteration, split, rate }: Metrics): string[] {
    const target = this.#run.regulariser?.targetRate
    if (split !== 'train' || target === undefined || target <= 0) return []
    this.#rates.push(rate)
    if (this.#rates.length > RATE_ITERATIONS) this.#rates.shift()
    if (this.#rates.length < RATE_ITERATIONS) return []
    const mean = average(this.#rates)
    if (mean < FAR * target && mean * FAR > target) return []
    const remedy = mean > target ? 'smaller weights or inputs' : 'larger weights or inputs'
    return this.#once(
      'rate',
      `the mean rate is ${mean.toPrecision(3)} Hz over the ${RATE_ITERATIONS} iterations before ${iteration}, far from the regulariser's target of ${target} Hz; a larger regulariser.strength, or ${remedy}, would bring it nearer`
    )
  }

  #synapses({ iteration }: Metrics): string[] {
    const living = livingSynapses(this.#run.model)
    const name = [...this.#first].find(([name, before]) => before > 0 && (living.get(name) ?? 0) < LIVING * before)?.[0]
    if (name === undefined) return []
    return this.#once(
      'synapses',
      `${living.get(name)} of ${this.#first.get(name)} synapses of ${name} are alive in iteration ${iteration}, under a tenth; a lower l1 or learning rate, or rewiring, would keep more`
    )
  }

  /** Without rewiring a synapse of a signed sender that has reached 0 stays there. */
  #lost({ iteration, living }: Metrics): string[] {
    if (this.#run.rewires) return []
    const lost = this.#signed.flatMap(name => {
      const [before, now] = [this.#first.get(name) ?? 0, living[name] ?? 0]
      return before - now > LOST * before ? [`${before - now} of ${before} of ${name}`] : []
    })
    if (lost.length === 0) return []
    const more = lost.length > LISTED ? ` and ${lost.length - LISTED} more projections` : ''
    return this.#once(
      'lost',
      `synapses have reached 0 by iteration ${iteration}, where Dale's law keeps them: ${lost.slice(0, LISTED).join(', ')}${more}; rewiring would make up for them, a lower l1 or learning rate would lose fewer`
    )
  }

  #overfitting({ iteration, loss }: Metrics): string[] {
    const past = this.#validations
    past.push({ iteration, loss, training: average(this.#training) })
    this.#training = []
    if (past.length < 3 * VALIDATIONS) return []
    const means = past.slice(VALIDATIONS - 1).map((_, i) => ({
      iteration: past[i + VALIDATIONS - 1]?.iteration ?? 0,
      loss: average(past.slice(i, i + VALIDATIONS).map(each => each.loss)),
      training: average(past.slice(i, i + VALIDATIONS).map(each => each.training))
    }))
    const now = means.at(-1)
    const best = means
      .slice(0, -2 * VALIDATIONS + 1)
      .reduce((a, b) => (b.loss < a.loss ? b : a), means[0] ?? { iteration: 0, loss: 0, training: 0 })
    if (now === undefined || now.loss < Math.max((1 + RISEN) * best.loss, APART * now.training)) return []
    if (now.training > (1 - FALLEN) * best.training) return []
    return this.#once(
      'overfitting',
      `the validation loss has risen from ${best.loss.toPrecision(3)} about iteration ${best.iteration} to ${now.loss.toPrecision(3)} in iteration ${iteration}, while the training loss fell: the network learns its training trials by heart; fewer iterations, weightDecay, or more trials to train on would help`
    )
  }
}

const average = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)

/** The trained projections of senders that keep to a sign each. */
function signedProjections({ inputs, populations, projections }: WholeDescription): string[] {
  const isSigned = ({ sign }: { readonly sign: Sign }) =>
    typeof sign === 'string' ? sign !== 'free' : !Array.isArray(sign) || !sign.includes(0)
  const signed = new Set([...inputs, ...populations].filter(isSigned).map(({ name }) => name))
  return projections.filter(({ from, plastic }) => plastic && signed.has(from)).map(({ name }) => name)
}

/** The weights of each trained projection that are not 0. */
function livingSynapses(model: Model): Map<string, number> {
  return new Map(
    plasticNames(model.description).map(name => {
      let alive = 0
      for (const value of model.weights.get(name).values) if (value !== 0) alive += 1
      return [name, alive]
    })
  )
}

/**
 * Channels of a rule of one hop that no weight can wake: their secreting type has no cell with a learning signal, or none to which a cell of the
 * receiving type projects. Of channels that are there by default nothing is said.
 */
function deadChannels({ model, rule, loss, regulariser }: WatchedRun): Channel[] {
  if (isCustomRule(rule)) return []
  const { hops, feedback, channels, learningSignal } = expandRule(rule)
  const { description } = model
  const declared = channels === 'network' ? description.channels !== undefined : !('gain' in channels)
  // The regulariser gives every cell a learning signal, and so does other feedback than the readout's own.
  if (!declared || hops !== 1 || feedback !== 'symmetric' || learningSignal === 'diffusive' || regulariser != null)
    return []
  const { types, populations } = shapeOf({ trials: 1, steps: 1, lengths: [1] }, description)
  const first = (population: string) => populations[population]?.from ?? 0
  const signalled = cellsWithSignal(model, loss, first)
  const edges = recurrentEdges(model, first)
  return channelsOf(expandRule(rule), description).filter(({ from, to, reach }) => {
    const secreting = new Set((types[from] ?? []).filter(cell => signalled.has(cell)))
    if (secreting.size === 0) return true
    if (reach !== 'synaptic') return false
    const receiving = new Set(types[to] ?? [])
    return !edges.some(([pre, post]) => receiving.has(pre) && secreting.has(post))
  })
}

/** Cells with a weight to a readout that has a loss. */
function cellsWithSignal(model: Model, loss: Losses, first: (population: string) => number): ReadonlySet<number> {
  const judged = (readout: string) => 'kind' in loss || Object.hasOwn(loss, readout)
  const readouts = new Set((model.description.readouts ?? []).map(({ name }) => name).filter(judged))
  const cells = new Set<number>()
  for (const { name, from, to } of projectionsOf(model.description)) {
    if (!readouts.has(to)) continue
    for (const pre of model.weights.get(name).pre) cells.add(first(from) + pre)
  }
  return cells
}

function recurrentEdges(model: Model, first: (population: string) => number): (readonly [number, number])[] {
  const { populations } = model.description
  const recurrent = new Set(populations.map(({ name }) => name))
  return projectionsOf(model.description)
    .filter(({ from, to }) => recurrent.has(from) && recurrent.has(to))
    .flatMap(({ name, from, to }) => {
      const { pre, post } = model.weights.get(name)
      return Array.from(pre, (sender, i) => [first(from) + sender, first(to) + (post[i] ?? 0)] as const)
    })
}

const projectionsOf = ({ projections = [] }: NetworkDescription) =>
  projections.map(({ name, from, to }) => ({ name: name ?? `${from}->${to}`, from, to }))
