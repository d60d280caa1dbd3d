import { isObject, numbers } from './check.js'
import { MdglError } from './error.js'
import { allocated } from './memory.js'
import { arrayName, isUint32Array } from './recognise.js'

// A copy of what a caller gave, each part read once: what is checked is what is used, whatever getters and proxies answer the next time.

/** Deeper than this nothing is plain data. */
const MOST_DEEP = 32
/** Most objects of a copy; a value that holds itself many times over, for instance, has more. */
const MOST_OBJECTS = 2 ** 22
/** Lists of at least so many numbers are handed over beside the JSON. */
const LONG = 32

/** Part of a copy that is no plain data: it stays what it was, and the engine refuses it. */
class Foreign {
  readonly value: object
  /** What would be copied in its place, where that can be said. */
  readonly allowed: string | undefined

  constructor(value: object, allowed?: string) {
    this.value = value
    this.allowed = allowed
  }
}

/** A copy as plain data: objects by their own keys, lists, typed arrays; numbers, texts and anything else that is no object as they are. */
export function plainCopy(value: unknown): unknown {
  let objects = 0
  const within: object[] = []
  const copy = (part: unknown): unknown => {
    if (typeof part !== 'object' || part === null) return part
    if (!isObject(part) || within.length === MOST_DEEP || within.includes(part) || objects++ > MOST_OBJECTS) {
      return new Foreign(part)
    }
    if (ArrayBuffer.isView(part)) return typedCopy(part)
    within.push(part)
    const copied = Array.isArray(part) ? listCopy(part, copy) : copyOfKeys(part, copy)
    within.pop()
    return copied
  }
  return copy(value)
}

/** Whether a copy is one of an object by its keys. */
export function isPlain(copy: unknown): copy is Readonly<Record<string, unknown>> {
  return typeof copy === 'object' && copy !== null && Object.getPrototypeOf(copy) === Object.prototype
}

function listCopy(list: readonly unknown[], copy: (value: unknown) => unknown): object {
  const own = orForeign(list)
  return own instanceof Foreign ? own : Array.from(own, copy)
}

function copyOfKeys(part: object, copy: (value: unknown) => unknown): object {
  return Object.fromEntries(Object.keys(part).map(key => [key, copy(Reflect.get(part, key))]))
}

/** A copy of numbers as one of two types; what has no numbers is not copied. */
function typedCopy(view: ArrayBufferView): object {
  const name = arrayName(view)
  if (name === undefined || name.startsWith('Big')) return new Foreign(view)
  const own = orForeign(view)
  if (own instanceof Foreign) return own
  return allocated('its numbers', 'a list', () =>
    isUint32Array(own) ? new Uint32Array(own) : new Float64Array(own as ArrayLike<number>)
  )
}

/** The entries of a list, each read once; a list of unusual length, and shared memory, whose content may change at any time, stay as they are. */
function orForeign(list: object): ArrayLike<unknown> | Foreign {
  try {
    return numbers(list, 'list')
  } catch (error) {
    if (error instanceof MdglError) return new Foreign(list, error.allowed)
    throw error
  }
}

/** JSON, and the lists of numbers beside it: `{"list": k}` is the k-th. */
export interface PlainText {
  json: string
  lists: (Uint32Array | Float64Array)[]
}

/** A copy as the engine takes it. */
export function plainText(copy: unknown): PlainText {
  const lists: PlainText['lists'] = []
  const text = (part: unknown): unknown => {
    if (typeof part === 'string') return wellFormed(part)
    if (part === null || typeof part === 'boolean' || Number.isFinite(part)) return part
    if (typeof part !== 'object') return { '\0': true }
    if (part instanceof Foreign) return { '\0': part.allowed ?? true }
    if (ArrayBuffer.isView(part)) return { list: lists.push(part as Uint32Array) - 1 }
    if (Array.isArray(part)) {
      return part.length >= LONG && part.every(entry => typeof entry === 'number')
        ? { list: lists.push(Float64Array.from(part)) - 1 }
        : part.map(text)
    }
    // A list's place is not for the caller to say.
    const keys = Object.keys(part)
    if (keys.length === 1 && keys[0] === 'list') return { '\0': true }
    const given = Object.entries(part).filter(([, value]) => value !== undefined)
    return Object.fromEntries(given.map(([key, value]) => [wellFormed(key), text(value)]))
  }
  return { json: JSON.stringify(text(copy)), lists }
}

/** A text as the engine has them: without halves of surrogate pairs. */
function wellFormed(text: string): string {
  return (text as string & { toWellFormed(): string }).toWellFormed()
}

/** What stands at a path of a copy (keys, indices, names of parts in lists, each after a dot); nothing where there is no such place. */
export function partAt(copy: unknown, path: string): { readonly value: unknown } | undefined {
  if (path === '') return { value: copy instanceof Foreign ? copy.value : copy }
  if (typeof copy !== 'object' || copy === null || copy instanceof Foreign) return undefined
  const [place, index] = /^\[(\d+)\]/.exec(path) ?? []
  if (place !== undefined && isList(copy)) {
    return Number(index) < copy.length ? partAt(copy[Number(index)], path.slice(place.length)) : undefined
  }
  for (const [place, part] of placesOf(copy)) {
    const found = path.startsWith(place) ? partAt(part, path.slice(place.length)) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

function isList(copy: object): copy is ArrayLike<unknown> {
  return ArrayBuffer.isView(copy) || Array.isArray(copy)
}

function placesOf(copy: object): [string, unknown][] {
  if (Array.isArray(copy)) return copy.map(part => [`.${nameOf(part)}`, part])
  if (ArrayBuffer.isView(copy)) return []
  return Object.entries(copy).map(([key, part]) => [`.${key}`, part])
}

/** The name that messages call a part by. */
export function nameOf(part: unknown): string {
  const { name, from, to } = Object(part) as { readonly name?: unknown; readonly from?: unknown; readonly to?: unknown }
  if (typeof name === 'string') return name
  return typeof from === 'string' && typeof to === 'string' ? `${from}->${to}` : ''
}
