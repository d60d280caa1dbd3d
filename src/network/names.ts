import { list } from '../support/check.js'
import { invalid } from '../support/error.js'
import type { NamesOf, WholeDescription } from './description.js'

/** Names of a description's projections. */
export type ProjectionNames<D> = NamesOf<D>['projection']
/** Names of a description's readouts. */
export type ReadoutNames<D> = NamesOf<D>['readout']
/** Names of the biases of a description's readouts. */
export type BiasNames<D> = `${ReadoutNames<D>}.bias`
/** Names of a description's inputs. */
export type InputNames<D> = NamesOf<D>['input']

/** Names of a description's recurrent populations and readouts. */
export type RecordableNames<D> = NamesOf<D>['population'] | NamesOf<D>['readout']

/** The names of a model's projections. */
export function projectionNames({ projections }: WholeDescription): string[] {
  return projections.map(({ name }) => name)
}

/** The names of all that an optimiser can freeze: projections, and the biases of readouts as `choice.bias`. */
export function trainableNames(description: WholeDescription): string[] {
  const biased = description.readouts.filter(({ bias }) => bias !== false)
  return [...projectionNames(description), ...biased.map(({ name }) => `${name}.bias`)]
}

/** The names of the projections that training changes. */
export function plasticNames({ projections }: WholeDescription): string[] {
  return projections.filter(({ plastic }) => plastic).map(({ name }) => name)
}

/** The entry of a name, or an error that lists the names there are. */
export function find<T extends { readonly name: string }>(parts: readonly T[], name: string, path: string): T {
  const part = parts.find(candidate => candidate.name === name)
  if (part === undefined) throw invalid(path, name, list(parts.map(one => one.name)))
  return part
}
