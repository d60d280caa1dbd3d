// What carries learning in MDGL? Channels removed, gains exchanged, time courses smeared, reach widened, a ligand blocked after training.
import { Model } from 'mdgl'

const TASK = 'evidence-accumulation'
const NAMES = ['inhibitory', 'excitatory']
/** Ordered pairs: the secreting type, then the receiving one. */
const PAIRS = NAMES.flatMap(from => NAMES.map(to => ({ from, to })))

const channel = ({ from, to }, more = {}) => ({
  name: `${from} to ${to}`,
  from,
  to,
  gain: 'mean-weight',
  reach: 'synaptic',
  kernel: 'none',
  ...more
})

/** MDGL with a list of channels in place of the network's. */
const mdgl = channels => ({
  estimator: 'backward',
  feedback: 'symmetric',
  channels,
  hops: 1,
  recurrentDerivative: 'psi',
  readoutFilter: 'exact',
  trace: 'mdgl2021'
})

/** The mean initial weight of the synapses from `to` to `from`, in the order of PAIRS: what the gains are before training. */
function initialGains(description) {
  const model = Model.create(description)
  const { pre, post, values } = model.weights.get('cells->cells')
  model.dispose()
  const isInhibitory = cell => cell < 19
  return PAIRS.map(({ from, to }) => {
    const own = [...values].filter(
      (weight, i) =>
        weight !== 0 &&
        isInhibitory(post[i]) === (from === 'inhibitory') &&
        isInhibitory(pre[i]) === (to === 'inhibitory')
    )
    return own.length === 0 ? 0 : own.reduce((sum, weight) => sum + weight, 0) / own.length
  })
}

/** Gains fixed at their initial values, each pair with those of the pair so many places on. */
const fixedGains = shift => description => {
  const gains = initialGains(description)
  return mdgl(PAIRS.map((pair, i) => channel(pair, { gain: gains[(i + shift) % gains.length] })))
}

/** An alpha function with its peak after `peak` ms and the area of an instantaneous channel. */
function smeared(peak) {
  const a = Math.exp(-1 / peak)
  const shape = Array.from({ length: Math.ceil(60 * peak) + 1 }, (_, k) => (k + 1) * a ** k)
  const area = shape.reduce((sum, value) => sum + value, 0) / Math.max(...shape)
  const kernel = { tauRise: peak, tauDecay: peak }
  return mdgl(PAIRS.map(pair => channel(pair, { kernel, factor: 1 / area })))
}

const run = (id, label, rule, more = {}) => ({ id, label, series: 'MDGL', task: TASK, rule, ...more })

const without = pair => mdgl(PAIRS.filter(other => other !== pair).map(other => channel(other)))

const blocked = ligand => mdgl(PAIRS.filter(({ from }) => from !== ligand).map(pair => channel(pair)))

const later = (id, label, rule) => run(id, label, rule, { series: 'then 500 more', after: 'whole', iterations: 500 })

export default {
  name: 'lesions',
  title: 'What carries learning',
  about:
    'Fig. 3C, MDGL with the two types of the paper. A channel is named by the type that secretes and the type that receives. Gains *fixed* are the mean initial weights; *exchanged*, each channel has that of the next one. A smeared channel carries what is secreted through an alpha function of area 1 that peaks after the time given: it stands for slow release and clearance (the engine has no pure delay of a channel). The last rows continue the trained network of the first for 500 iterations with a ligand blocked: the ligand acts on plasticity alone, so that blocking it changes no response at once.',
  tasks: [TASK],
  minutes: 45,
  seeds: [1, 2, 3, 4, 5],
  columns: ['accuracy', 'early', 'late'],
  conditions: [
    run('whole', 'all four channels', 'mdgl'),
    ...PAIRS.map(pair => run(`without-${pair.from}-${pair.to}`, `without ${pair.from} to ${pair.to}`, without(pair))),
    run('none', 'no channel', 'eprop', { series: 'e-prop' }),
    run('fixed', 'gains fixed', fixedGains(0)),
    run('exchanged', 'gains fixed and exchanged', fixedGains(1)),
    ...[1, 3, 10, 30, 100].map(peak => run(`smeared-${peak}`, `smeared, peak after ${peak} ms`, smeared(peak))),
    run('nonlocal', 'nonlocal instead of synaptic', 'nl-mdgl', { series: 'NL-MDGL' }),
    later('then-whole', 'all four channels', 'mdgl'),
    later('then-without-excitatory', "excitatory cells' ligand blocked", blocked('excitatory')),
    later('then-without-inhibitory', "inhibitory cells' ligand blocked", blocked('inhibitory')),
    later('then-none', 'both blocked', 'eprop')
  ]
}
