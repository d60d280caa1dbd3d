import { fileURLToPath } from 'node:url'
import { isObject } from './check.js'
import { invalid } from './error.js'
import { addressText } from './recognise.js'

/** A file's path, from a text or a `file:` address. */
export function filePath(value: unknown, path = 'path'): string {
  if (typeof value === 'string' && value.length > 0 && !value.includes('\0')) return value
  const address = isObject(value) ? addressed(value) : undefined
  if (address === undefined) throw invalid(path, value, "a path without null characters, or a 'file:' URL")
  return address
}

function addressed(value: object): string | undefined {
  try {
    const text = addressText(value)
    return text === undefined ? undefined : fileURLToPath(text)
  } catch {
    return undefined
  }
}
