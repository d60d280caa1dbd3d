import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const target = fileURLToPath(new URL('../../target', import.meta.url))
const made: string[] = []
test.after.always('its folders are removed', () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})

/** An empty folder for the tests of a file, removed after them; within the checkout where imports must find its node_modules. */
export function scratch(name: string, { inCheckout = false } = {}): string {
  if (inCheckout) mkdirSync(target, { recursive: true })
  const folder = mkdtempSync(join(inCheckout ? target : tmpdir(), `${inCheckout ? '' : 'mdgl-'}${name}-`))
  made.push(folder)
  return folder
}
