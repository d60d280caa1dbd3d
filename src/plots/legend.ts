/** A line of a legend: a stroke and what it means. */
export interface LegendEntry {
  readonly text: string
  readonly stroke: string
  readonly width?: number
  readonly dash?: string
}

/** Where a legend stands: its first row, the height of a row, and how far apart its columns are. */
export const LEGEND = { top: 24, row: 18, column: 340 }

const LINE = 28
const GAP = 8

/** A column of a legend as SVG, from a row on. */
export function legendColumn(entries: readonly LegendEntry[], x: number, first = 0): string[] {
  return entries.map(({ text, stroke, width = 2.2, dash }, place) => {
    const y = LEGEND.top + (first + place) * LEGEND.row
    const dashes = dash === undefined ? '' : ` stroke-dasharray="${dash}"`
    const end = x + LINE
    return (
      `<line x1="${x}" x2="${end}" y1="${y}" y2="${y}" stroke="${stroke}" stroke-width="${width}"${dashes}/>` +
      `<text x="${end + GAP}" y="${y}" dy="0.35em" text-anchor="start">${text}</text>`
    )
  })
}

/** Two columns of a legend side by side, or one below the other where the picture is narrow, and the number of their rows. */
export function twoColumns(left: readonly LegendEntry[], right: readonly LegendEntry[], x: number, width: number) {
  const beside = width >= x + 2 * LEGEND.column
  return {
    svg: beside
      ? [...legendColumn(left, x), ...legendColumn(right, x + LEGEND.column)]
      : [...legendColumn(left, x), ...legendColumn(right, x, left.length)],
    rows: beside ? Math.max(left.length, right.length) : left.length + right.length
  }
}

/** A number of things: `1 seed`, `3 seeds`. */
export const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`
