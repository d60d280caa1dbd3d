import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { commandFile } from '../runs/command-file.js'

/** How a worker process ended. */
export interface WorkerEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Why it could not be started, if it could not. */
  readonly unstarted?: string
}

/** A process that runs `mdgl`. */
export interface Worker {
  /** Nothing where it could not be started. */
  readonly pid: number | undefined
  /** Asks it to end after the current iteration, with a checkpoint. */
  stop(): void
  readonly ended: Promise<WorkerEnd>
}

/** Receivers of a worker's output, line by line. */
export interface WorkerOutput {
  out(line: string): void
  err(line: string): void
}

/** Starts the command line in a process of its own. */
export function startWorker(args: readonly string[], output: WorkerOutput): Worker {
  // What the sweep itself warns of, its workers need not repeat.
  const quiet = '--disable-warning=MDGL_DEFAULT_OPTIMISER'
  const child = spawn(process.execPath, [quiet, commandFile(), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C in a terminal goes to a whole group: a worker would get the signal twice, which ends it without a checkpoint.
    detached: process.platform !== 'win32'
  })
  createInterface({ input: child.stdout }).on('line', output.out)
  createInterface({ input: child.stderr }).on('line', output.err)
  const ended = new Promise<WorkerEnd>(resolve => {
    child.on('error', error => resolve({ code: null, signal: null, unstarted: error.message }))
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  return { pid: child.pid, stop: () => void child.kill('SIGTERM'), ended }
}
