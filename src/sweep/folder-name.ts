import { createHash } from 'node:crypto'

/** A value as a part of a folder's name: itself where it is short and plain, else eight digits of its checksum. */
export function partOfName(value: unknown): string {
  const plain = shown(value)
  if (/^[\w.+-]{1,40}$/.test(plain)) return plain
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 8)
}

/** A value as it is shown. */
export const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
