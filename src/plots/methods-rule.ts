import { basename } from 'node:path'
import type { Channel, Kernel, WholeDescription } from '../network/description.js'
import type { Rule } from '../rule/rule.js'
import type { CodeFile } from '../runs/code-file.js'
import type { Equation, Paragraph } from './methods-text.js'
import { named, type Work } from './references.js'

const GRADIENT = {
  plain: '∂E/∂W[q→p] ≈ Σ_t (L_p,t + Γ_p,t+1) e_qp,t',
  latex: '\\frac{\\partial E}{\\partial W_{q\\to p}} \\approx \\sum_t \\left(L_{p,t} + \\Gamma_{p,t+1}\\right) e_{qp,t}'
}
const LOCAL = {
  plain: '∂E/∂W[q→p] ≈ Σ_t L_p,t e_qp,t',
  latex: '\\frac{\\partial E}{\\partial W_{q\\to p}} \\approx \\sum_t L_{p,t}\\, e_{qp,t}'
}
const THIRD_FACTOR = {
  plain: '∂E/∂W[q→p] ≈ Σ_t S_p,t e_qp,t',
  latex: '\\frac{\\partial E}{\\partial W_{q\\to p}} \\approx \\sum_t S_{p,t}\\, e_{qp,t}'
}
const TRACE = [
  {
    plain: 'e_qp,t = ψ_p,t (εv_t − β εa_t)',
    latex: 'e_{qp,t} = \\psi_{p,t}\\left(\\varepsilon^v_t - \\beta_p \\varepsilon^a_t\\right)'
  },
  {
    plain: 'εv_t = (α − thr ψ_t−1) εv_t−1 + thr β ψ_t−1 εa_t−1 + (1−α) z_q,t−1',
    latex:
      '\\varepsilon^v_t = (\\alpha - \\vartheta\\psi_{t-1})\\varepsilon^v_{t-1} + \\vartheta\\beta\\psi_{t-1}\\varepsilon^a_{t-1} + (1-\\alpha) z_{q,t-1}'
  },
  {
    plain: 'εa_t = (1−ρ) ψ_t−1 εv_t−1 + (ρ − (1−ρ) β ψ_t−1) εa_t−1',
    latex:
      '\\varepsilon^a_t = (1-\\rho)\\psi_{t-1}\\varepsilon^v_{t-1} + \\left(\\rho - (1-\\rho)\\beta\\psi_{t-1}\\right)\\varepsilon^a_{t-1}'
  }
]
const LEAK_TRACE = [
  {
    plain: 'e_qp,t = ψ_p,t εv_t ,  εv_t = α εv_t−1 + (1−α) z_q,t−1',
    latex:
      'e_{qp,t} = \\psi_{p,t}\\,\\varepsilon^v_t,\\quad \\varepsilon^v_t = \\alpha\\varepsilon^v_{t-1} + (1-\\alpha) z_{q,t-1}'
  }
]
const BELLEC_TRACE = [
  TRACE[0] as Equation,
  {
    plain: 'εv_t = α εv_t−1 + g z_q,t−1 ,  εa_t = ρ εa_t−1 + ψ_t−1 (εv_t−1 − β εa_t−1)',
    latex:
      '\\varepsilon^v_t = \\alpha\\varepsilon^v_{t-1} + g z_{q,t-1},\\quad \\varepsilon^a_t = \\rho\\varepsilon^a_{t-1} + \\psi_{t-1}(\\varepsilon^v_{t-1} - \\beta\\varepsilon^a_{t-1})'
  }
]
const SIGNAL = {
  plain: 'L_p,t = (1−κ) Σ_k B[p→k] g_k,t ,  g_k,t = δ_k,t + κ g_k,t+1 ,  δ = ∂E/∂y',
  latex:
    'L_{p,t} = (1-\\kappa)\\sum_k B_{p\\to k}\\, g_{k,t},\\quad g_{k,t} = \\delta_{k,t} + \\kappa g_{k,t+1},\\quad \\delta = \\partial E/\\partial y'
}
const WHOLE = [
  {
    plain: 'D_p,t = L_p,t + Σ_j W[p→j] (1−α_j) λv_j,t+1 − thr λv_p,t+1 + (1−ρ) λa_p,t+1',
    latex:
      'D_{p,t} = L_{p,t} + \\sum_j W_{p\\to j}(1-\\alpha_j)\\lambda^v_{j,t+1} - \\vartheta\\lambda^v_{p,t+1} + (1-\\rho)\\lambda^a_{p,t+1}'
  },
  {
    plain: 'λv_p,t = α λv_p,t+1 + ψ_p,t D_p,t ,  λa_p,t = ρ λa_p,t+1 − β ψ_p,t D_p,t',
    latex:
      '\\lambda^v_{p,t} = \\alpha\\lambda^v_{p,t+1} + \\psi_{p,t}D_{p,t},\\quad \\lambda^a_{p,t} = \\rho\\lambda^a_{p,t+1} - \\beta\\psi_{p,t}D_{p,t}'
  },
  {
    plain: '∂E/∂W[q→p] = (1−α_p) Σ_t λv_p,t z_q,t−1',
    latex: '\\frac{\\partial E}{\\partial W_{q\\to p}} = (1-\\alpha_p)\\sum_t \\lambda^v_{p,t}\\, z_{q,t-1}'
  }
]

