import { defineRule, type RuleContext } from '../../src/index.js'

/** e-prop: S = L. */
export const eprop = defineRule({ name: 'e-prop', signal: ({ learningSignal }) => learningSignal })

/** A modulatory edge: what j secretes acts on p with this gain. */
interface Edge {
  readonly p: number
  readonly j: number
  readonly gain: number
}

/** MDGL: along the synapses with the mean of those that exist, or to every cell of a type with the mean of the whole block. */
export const mdgl = defineRule({
  name: 'MDGL',
  signal: context => withModulation(context, synapticEdges(context))
})
/** The same over every cell. */
export const nonlocalMdgl = defineRule({
  name: 'nonlocal MDGL',
  signal: context => withModulation(context, nonlocalEdges(context))
})

/** S_p,t = L_p,t + Σ_j gain (1−α_j) L_j,t+1 ψ_j,t+1. */
function withModulation({ shape, cells, learningSignal, psi }: RuleContext, edges: readonly Edge[]): Float64Array {
  const { trials, steps, neurons } = shape
  const signal = Float64Array.from(learningSignal)
  for (let trial = 0; trial < trials; trial++) {
    for (let step = 0; step + 1 < steps; step++) {
      const now = (trial * steps + step) * neurons
      const next = now + neurons
      for (const { p, j, gain } of edges) {
        const secreted = (learningSignal[next + j] ?? 0) * (psi[next + j] ?? 0)
        signal[now + p] = (signal[now + p] ?? 0) + gain * (1 - (cells.alpha[j] ?? 0)) * secreted
      }
    }
  }
  return signal
}

function synapticEdges(context: RuleContext): Edge[] {
  const { sums, counts } = blocks(context)
  const { type } = context.cells
  return living(context).map(({ p, j }) => {
    const block = `${type[p]} ${type[j]}`
    return { p, j, gain: (sums.get(block) ?? 0) / (counts.get(block) ?? 1) }
  })
}

function nonlocalEdges(context: RuleContext): Edge[] {
  const { sums } = blocks(context)
  const { type } = context.cells
  const cells = [...type.keys()]
  const size = (of: number | undefined) => type.filter(other => other === of).length
  return cells.flatMap(p =>
    cells.map(j => ({ p, j, gain: (sums.get(`${type[p]} ${type[j]}`) ?? 0) / (size(type[p]) * size(type[j])) }))
  )
}

/** Sum and number of the living synapses from type to type. */
function blocks(context: RuleContext) {
  const { type } = context.cells
  const [sums, counts] = [new Map<string, number>(), new Map<string, number>()]
  for (const { p, j, weight } of living(context)) {
    const block = `${type[p]} ${type[j]}`
    sums.set(block, (sums.get(block) ?? 0) + weight)
    counts.set(block, (counts.get(block) ?? 0) + 1)
  }
  return { sums, counts }
}

/** Recurrent synapses p→j with a weight. */
function living({ projections }: RuleContext) {
  const recurrent = Object.values(projections).filter(({ stage }) => stage === 'recurrent')
  const all = recurrent.flatMap(({ pre, post, weights }) =>
    Array.from(pre, (p, i) => ({ p, j: post[i] ?? 0, weight: weights[i] ?? 0 }))
  )
  return all.filter(({ weight }) => weight !== 0)
}
