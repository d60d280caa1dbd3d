import type { PlainText } from '../support/plain.js'
import type { WholeDescription } from './description.js'

/** A long list of numbers in a checked description. */
type LongList = PlainText['lists'][number]

/** Makes JSON write a typed array as a list; by itself it is an object with a key for each entry there. */
function asList<L extends LongList>(list: L): L {
  return Object.defineProperty(list, 'toJSON', { value: entries })
}

function entries(this: ArrayLike<number>): number[] {
  const list: number[] = []
  for (let i = 0; i < this.length; i++) list.push(this[i] ?? 0)
  return list
}

/** Parts whose lists stay typed arrays. */
const TYPED = ['connections', 'lesions']

/**
 * A description that the engine gave, in whose JSON `{list: k}` is the k-th list: frozen but for the lists of connections and lesions, which
 * are those given; other lists become arrays. And the lists, of which those that it does not have are empty.
 */
export function unpack({ json, lists }: PlainText): { description: WholeDescription; used: LongList[] } {
  const used: LongList[] = lists.map(() => new Uint32Array())
  const whole = (value: unknown, listed: boolean): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return Object.freeze(value.map(part => whole(part, listed)))
    const index = 'list' in value ? Number(value.list) : Number.NaN
    const list = lists[index]
    if (list === undefined) {
      const parts = Object.entries(value).map(([key, part]) => [key, whole(part, listed || TYPED.includes(key))])
      return Object.freeze(Object.fromEntries(parts))
    }
    used[index] = list
    return listed ? asList(list) : Object.freeze(Array.from(list))
  }
  return { description: whole(JSON.parse(json), false) as WholeDescription, used }
}
