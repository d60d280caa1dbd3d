import type { Population, Projection, WholeDescription } from '../network/description.js'
import { delayText, initialText, synapsesText } from './connectivity-text.js'
import { type Equation, type Paragraph, parameter, sequence } from './methods-text.js'
import { named, type Work } from './references.js'

const INPUT = {
  plain: 'I_p,t = Σ_i W_in[i→p] x_i,t + Σ_q W_rec[q→p] z_q,t−d',
  latex: 'I_{p,t} = \\sum_i W^{\\mathrm{in}}_{i\\to p}\\, x_{i,t} + \\sum_q W^{\\mathrm{rec}}_{q\\to p}\\, z_{q,t-d}'
}

/** The network: its parts, the equations of its neurons with their parameters, the readout, connectivity. */
export function networkMethods(network: WholeDescription, cite: (work: Work) => void): Paragraph[] {
  const { dt, inputs, populations, readouts, projections } = network
  const parts = [
    ...inputs.map(({ name, size }) => `${size} input ${size === 1 ? 'unit' : 'units'} (${name})`),
    ...populations.map(({ name, size, model }) => `${size} ${MODELS[model]} (${name})`),
    ...readouts.map(({ name, size }) => `${size} readout ${size === 1 ? 'unit' : 'units'} (${name})`)
  ]
  const models = new Set(populations.map(({ model }) => model))
  const bellec = network.conventions === 'bellec2020'
  cite(bellec ? 'Bellec2020' : 'Liu2021')
  return [
    {
      text: `The network has ${sequence(parts)}. It is simulated in steps of ${dt} ms${bellec ? `, with the conventions of ${named('Bellec2020')}` : ''}. A neuron p has the input`,
      equations: [INPUT]
    },
    ...[...models].map(model => neuronMethods(model, populations, network, cite)),
    ...currentMethods(populations),
    ...(readouts.length === 0 ? [] : [readoutMethods(readouts)]),
    ...(projections.length === 0 ? [] : [connectivityMethods(projections, populations, dt)])
  ]
}

const MODELS: Readonly<Record<Population['model'], string>> = {
  lif: 'leaky integrate-and-fire neurons',
  alif: 'adaptive leaky integrate-and-fire neurons',
  'cuba-lif': 'current-based leaky integrate-and-fire neurons',
  'cuba-alif': 'current-based adaptive leaky integrate-and-fire neurons',
  rate: 'leaky rectified-linear units'
}

function neuronMethods(
  model: Population['model'],
  populations: WholeDescription['populations'],
  network: WholeDescription,
  cite: (work: Work) => void
): Paragraph {
  const bellec = network.conventions === 'bellec2020'
  const of = populations.filter(each => each.model === model)
  const parameters = of.map(population => `${population.name}: ${parametersOf(population)}`).join('; ')
  const spikes = model === 'rate' ? '' : ` ${spikeText(network, cite)}`
  return {
    text: `The ${MODELS[model]} follow the equations below, with α = exp(−dt/τ_m)${adaptive(model) ? ', ρ = exp(−dt/τ_a)' : ''}${based(model) ? ', α_s = exp(−dt/τ_s)' : ''}. Parameters: ${parameters}.${spikes}`,
    equations: equationsOf(model, bellec, network.inputGain === 'one')
  }
}

/** What is injected into the cells; nothing where none is. */
function currentMethods(populations: readonly Population[]): Paragraph[] {
  const noisy = populations.flatMap(({ name, noise }) =>
    noise === undefined
      ? []
      : [`${name}: μ ${noise.mean ?? 0}, σ ${noise.standardDeviation}, τ ${noise.timeConstant} ms`]
  )
  const stepped = populations.flatMap(({ name, currents = [] }) =>
    currents.map(({ from, to, amplitude }) => `${name}: ${amplitude} from ${from} to ${to} ms`)
  )
  return [
    ...(noisy.length === 0
      ? []
      : [
          {
            text: `Each neuron has a noise current of its own, an Ornstein–Uhlenbeck process that is added to its input: ${noisy.join('; ')}.`,
            equations: [
              {
                plain: 'n_t = μ + e^(−dt/τ) (n_t−1 − μ) + σ √(1 − e^(−2dt/τ)) ξ_t',
                latex: 'n_t = \\mu + e^{-dt/\\tau} (n_{t-1} - \\mu) + \\sigma \\sqrt{1 - e^{-2 dt/\\tau}}\\, \\xi_t'
              }
            ]
          }
        ]),
    ...(stepped.length === 0
      ? []
      : [{ text: `Step currents are added to the input: ${stepped.join('; ')}.`, equations: [] }])
  ]
}

const adaptive = (model: Population['model']) => model === 'alif' || model === 'cuba-alif'
const based = (model: Population['model']) => model === 'cuba-lif' || model === 'cuba-alif'

function parametersOf(population: Population): string {
  const { model } = population
  return [
    `τ_m = ${parameter(population.membraneTimeConstant ?? (model === 'rate' ? 100 : 20), 'ms')}`,
    ...(based(model) ? [`τ_s = ${parameter(population.synapticTimeConstant ?? 5, 'ms')}`] : []),
    ...(model === 'rate'
      ? []
      : [
          `thr = ${parameter(population.threshold ?? 0.01)}`,
          `refractory period ${parameter(population.refractoryPeriod ?? 5, 'ms')}`,
          `γ = ${parameter(population.dampening ?? 0.3)}`
        ]),
    ...(adaptive(model)
      ? [
          `τ_a = ${parameter(population.adaptationTimeConstant ?? 2000, 'ms')}`,
          `β = ${parameter(population.adaptationStrength ?? 1.8)}`
        ]
      : [])
  ].join(', ')
}

