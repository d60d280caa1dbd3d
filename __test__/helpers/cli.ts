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

/** The same, killed after so many ms. */
export async function killedMdgl(args: readonly string[], ms: number, signal: 'SIGKILL' | 'SIGINT'): Promise<Outcome> {
  const { child, outcome } = start(args)
  await setTimeout(ms)
  child.kill(signal)
  return outcome
}

/** A run of the command line that goes on beside the test. */
export interface Background {
  readonly outcome: Promise<Outcome>
  /** What it has said so far. */
  stdout(): string
  stderr(): string
  kill(signal: NodeJS.Signals): void
}

/** Starts `mdgl` and leaves it running. */
export function startMdgl(args: readonly string[]): Background {
  const { child, outcome, said } = start(args)
  return {
    outcome,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    kill: signal => {
      child.kill(signal)
    }
  }
}

function start(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', text => {
      said.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      said.stderr += text
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, ...said }))
  })
  return { child, outcome, said }
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
