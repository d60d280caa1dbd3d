import { appendFile } from 'node:fs/promises'

/** Adds a value as a line of JSON to a file; an error knows the file, which the system's may not. */
export async function appendLine(path: string, value: unknown): Promise<void> {
  await appendFile(path, `${JSON.stringify(value)}\n`).catch(error => {
    throw Object.assign(error, { path })
  })
}
