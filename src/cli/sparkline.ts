const LEVELS = '▁▂▃▄▅▆▇█'

/** A curve in one line of text: so many characters, each the mean of its part; the lowest value at the bottom. */
export function sparkline(values: readonly number[], width: number): string {
  const count = Math.min(width, values.length)
  const parts = Array.from({ length: count }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / count), Math.floor(((i + 1) * values.length) / count))
    return part.reduce((sum, value) => sum + value, 0) / part.length
  })
  const finite = parts.filter(Number.isFinite)
  const [least, most] = [Math.min(...finite), Math.max(...finite)]
  const level = (value: number) => Math.round(((value - least) / (most - least || 1)) * (LEVELS.length - 1))
  return parts.map(value => (Number.isFinite(value) ? (LEVELS[level(value)] ?? ' ') : ' ')).join('')
}
