import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** What a run of the command line left. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs `mdgl` as a person would, in a process of its own and with no terminal. */
export function mdgl(...args: readonly string[]): Promise<Outcome> {
  return start(args).outcome
}

/** The same, with SIGINT as soon as the condition holds. */
export async function interruptedMdgl(args: readonly string[], condition: () => Promise<boolean>): Promise<Outcome> {
  const { child, outcome } = start(args)
  while (child.exitCode === null && !(await condition())) await setTimeout(10)
  child.kill('SIGINT')
  return outcome
}

function start(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const outcome = new Promise<Outcome>((resolve, reject) => {
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
  return { child, outcome }
}

/** Whether a file has a whole line. */
export async function hasLine(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.includes('\n')
}

/** A folder that goes when the test ends. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mdgl-test-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

/** The lines of a text of JSON lines. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, unknown>)
}
