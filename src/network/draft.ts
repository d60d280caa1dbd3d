import type { NativeDraft } from '#native'
import { askEngine } from '../addon/ask-engine.js'
import { guard, native } from '../addon/native.js'
import { isPlain, nameOf, type PlainText, plainCopy, plainText } from '../support/plain.js'
import type { NetworkDescription, WholeDescription } from './description.js'
import { unpack } from './number-lists.js'

// Descriptions are copied once and handed to the engine, which alone reads, checks and completes them
// (crates/mdgl-core/src/description). A new key needs a line in description.ts and none here.

/** The lists of parts of a description. */
export type PartKind = 'inputs' | 'populations' | 'readouts' | 'types' | 'projections' | 'channels' | 'lesions'

/** A description in the making, held by the engine; a value, which adding a part leaves as it was. */
export class Draft {
  readonly #handle: NativeDraft

  private constructor(handle: NativeDraft) {
    this.#handle = handle
    guard(() => handle.watch())
  }

  /** A description without parts. */
  static begin(options: object): Draft {
    const copy = plainCopy(options)
    const begin = () => native.NativeDraft.begin(plainText(copy))
    return new Draft(askEngine({ ...(copy as object), options: copy }, begin))
  }

  /** With one part more, checked; the units of a type by the names of populations. */
  add(kind: PartKind, part: object): Draft {
    const copy = plainCopy(part)
    return new Draft(askEngine(partsOf(kind, copy), () => this.#handle.add(kind, plainText(copy))))
  }

  /** The whole description. */
  describe(): WholeDescription {
    return unpack(guard(() => this.#handle.describe())).description
  }
}

/** What the paths of a part's errors stand for. */
function partsOf(kind: PartKind, copy: unknown): object {
  const path = `${kind}.${nameOf(copy)}`
  const members = isPlain(copy) ? copy.members : undefined
  if (kind !== 'types') return { [path]: copy, [kind]: copy }
  if (!isPlain(members)) return { [path]: members, types: copy }
  const units = Object.entries(members).map(([population, own]) => [`${path}.${population}`, own])
  return { ...Object.fromEntries(units), types: copy }
}

/** A description with every default filled in, frozen, and the same as the engine takes it. */
export function packDescription(given: NetworkDescription): { description: WholeDescription; packed: PlainText } {
  const copy = plainCopy(given)
  const { json, lists } = plainText(copy)
  const complete = () => native.completeNetwork({ json, lists })
  const whole = askEngine({ ...(copy as object), description: copy }, complete)
  const { description, used } = unpack({ json: whole.json, lists: [...lists, ...whole.lists] })
  return { description, packed: { json: whole.json, lists: used } }
}

/** A whole description from plain JSON: every part checked, defaults filled in, frozen. */
export function completeDescription(given: NetworkDescription): WholeDescription {
  return packDescription(given).description
}
