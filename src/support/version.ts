import { readFileSync } from 'node:fs'

/** The package's version. */
export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}

/** What a run folder notes of the software that made it. */
export function versions(): Readonly<Record<string, string>> {
  return { mdgl: version(), node: process.versions.node }
}
