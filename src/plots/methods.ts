import type { WholeDescription } from '../network/description.js'
import { channelsOf } from '../rule/channels-of.js'
import { isCustomRule } from '../rule/custom-rule.js'
import type { Rule } from '../rule/rule.js'
import type { Intervention } from '../runs/interventions.js'
import { learningRateText } from '../runs/learning-rate-text.js'
import type { RunConfig } from '../runs/run-folder.js'
import type { Regulariser } from '../task/batch.js'
import type { CompleteOptimiser } from '../task/optimiser.js'
import { networkMethods } from './methods-network.js'
import { customMethods, ruleMethods } from './methods-rule.js'
import { type Equation, latexText, type Paragraph, sequence } from './methods-text.js'
import { bibliography, named, type Work } from './references.js'

/** A run's methods section: in sentences with equations, as LaTeX, and the works that it names. */
export interface Methods {
  readonly paragraphs: readonly Paragraph[]
  readonly latex: string
  readonly bibtex: string
}

/** The methods of a run, from its configuration and the changes made while it ran: equations and parameters as they were in use. */
export function methodsOf(config: RunConfig, changes: readonly Intervention[]): Methods {
  const works = new Set<Work>()
  const cite = (work: Work) => void works.add(work)
  const network = config.network as WholeDescription
  const paragraphs = [
    ...networkMethods(network, cite),
    lossMethods(config.training, network),
    ...gradientMethods(config, network, cite),
    optimiserMethods(config.training.optimiser as CompleteOptimiser, cite),
    trainingMethods(config, changes)
  ]
  return { paragraphs, latex: latex(paragraphs, works), bibtex: bibliography(works, config.versions.mdgl ?? '') }
}

function gradientMethods(
  { rule, ruleFile }: RunConfig,
  network: WholeDescription,
  cite: (work: Work) => void
): Paragraph[] {
  if (isCustomRule(rule)) return customMethods(rule.name, ruleFile, network, cite)
  return ruleMethods(rule as Rule, channelsOf(rule as Rule, network), network, cite)
}

type Training = RunConfig['training']

function lossMethods({ loss, regulariser }: Training, network: WholeDescription): Paragraph {
  const losses = loss as Readonly<Record<string, unknown>>
  const single = typeof losses.kind === 'string'
  const each = single ? [['', losses] as const] : Object.entries(losses as Readonly<Record<string, Loss>>)
  const found = each.map(([name, of]) => lossText(of as Loss, name))
  const rate = regulariser as Regulariser | null | undefined
  const bellec = network.conventions === 'bellec2020'
  const regularised =
    rate == null
      ? ''
      : ` A firing-rate regulariser of strength c = ${rate.strength} keeps ${bellec ? 'each trial’s rates' : 'rates'} near f0 = ${rate.targetRate} Hz.`
  const equations = found.flatMap(({ equation }) => (equation === undefined ? [] : [equation]))
  const norm = rate == null || bellec ? [] : [REGULARISER]
  return {
    text: `Training minimises ${sequence(found.map(({ text }) => text))}.${regularised}`,
    equations: [...equations, ...norm]
  }
}

interface Loss {
  readonly kind: string
  readonly window?: number | 'targets'
  readonly weight?: number
}

const REGULARISER = {
  plain: 'E_reg = ½ c Σ_p (f_p − f0)²',
  latex: 'E_{\\mathrm{reg}} = \\tfrac12 c \\sum_p (f_p - f_0)^2'
}

function lossText(
  { kind, window, weight = 1 }: Loss,
  name: string
): { readonly text: string; readonly equation?: Equation } {
  const at = `${name === '' ? '' : ` of ${name}`}${weight === 1 ? '' : `, weighted by ${weight},`}`
  switch (kind) {
    case 'cross-entropy': {
      const steps =
        window === undefined
          ? 'at the last step of a trial'
          : window === 'targets'
            ? 'over the times that the targets name'
            : `over the last ${window} ms of a trial`
      return {
        text: `the softmax cross-entropy${at} ${steps}, averaged over trials and those steps`,
        equation: {
          plain: 'E = −⟨log (exp y_c,t / Σ_k exp y_k,t)⟩, c the right class',
          latex: 'E = -\\left\\langle \\log \\frac{\\exp y_{c,t}}{\\sum_k \\exp y_{k,t}} \\right\\rangle'
        }
      }
    }
    case 'squared-error':
      return {
        text: `the squared error${at} over all steps, averaged over trials`,
        equation: {
          plain: 'E = ½ ⟨Σ_t Σ_k (y_k,t − y*_k,t)²⟩',
          latex: 'E = \\tfrac12 \\left\\langle \\sum_t \\sum_k (y_{k,t} - y^*_{k,t})^2 \\right\\rangle'
        }
      }
    default:
      return { text: `a loss${at} of the task's own` }
  }
}

