import { execFile } from 'node:child_process'
import { cpus, platform, release } from 'node:os'
import { promisify } from 'node:util'
import { native } from '../addon/native.js'

/** When and where a run began, and the state of the repository that it began in. */
export interface Provenance {
  /** In the form of ISO 8601. */
  readonly date: string
  readonly processor: string
  /** The engine's instruction set. */
  readonly instructionSet: string
  readonly system: string
  /** Of the repository of the working directory, or of the task's file; null where there is none, or no git. */
  readonly commit: string | null
  /** Whether files of the repository differ from that commit; null without a commit. */
  readonly changed: boolean | null
}

/** ms that git may take. */
const PATIENCE = 3000

/** What is to be recorded of a run that begins, in a folder of the user's. */
export async function provenanceOf(folder: string): Promise<Provenance> {
  const commit = await git(folder, 'rev-parse', 'HEAD')
  const status = commit === undefined ? undefined : await git(folder, 'status', '-s', '-uno')
  return {
    date: new Date().toISOString(),
    processor: cpus()[0]?.model ?? 'unknown',
    instructionSet: native.instructionSet(),
    system: `${platform()} ${release()}`,
    commit: commit ?? null,
    changed: status === undefined ? null : status !== ''
  }
}

/** What git prints; nothing where it fails. No program that a repository names is run. */
async function git(folder: string, ...args: readonly string[]): Promise<string | undefined> {
  const safe = ['-C', folder, '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null']
  return await promisify(execFile)('git', [...safe, ...args], { timeout: PATIENCE }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined
  )
}