function equationsOf(model: Population['model'], bellec: boolean, unscaled: boolean): Equation[] {
  const input = based(model) ? 'c' : 'I'
  const [gain, gainLatex] = unscaled && bellec ? ['', ''] : ['(1−α) ', '(1-\\alpha_p)\\, ']
  const reset = model === 'rate' ? ['', ''] : [' − thr z_p,t−1', ' - \\vartheta_p z_{p,t-1}']
  const membrane = {
    plain: `v_p,t = α v_p,t−1 + ${gain}${input}_p,t${reset[0]}`,
    latex: `v_{p,t} = \\alpha_p v_{p,t-1} + ${gainLatex}${input}_{p,t}${reset[1]}`
  }
  const current = { plain: 'c_p,t = α_s c_p,t−1 + I_p,t', latex: 'c_{p,t} = \\alpha_{\\mathrm{s}} c_{p,t-1} + I_{p,t}' }
  if (model === 'rate') return [membrane, { plain: 'z_p,t = max(0, v_p,t)', latex: 'z_{p,t} = \\max(0, v_{p,t})' }]
  const step = bellec ? ['z_p,t−1', 'z_{p,t-1}'] : ['(1−ρ) z_p,t−1', '(1-\\rho_p)\\, z_{p,t-1}']
  const adaptation = {
    plain: `b_p,t = ρ b_p,t−1 + ${step[0]} ,  A_p,t = thr + β b_p,t`,
    latex: `b_{p,t} = \\rho_p b_{p,t-1} + ${step[1]},\\quad A_{p,t} = \\vartheta_p + \\beta_p b_{p,t}`
  }
  const threshold = { plain: 'A_p,t = thr', latex: 'A_{p,t} = \\vartheta_p' }
  const [sign, signLatex] = bellec ? ['≥', '\\ge'] : ['>', '>']
  const spike = {
    plain: `z_p,t = 1 where v_p,t ${sign} A_p,t outside the refractory period, else 0`,
    latex: `z_{p,t} = \\mathbf{1}[v_{p,t} ${signLatex} A_{p,t}]\\ \\text{outside the refractory period}`
  }
  return [...(based(model) ? [current] : []), membrane, adaptive(model) ? adaptation : threshold, spike]
}

/** What stands for the derivative of a spike. */
function spikeText({ pseudoDerivative }: WholeDescription, cite: (work: Work) => void): string {
  const shape = typeof pseudoDerivative === 'string' ? pseudoDerivative : pseudoDerivative?.shape
  const given = typeof pseudoDerivative === 'object' ? pseudoDerivative.steepness : undefined
  const of = (work: Work, formula: string, steepness: number | undefined) => {
    cite(work)
    const k = steepness === undefined ? '' : `, k = ${given ?? steepness}`
    return `In gradients ψ = ${formula} stands for ∂z/∂v (${named(work)}), with x = |v − A|/thr${k}, and 0 while refractory.`
  }
  switch (shape) {
    case 'exponential':
      return of('Shrestha2018', '(γ/thr) exp(−k x)', 2)
    case 'fast-sigmoid':
      return of('Zenke2018', '(γ/thr)/(1 + k x)²', 10)
    case 'arctangent':
      return of('Fang2021', '(γ/thr)/(1 + (π k x/2)²)', 2)
    default:
      return of('Bellec2018', '(γ/thr) max(0, 1 − x)', undefined)
  }
}

function readoutMethods(readouts: WholeDescription['readouts']): Paragraph {
  const times = readouts.map(({ name, timeConstant }) => `${name} ${timeConstant} ms`)
  const biased = readouts.some(({ bias }) => bias !== false)
  return {
    text: `Readouts are leaky sums of the cells' outputs, with κ = exp(−dt/τ_out) and τ_out: ${sequence(times)}.`,
    equations: [
      {
        plain: `s_p,t = κ s_p,t−1 + (1−κ) z_p,t ,  y_k,t = Σ_p W_out[p→k] s_p,t${biased ? ' + bias_k' : ''}`,
        latex: `s_{p,t} = \\kappa s_{p,t-1} + (1-\\kappa) z_{p,t},\\quad y_{k,t} = \\sum_p W^{\\mathrm{out}}_{p\\to k} s_{p,t}${biased ? ' + b_k' : ''}`
      }
    ]
  }
}

function connectivityMethods(
  projections: readonly Projection[],
  populations: readonly Population[],
  dt: number
): Paragraph {
  const each = projections.map(projection => {
    const { name, from, to, connections, initialise, delay, plastic } = projection
    const start =
      connections === undefined && initialise !== undefined ? `, ${initialText(initialise)} initial weights` : ''
    const late = delay === undefined || delay === dt ? '' : `, delay ${delayText(delay)}`
    return `${name ?? `${from}->${to}`} (${synapsesText(projection)}${start}${late}${plastic === false ? ', fixed' : ''})`
  })
  const signed = populations.some(({ sign }) => sign !== 'free')
  const dale = signed ? ' Weights keep the sign of their sender (Dale’s law).' : ''
  return { text: `Projections: ${each.join('; ')}.${dale}`, equations: [] }
}
