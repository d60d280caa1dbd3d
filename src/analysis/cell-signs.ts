import type { Model } from '../model/model.js'
import type { InputPopulation, WholeDescription } from '../network/description.js'

/** How a cell acts on its targets: by Dale's law, or with weights of either sign. */
export type CellSign = 'excitatory' | 'inhibitory' | 'either'

/** The sign of several cells together: that of each, where it is one. */
export function commonSign(signs: readonly CellSign[]): CellSign {
  const [first = 'either', ...others] = new Set(signs)
  return others.length === 0 ? first : 'either'
}

/** The sign of each recurrent cell, counted through all populations. */
export function cellSigns(model: Model): CellSign[] {
  const { description } = model
  return description.populations.flatMap(population => {
    const { sign, size, name } = population
    if (sign === 'free') return Array.from({ length: size }, () => 'either' as const)
    if (sign === 'excitatory' || sign === 'inhibitory') return Array.from({ length: size }, () => sign)
    return 'excitatory' in sign ? drawnSigns(model, name, size) : Array.from(sign, of)
  })
}

const of = (value: number): CellSign => (value > 0 ? 'excitatory' : value < 0 ? 'inhibitory' : 'either')

/** The signs of a population whose order may be drawn from the seed: those of its weights, which keep to them. */
function drawnSigns(model: Model, population: string, size: number): CellSign[] {
  const signs = new Array<CellSign>(size).fill('either')
  for (const name of outgoing(model.description, population)) {
    const { pre, values } = model.weights.get(name)
    for (let i = 0; i < pre.length; i++) if (values[i] !== 0) signs[pre[i] ?? 0] = of(values[i] ?? 0)
  }
  return signs
}

function outgoing({ projections }: WholeDescription, population: InputPopulation['name']): string[] {
  return projections.filter(({ from }) => from === population).map(({ name }) => name)
}
