import type { NamesOf, NetworkDescription } from './description.js'

/** Names of a description's projections. */
export type ProjectionNames<D> = NamesOf<D>['projection']
/** Names of a description's readouts. */
export type ReadoutNames<D> = NamesOf<D>['readout']
/** Names of a description's inputs. */
export type InputNames<D> = NamesOf<D>['input']

/** The names of a model's projections. */
export function projectionNames(description: NetworkDescription): string[] {
  return (description.projections ?? []).map(({ name, from, to }) => name ?? `${from}->${to}`)
}

/** The names of the projections that training changes. */
export function plasticNames(description: NetworkDescription): string[] {
  const projections = (description.projections ?? []).filter(({ plastic }) => plastic !== false)
  return projectionNames({ ...description, projections })
}