function optimiserMethods(optimiser: CompleteOptimiser, cite: (work: Work) => void): Paragraph {
  const {
    l1 = 0,
    temperature = 0,
    rewiring,
    clipNorm,
    weightDecay = 0,
    decay,
    frozen = [],
    learningRateFactors = {}
  } = optimiser
  const rate = optimiser.learningRate
  const shown = learningRateText(rate) ?? 'listed per iteration'
  const constant = typeof rate === 'number'
  if (optimiser.kind === 'adam') cite('Kingma2015')
  if (isCosine(rate)) cite('Loshchilov2017')
  const rewires = rewiring === true || rewiring === 'all-pairs'
  if (rewires || temperature > 0) cite('Bellec2018b')
  if (weightDecay > 0) cite('Loshchilov2019')
  const method =
    optimiser.kind === 'adam'
      ? `Adam (${named('Kingma2015')}; β₁ = ${optimiser.beta1}, β₂ = ${optimiser.beta2}, ε = ${optimiser.epsilon})`
      : 'gradient descent'
  const sentences = [
    `Weights are trained by ${method} with learning rate ${constant ? shown : `schedule ${shown}`}${isCosine(rate) ? ` (${named('Loshchilov2017')})` : ''}`,
    ...(decay == null ? [] : [`multiplied by ${decay.factor} every ${decay.every} iterations`])
  ].join(', ')
  const more = [
    ...(clipNorm == null ? [] : [`gradients are scaled down to a global norm of at most ${clipNorm}`]),
    ...(l1 > 0 ? [`each step shrinks living weights by l1 = ${l1} times the learning rate`] : []),
    ...(weightDecay > 0 ? [`decoupled weight decay is ${weightDecay} (${named('Loshchilov2019')})`] : []),
    ...(temperature > 0 ? [`noise of temperature ${temperature} is added to living weights`] : []),
    ...(rewires
      ? [
          `dead synapses are rewired ${rewiring === true ? 'within the initial connectivity' : 'across all pairs of units'} to keep the density (DEEP R, ${named('Bellec2018b')})`
        ]
      : []),
    ...Object.entries(learningRateFactors).map(
      ([name, factor]) => `the learning rate of ${name} is multiplied by ${factor}`
    ),
    ...(frozen.length > 0 ? [`${sequence(frozen)} ${frozen.length === 1 ? 'is' : 'are'} fixed`] : [])
  ]
  const text = [sentences, ...more.map(part => part.charAt(0).toUpperCase() + part.slice(1))].join('. ')
  return { text: `${text}.`, equations: [] }
}

/** Whether a learning rate has a cosine, alone or after a warm-up. */
function isCosine(rate: CompleteOptimiser['learningRate']): boolean {
  if (typeof rate === 'number') return false
  return rate.kind === 'cosine' || (rate.kind === 'warm-up' && isCosine(rate.into))
}

function trainingMethods(config: RunConfig, changes: readonly Intervention[]): Paragraph {
  const { training, seed, precision, versions, task } = config
  const live = changes.map(change =>
    'stop' in change
      ? `the run was stopped before iteration ${change.iteration} and continued`
      : 'channel' in change
        ? `the gain of channel ${change.channel} was multiplied by ${change.factor} from iteration ${change.iteration} on`
        : `the learning rate was set to ${change.learningRate} from iteration ${change.iteration} on`
  )
  const changed = live.length === 0 ? '' : ` While it ran, ${sequence(live)}.`
  return {
    text: `The task is ${task}. One run of ${training.iterations} iterations of ${training.batchSize} trials each, validated every ${training.validateEvery} iterations on trials of their own, with seed ${seed}, in ${precision}, by mdgl ${versions.mdgl ?? ''}.${changed}`,
    equations: []
  }
}

function latex(paragraphs: readonly Paragraph[], works: ReadonlySet<Work>): string {
  // Longer names first: one may begin another.
  const cites = [...works].sort((a, b) => b.length - a.length)
  const cited = (text: string) =>
    cites.reduce((sentence, work) => sentence.replaceAll(latexText(named(work)), `\\citealp{${work}}`), latexText(text))
  const body = paragraphs.map(({ text, equations }) =>
    [
      cited(text),
      ...(equations.length === 0
        ? []
        : ['\\begin{align}', equations.map(({ latex }) => `  ${latex}`).join(' \\\\\n'), '\\end{align}'])
    ].join('\n')
  )
  return ['% Needs amsmath, natbib and \\usepackage[T1]{fontenc}.', ...body].join('\n\n')
}
