import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Outcome } from './cli.js'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Runs `mdgl` in a shell that has set a limit first (`ulimit -f 8`), with options for Node. */
export function limitedMdgl(limit: string, args: readonly string[], node: readonly string[] = []): Promise<Outcome> {
  return limited(limit, [...node, MAIN, ...args])
}

/** The same for any program of Node's. */
export async function limited(limit: string, args: readonly string[]): Promise<Outcome> {
  // No memory dump of a process that a limit ends.
  const child = spawn('/bin/sh', ['-c', `ulimit -c 0; ${limit}; exec "$@"`, 'sh', process.execPath, ...args])
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}

/**
 * A task of 22 units and some dozens of synapses, so that a checkpoint of it is a few thousand bytes; more of its options, and what its batch does
 * first.
 */
export async function tinyTask(folder: string, { input = '', projection = '', batch = '' } = {}): Promise<string> {
  const file = join(folder, 'tiny.mjs')
  const library = JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)
  await writeFile(
    file,
    `
import { network } from ${library}
export default {
  name: 'tiny', loss: { kind: 'cross-entropy' }, optimiser: { kind: 'adam', l1: 0.01, rewiring: true }, iterations: 12, batchSize: 2, validateEvery: 6,
  network: ({ seed }) => network({ seed }).input('in', 4${input}).lif('cells', 16, { threshold: 0.05 }).readout('out', 2)
    .project('in', 'cells', { density: 1${projection} }).project('cells', 'out', { density: 1 }).build(),
  batch: async ({ size, split, iteration }) => {
    ${batch}
    const rates = Array.from({ length: size }, (_, trial) => ({ trial, units: [0, 4], from: 0, to: 30, rate: 100 }))
    return { length: 30, inputs: { in: { rates } }, targets: rates.map((_, trial) => trial % 2) }
  }
}
`
  )
  return file
}
