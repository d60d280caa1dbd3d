import type { Schedule } from '../task/schedule.js'

/** How a learning rate is written on a command line. */
export const LEARNING_RATE_FORMS =
  'a number above 0, cosine:FROM[:TO[:ITERATIONS]], step:FROM:FACTOR:EVERY or warm-up:ITERATIONS:INTO'

/** The text of a schedule; nothing of a table, which has none. */
export function learningRateText(rate: number | Schedule): string | undefined {
  if (typeof rate === 'number') return String(rate)
  switch (rate.kind) {
    case 'step':
      return ['step', rate.from, rate.factor, rate.every].join(':')
    case 'cosine':
      return ['cosine', rate.from, rate.to, rate.iterations].filter(part => part !== undefined).join(':')
    case 'warm-up': {
      const into = learningRateText(rate.into)
      return into === undefined ? undefined : `warm-up:${rate.iterations}:${into}`
    }
    case 'table':
      return undefined
  }
}

/** Parses a learning rate; `undefined` for a text that is not one. */
export function parseLearningRate(given: string): number | Schedule | undefined {
  const [kind = '', ...parts] = given.split(':')
  if (parts.length === 0) return numbers([kind], 1)?.[0]
  switch (kind) {
    case 'cosine': {
      const [from, to, iterations] = (parts.length <= 3 && numbers(parts)) || []
      if (from === undefined) return undefined
      return { kind, from, ...(to !== undefined && { to }), ...(iterations !== undefined && { iterations }) }
    }
    case 'step': {
      const [from, factor, every] = numbers(parts, 3) ?? []
      return from === undefined || factor === undefined || every === undefined
        ? undefined
        : { kind, from, factor, every }
    }
    case 'warm-up': {
      const [iterations] = numbers(parts.slice(0, 1)) ?? []
      const into = parseLearningRate(parts.slice(1).join(':'))
      return iterations === undefined || into === undefined ? undefined : { kind, iterations, into }
    }
    default:
      return undefined
  }
}

/** Numbers of at least 0, the first of which is above 0. */
function numbers(texts: readonly string[], count = texts.length): number[] | undefined {
  const values = texts.map(part => (part.trim() === '' ? Number.NaN : Number(part)))
  const right = values.length === count && values.every(value => Number.isFinite(value) && value >= 0)
  return right && (values[0] ?? 0) > 0 ? values : undefined
}