/** The learning rule: the gradient that it estimates, with the equations of its parts. */
export function ruleMethods(
  rule: Rule,
  channels: readonly Channel[],
  network: WholeDescription,
  cite: (work: Work) => void
): Paragraph[] {
  const { estimator, hops } = rule
  const models = modelsText(network)
  if (estimator !== 'backward' && estimator !== 'online') return [influence(estimator, cite)]
  if (typeof rule.recurrentDerivative === 'object') return [modProp(rule.recurrentDerivative.mu, hops, cite)]
  if (hops === 'all') {
    cite('Werbos1990')
    const text = `Gradients are those of backpropagation through time (${named('Werbos1990')}) with ψ in place of the derivative of a spike, through reset, adaptation and recurrence; errors reach the cells through the readout, B = W_out. ${models}`
    return [{ text, equations: [SIGNAL, ...WHOLE] }]
  }
  cite('Bellec2020')
  if (hops > 0) cite('Liu2021')
  const source = hops === 0 ? named('Bellec2020') : `${named('Liu2021')}; ${named('Bellec2020')}`
  const name = hops === 0 ? 'e-prop' : 'multidigraph learning'
  const trace = rule.trace === 'rflo' && network.conventions !== 'bellec2020' ? LEAK_TRACE : traceOf(network)
  if (rule.trace === 'rflo') cite('Murray2019')
  const leak = rule.trace === 'rflo' ? ` The trace is that of the leak alone (${named('Murray2019')}).` : ''
  const online = estimator === 'online' ? ' They are computed online, with eligibility traces.' : ''
  const first = {
    text: `Gradients are estimated by ${name} (${source}), from a learning signal L, an eligibility trace e${hops === 0 ? '' : ' and a modulatory signal Γ'}. ${feedbackText(rule, cite)}${leak}${online} ${models}`,
    equations: [hops === 0 ? LOCAL : GRADIENT, SIGNAL, ...trace]
  }
  return hops === 0 ? [first] : [first, modulation(rule, channels)]
}

/** A rule from a file: the gradient that its third factor S gives; what S is, its file says. */
export function customMethods(
  name: string,
  file: CodeFile | undefined,
  network: WholeDescription,
  cite: (work: Work) => void
): Paragraph[] {
  cite('Bellec2020')
  const where = file === undefined ? '' : ` (${basename(file.path)}, SHA-256 ${file.sha256})`
  const text = `Gradients are estimated by the rule '${name}'${where}, which gives a third factor S per trial, step and cell, and by the eligibility trace e of e-prop (${named('Bellec2020')}). Weights and biases of readouts have their exact gradients. ${modelsText(network)}`
  return [{ text, equations: [THIRD_FACTOR, ...traceOf(network)] }]
}

const traceOf = ({ conventions }: WholeDescription) => (conventions === 'bellec2020' ? BELLEC_TRACE : TRACE)

/** What of the equations differs between the network's neuron models. */
function modelsText({ populations }: WholeDescription): string {
  const models = new Set(populations.map(({ model }) => model))
  const based = models.has('cuba-lif') || models.has('cuba-alif')
  return [
    ...(models.has('lif') || models.has('cuba-lif') ? ['For neurons that do not adapt β = 0.'] : []),
    ...(based ? ['For current-based neurons a trace εc_t = α_s εc_t−1 + (1−α) z_q,t−1 stands for the last term.'] : []),
    ...(models.has('rate') ? ['For rectified-linear units thr = β = 0 and ψ is the derivative of z.'] : [])
  ].join(' ')
}

function feedbackText({ feedback, learningSignal }: Rule, cite: (work: Work) => void): string {
  if (learningSignal === 'diffusive') {
    cite('Barretto2026')
    return `Learning signals diffuse over a sheet of cells (${named('Barretto2026')}).`
  }
  if (feedback === 'symmetric') return 'Errors reach the cells through the readout’s current weights, B = W_out.'
  if ('random' in feedback)
    return `Errors reach the cells through fixed random weights B of standard deviation ${feedback.random.standardDeviation ?? 1} and density ${feedback.random.density ?? 1}.`
  if ('adaptive' in feedback)
    return `Errors reach the cells through weights B that receive every update of W_out; both decay by the learning rate times ${feedback.adaptive.weightDecay ?? 0.01}.`
  return 'Errors reach the cells through given weights B.'
}

