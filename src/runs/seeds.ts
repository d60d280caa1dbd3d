const MOST = 10_000

/** What {@link seedList} takes, for messages. */
export const SEED_LIST = 'seeds and ascending ranges of seeds, such as 1-5,8'

/**
 * Seeds and ranges of seeds without repeats: `1-5,8`.
 *
 * @param refuse - Makes the error for a part that is none.
 */
export function seedList(text: string, refuse: (part: string) => Error): number[] {
  return [...new Set(text.split(',').flatMap(part => seedRange(part.trim(), refuse)))]
}

function seedRange(part: string, refuse: (part: string) => Error): number[] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(part)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  if (match === null || !Number.isSafeInteger(last) || last < first || last - first >= MOST) throw refuse(part)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}
