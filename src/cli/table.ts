/** Rows as aligned text: the first `left` columns to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[], left: number): string {
  const columns = rows[0]?.length ?? 0
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column < left ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
  return rows.map(row => `  ${line(row).join('  ')}`.trimEnd()).join('\n')
}