/** Γ, by what the channels have in common. */
function modulation(rule: Rule, channels: readonly Channel[]): Paragraph {
  const one = <T>(of: (channel: Channel) => T): T | undefined => {
    const all = new Set(channels.map(channel => JSON.stringify(of(channel))))
    const [first] = channels
    return all.size === 1 && first !== undefined ? of(first) : undefined
  }
  const [gain, reach, kernel] = [one(each => each.gain), one(each => each.reach), one(each => each.kernel)]
  const above = one(each => each.above ?? 0)
  const gains =
    gain === 'mean-weight'
      ? 'g is the current mean weight w̄ of the synapses from p’s type to j’s type'
      : gain === 'weight'
        ? 'g is the weight W[p→j] itself'
        : gain === undefined
          ? 'g is the gain of the channel between the types of p and j'
          : `g = ${gain}`
  const reached =
    reach === 'synaptic'
      ? 'j over the cells that p projects to'
      : reach === 'nonlocal'
        ? 'j over all cells of the secreting types'
        : reach === 'diffusive'
          ? 'where what j secretes has spread over the sheet'
          : 'j over the cells that each channel reaches'
  const separate =
    rule.readoutFilter === 'separate' ? ' The readout’s filter acts on trace and modulation separately (On-MDGL).' : ''
  const strong =
    above === 0
      ? ''
      : ` Synapses count only where |W[p→j]| is above ${above ?? "the channel's share"} times its mean between their types.`
  const further =
    rule.hops === 1
      ? ''
      : kernel === 'exact'
        ? ` u is the λv of the rule with one hop less; ${rule.hops} hops are followed.`
        : ` With L_j ψ_j a cell passes on what it receives, times its mean ψ; ${rule.hops} hops are followed.`
  return {
    text: `The modulatory signal sums over the channels between ${channels.length} ordered pairs of cell types, ${reached}: ${gains}, and u is what j secretes, ${secreted(kernel)}.${strong}${further}${separate}`,
    equations: [
      {
        plain: 'Γ_p,t = Σ_j g_pj (1−α_j) u_j,t',
        latex: '\\Gamma_{p,t} = \\sum_j g_{pj}\\,(1-\\alpha_j)\\, u_{j,t}'
      }
    ]
  }
}

function secreted(kernel: Kernel | undefined): string {
  if (kernel === 'none') return 'u_j,t = L_j,t ψ_j,t'
  if (kernel === 'exact') return 'its own λv of e-prop’s recursion'
  if (kernel === undefined) return 'by the time course of each channel'
  if (kernel === 'membrane' || 'membrane' in kernel)
    return 'L_j ψ_j filtered by its membrane and adaptation, linearised about a mean of ψ'
  return `L_j ψ_j filtered by two exponentials of ${kernel.tauRise} and ${kernel.tauDecay} ms`
}

function modProp(mu: number, hops: Rule['hops'], cite: (work: Work) => void): Paragraph {
  cite('Liu2022')
  const taps = hops === 'all' ? '' : `, followed over ${hops} synapses`
  return {
    text: `Gradients are estimated by ModProp (${named('Liu2022')}): a constant μ = ${mu} stands for the activation's derivative on the recurrent path, and mean weights between types for the weights${taps}:`,
    equations: [
      SIGNAL,
      {
        plain: 'λ_p,t = ψ_p,t L_p,t + α λ_p,t+1 + μ Σ_j w̄ (1−α_j) λ_j,t+1 ,  ∂E/∂W[q→p] ≈ (1−α_p) Σ_t λ_p,t z_q,t−1',
        latex:
          '\\lambda_{p,t} = \\psi_{p,t}L_{p,t} + \\alpha\\lambda_{p,t+1} + \\mu\\sum_j \\bar w (1-\\alpha_j)\\lambda_{j,t+1},\\quad \\frac{\\partial E}{\\partial W_{q\\to p}} \\approx (1-\\alpha_p)\\sum_t \\lambda_{p,t} z_{q,t-1}'
      }
    ]
  }
}

function influence(estimator: 'rtrl' | 'snap1' | 'uoro' | 'kf-rtrl', cite: (work: Work) => void): Paragraph {
  const of = {
    rtrl: ['real-time recurrent learning', 'Williams1989'],
    snap1: ['SnAp-1', 'Menick2020'],
    uoro: ['unbiased online recurrent optimization', 'Tallec2017'],
    'kf-rtrl': ['Kronecker-factored real-time recurrent learning', 'Mujika2018']
  } as const
  const [name, work] = of[estimator]
  cite(work)
  return {
    text: `Gradients are those of ${name} (${named(work)}), which carries the influence J of the weights along with the state x:`,
    equations: [
      {
        plain: 'J_t = D_t J_t−1 + I_t ,  J_t = ∂x_t/∂W',
        latex: 'J_t = D_t J_{t-1} + I_t,\\quad J_t = \\partial x_t/\\partial W'
      }
    ]
  }
}
