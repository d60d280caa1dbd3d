#!/usr/bin/env node
// `mdgl` of the library alone: the command line is a package of its own, which this starts where it is installed.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
const places = [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json'))]

/** The command line's own file, beside this package or in the project where it was called. */
function found() {
  for (const place of places) {
    try {
      return createRequire(place).resolve('mdgl-cli/main')
    } catch {
      // The next place.
    }
  }
}

const main = found()
if (main === undefined) {
  console.error(`mdgl: the command line is the package mdgl-cli: \`npm install mdgl-cli@${version}\``)
  process.exitCode = 1
} else await import(pathToFileURL(main).href)
