import { askEngine } from '../addon/ask-engine.js'
import { native } from '../addon/native.js'
import { array, isObject, list, object, record, text } from '../support/check.js'
import { invalid } from '../support/error.js'
import { plainCopy, plainText } from '../support/plain.js'
import type { Channel, Gain, Kernel, Reach } from './description.js'

/** A receptor: how strongly a ligand acts on the type that bears it, whom it reaches and how it spreads over time. */
export interface Receptor {
  /** Its strength. Default `'mean-weight'`. */
  readonly gain?: Gain
  /** Whom the ligand reaches. Default `'synaptic'`. */
  readonly reach?: Reach
  /** Its time course. Default `'none'`. */
  readonly kernel?: Kernel
  /** As {@link Channel.above}. Default 0. */
  readonly above?: number
}

/** Neuromodulation as ligands and receptors of cell types. */
export interface Modulation<TypeName extends string = string> {
  /** The ligand, or the ligands, that each type secretes. A type that is left out secretes nothing. */
  readonly ligands: { readonly [Type in TypeName]?: string | readonly string[] }
  /** For each type the receptors it bears, by ligand: a {@link Receptor}, or its gain alone. */
  readonly receptors: { readonly [Type in TypeName]?: { readonly [ligand: string]: Gain | Receptor } }
}

/**
 * The channels that ligands and receptors make: one from every type that secretes a ligand to every type that bears a
 * receptor for it, named `ligand:from->to`. Two ligands from one type to another are two channels, and must differ in
 * reach or kernel: else the network refuses them.
 *
 * @example
 * ```ts
 * const channels = expandModulation({
 *   ligands: { excitatory: 'A', inhibitory: 'B' },
 *   receptors: { excitatory: { A: 'mean-weight', B: -0.5 }, inhibitory: { A: { gain: 0.2, reach: 'nonlocal' } } },
 * });
 * ```
 * @param modulation - Which type secretes and bears what.
 * @returns Channels for a network description.
 * @throws {@link MdglError} `'invalid'` for a receptor whose ligand no type secretes, a ligand that no type receives,
 * and for a gain, a reach or a kernel that is not allowed.
 */
export function expandModulation<TypeName extends string>(modulation: Modulation<TypeName>): Channel<TypeName>[] {
  record(modulation, 'modulation', ['ligands', 'receptors'])
  const secretions = secretionsOf(modulation.ligands)
  const receptors = receptorsOf(modulation.receptors)
  refuseUseless(
    secretions.map(({ ligand }) => ligand),
    receptors
  )
  return secretions.flatMap(({ type: from, ligand }) =>
    receptors
      .filter(receptor => receptor.ligand === ligand)
      .map(({ type: to, shape }) => ({ name: `${ligand}:${from}->${to}`, from, to, ...shape }) as Channel<TypeName>)
  )
}

function secretionsOf(ligands: Modulation['ligands']): { type: string; ligand: string }[] {
  return Object.entries(object(ligands, 'modulation.ligands')).flatMap(([type, given]) => {
    const path = `modulation.ligands.${type}`
    const secreted = typeof given === 'string' ? [given] : array(given ?? [], path)
    const twice = secreted.find((ligand, i) => secreted.indexOf(ligand) < i)
    if (twice !== undefined) throw invalid(path, twice, 'each ligand once')
    return secreted.map(ligand => ({ type, ligand: text(ligand, path) }))
  })
}

interface Site {
  readonly type: string
  readonly ligand: string
  readonly path: string
  readonly shape: Pick<Channel, 'gain' | 'reach' | 'kernel' | 'above'>
}

function receptorsOf(receptors: Modulation['receptors']): Site[] {
  return Object.entries(object(receptors, 'modulation.receptors')).flatMap(([type, given]) => {
    const path = `modulation.receptors.${type}`
    return Object.entries(object(given ?? {}, path)).map(([ligand, receptor]) => site(type, ligand, receptor, path))
  })
}

function site(type: string, ligand: string, receptor: Gain | Receptor, parent: string): Site {
  const path = `${parent}.${ligand}`
  const copy = plainCopy(isObject(receptor) ? receptor : { gain: receptor })
  const shape = askEngine({ [path]: copy }, () => native.completeChannel(plainText(copy), path))
  return { type, ligand, path, shape: JSON.parse(shape) }
}

/** A ligand without a receptor, or the reverse, is probably a typing error. */
function refuseUseless(secreted: readonly string[], receptors: readonly Site[]): void {
  const orphan = receptors.find(({ ligand }) => !secreted.includes(ligand))
  if (orphan !== undefined)
    throw invalid(orphan.path, orphan.ligand, `a ligand that a type secretes: ${list([...new Set(secreted)])}`)
  const unheard = secreted.find(ligand => !receptors.some(receptor => receptor.ligand === ligand))
  const known = [...new Set(receptors.map(({ ligand }) => ligand))]
  if (unheard !== undefined) {
    throw invalid('modulation.ligands', unheard, `a ligand for which a type bears a receptor: ${list(known)}`)
  }
}
