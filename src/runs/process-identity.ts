import { readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { codeOf } from '../support/recognise.js'

/** A process, described so that a later one with the same number is not taken for it. */
export interface ProcessIdentity {
  readonly pid: number
  readonly host: string
  /** When the process started, in clock ticks since the host's boot; Linux only. */
  readonly started?: string
  /** The host's boot; Linux only. */
  readonly boot?: string
  /** The PID namespace in which `pid` counts, one per container; Linux only. */
  readonly namespace?: string
}

/** `unknown`: of another host or container, or with a number that another process may have now. */
export type Liveness = 'alive' | 'gone' | 'unknown'

/** Fields of /proc/PID/stat, counted behind the name of the program, which may hold blanks and parentheses. */
const STATE = 0
const START_TIME = 19
/** A zombie has ended, and only its parent has not asked for its exit code yet. */
const ENDED = ['Z', 'X']

const optional = async (text: Promise<string>): Promise<string | undefined> =>
  (await text.catch(() => undefined))?.trim()

async function statOf(pid: number): Promise<{ state: string; started: string } | undefined> {
  const text = await optional(readFile(`/proc/${pid}/stat`, 'utf8'))
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, started] = [fields?.[STATE], fields?.[START_TIME]]
  return state === undefined || started === undefined ? undefined : { state, started }
}

/** This process. */
export async function thisProcess(): Promise<ProcessIdentity> {
  const [stat, boot, namespace] = await Promise.all([
    statOf(process.pid),
    optional(readFile('/proc/sys/kernel/random/boot_id', 'utf8')),
    optional(readlink('/proc/self/ns/pid'))
  ])
  return {
    pid: process.pid,
    host: hostname(),
    ...(stat !== undefined && { started: stat.started }),
    ...(boot !== undefined && { boot }),
    ...(namespace !== undefined && { namespace })
  }
}

/** Whether a process still runs, as far as can be told from this one. */
export async function livenessOf(other: ProcessIdentity): Promise<Liveness> {
  const here = await thisProcess()
  const samePlace = other.host === here.host && other.boot === here.boot && other.namespace === here.namespace
  if (!samePlace) return 'unknown'
  if (!exists(other.pid)) return 'gone'
  const stat = await statOf(other.pid)
  if (stat === undefined || other.started === undefined) return 'unknown'
  return stat.started === other.started && !ENDED.includes(stat.state) ? 'alive' : 'gone'
}

/** Whether any process has the number; one of another user counts. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}
