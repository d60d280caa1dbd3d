import { readFileSync, unlinkSync } from 'node:fs'
import { constants, copyFile, type FileHandle, link, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { codeOf } from '../support/recognise.js'
import { livenessOf, type ProcessIdentity, thisProcess } from './process-identity.js'
import { writeFailure } from './write-failure.js'

/** The file in a run folder that names the process which writes it. */
const LOCK = 'lock.json'
/** The lock, a lock that is being written, and a claim to succeed a stale one. */
const LOCK_FILE = /^lock\.json(?:\.[\w-]+\.(?:tmp|next))?$/

/** ms between two heartbeats: the owner of a lock writes a byte of its file again, so that its time of modification moves. */
const HEARTBEAT_EVERY = 10_000
/** A process whose existence cannot be checked from this one counts as gone after so many ms without a heartbeat. */
const SILENT_AFTER = 60_000
/** ms between two looks at the lock of such a process. */
const LOOK_EVERY = 250

/** Each but the last is one that another process was faster in. */
const MOST_ATTEMPTS = 1000

/** What the error codes of file systems without hard links are. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** A process that writes a run folder. */
export interface RunOwner extends ProcessIdentity {
  /** Since when, as ISO 8601 in UTC. */
  readonly since: string
}

/** A lock as it was read. */
interface LockEntry {
  readonly file: string
  /** Nothing where the file is not whole: it is being written, or damaged. */
  readonly owner: RunOwner | undefined
  /** Differs between any two locks. */
  readonly token: string
  /** The time of the last heartbeat, by the clock of the file's server. */
  readonly modified: number
}

/** How a lock is acquired. */
export interface LockOptions {
  /** Called for a wait for a heartbeat, and of a lock that is taken over because there was none. */
  readonly warn?: (message: string) => void
  /** Ends a wait; the promise is then rejected with its reason. */
  readonly signal?: AbortSignal | undefined
}

/** Whether a file of a run folder belongs to its lock. */
export const isLockFile = (name: string): boolean => LOCK_FILE.test(name)

/** A process in words. */
export const processName = ({ pid, host }: Pick<ProcessIdentity, 'pid' | 'host'>): string => `process ${pid} on ${host}`

/** The tokens of the locks that this process has, by file. */
const held = new Map<string, string>()

function hold(lock: string, token: string): void {
  if (held.size === 0) process.on('exit', removeHeld)
  held.set(lock, token)
}

function letGo(lock: string): void {
  held.delete(lock)
  if (held.size === 0) process.off('exit', removeHeld)
}

/** Where the process ends without the end of its run: `mdgl train --json | head`, or an error that nothing catches. */
function removeHeld(): void {
  for (const [lock, token] of held) {
    try {
      if (parse(readFileSync(lock, 'utf8'))?.token === token) unlinkSync(lock)
    } catch {
      // It is gone already, or recognised as stale by the next process.
    }
  }
}

/**
 * The right to write a run folder: the file lock.json in it, which names the process.
 *
 * The file appears whole (written aside and hard-linked, which fails where there is one). A stale lock is succeeded by hard-linking a
 * claim whose name has the stale lock's token: only one process can; it then renames its own lock over the stale one and removes the
 * claim. A process that was late finds another lock than the one it claimed to succeed, and begins anew. A claim whose process died
 * is succeeded in the same way.
 */
export class RunLock {
  /** The run folder. */
  readonly path: string
  readonly #token: string
  readonly #file: FileHandle
  readonly #heartbeat: NodeJS.Timeout
  #lost = false
  #released = false

  private constructor(path: string, token: string, file: FileHandle) {
    this.path = path
    this.#token = token
    this.#file = file
    this.#heartbeat = setInterval(() => void this.#beat(), HEARTBEAT_EVERY)
    this.#heartbeat.unref()
    hold(join(path, LOCK), token)
  }

  /**
   * Takes the lock of a folder that exists. A lock of a process that has ended is taken over.
   *
   * @throws An error that names the process which has the lock, and one where the folder cannot be written.
   */
  static async acquire(path: string, { warn = () => {}, signal }: LockOptions = {}): Promise<RunLock> {
    const lock = join(path, LOCK)
    const token = crypto.randomUUID()
    const aside = join(path, `${LOCK}.${token}.tmp`)
    const owner: RunOwner & { token: string } = { ...(await thisProcess()), since: new Date().toISOString(), token }
    try {
      await writeFile(aside, `${JSON.stringify(owner)}\n`, { flag: 'wx' })
      for (let attempt = 1; !(await createFrom(aside, lock, token)); attempt++) {
        if (attempt > MOST_ATTEMPTS) throw new Error(`${lock} can neither be read nor made: remove it`)
        const chain = await readChain(path)
        const last = chain.at(-1)
        if (last === undefined) continue
        await refuseUnlessGone(path, last, await beat(aside), { warn, signal })
        // It may have waited: a lock begins with a heartbeat.
        await beat(aside)
        if (await succeed(path, aside, token, chain)) break
      }
      return new RunLock(path, token, await open(lock, 'r'))
    } catch (error) {
      throw writeFailure(error, lock)
    } finally {
      await rm(aside, { force: true })
    }
  }

  /**
   * Makes sure of the lock before the folder is written.
   *
   * @throws An error where the lock was removed or taken over meanwhile.
   */
  async check(): Promise<void> {
    const links = await this.#file.stat().then(
      ({ nlink }) => nlink,
      () => 0
    )
    if (links > 0 && !this.#lost) return
    const other = (await readEntry(join(this.path, LOCK)))?.owner
    const what = other === undefined ? 'was removed' : `was taken over by ${processName(other)}`
    throw new Error(
      `${join(this.path, LOCK)} ${what} while the run went on: this process ends, so that two never write one run`
    )
  }

  /** Gives the lock back; once more does nothing. */
  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    clearInterval(this.#heartbeat)
    await this.#file.close()
    const lock = join(this.path, LOCK)
    letGo(lock)
    const now = await readEntry(lock).catch(() => undefined)
    // What cannot be removed is recognised as stale by the next process.
    if (now?.token === this.#token) await rm(lock, { force: true }).catch(() => undefined)
  }

  async #beat(): Promise<void> {
    const lock = join(this.path, LOCK)
    try {
      if ((await readEntry(lock))?.token === this.#token) await beat(lock)
      else this.#lost = true
    } catch (error) {
      // A disk that is full or away for a moment takes no lock away.
      if (codeOf(error) === 'ENOENT') this.#lost = true
    }
  }
}

/**
 * Writes the first byte of a lock's file again.
 *
 * @returns The file's time of modification, in ms: the file server sets it, as it does for the files of any other process there.
 */
async function beat(file: string): Promise<number> {
  const handle = await open(file, 'r+')
  try {
    await handle.write('{', 0)
    return (await handle.stat()).mtimeMs
  } finally {
    await handle.close()
  }
}

/** The process that writes a run folder now; nothing where none does, or where its last heartbeat is too long ago. */
export async function runOwner(path: string): Promise<RunOwner | undefined> {
  const last = (await readChain(path).catch(() => [])).at(-1)
  if (last?.owner === undefined) return undefined
  const liveness = await livenessOf(last.owner)
  const beats = Date.now() - last.modified < SILENT_AFTER
  return liveness === 'alive' || (liveness === 'unknown' && beats) ? last.owner : undefined
}

/** That a folder is being written by another process. */
export function inUse(path: string, owner: RunOwner): Error {
  const since = `${owner.since.slice(0, 19).replace('T', ' ')} UTC`
  return new Error(
    `${path} is in use: ${processName(owner)} has been writing it since ${since}; wait for its end, or stop it`
  )
}

/** @throws {@link inUse} unless the owner of a lock is gone. */
async function refuseUnlessGone(
  path: string,
  entry: LockEntry,
  now: number,
  { warn = () => {}, signal }: LockOptions
): Promise<void> {
  const { owner, file } = entry
  const liveness = owner === undefined ? 'unknown' : await livenessOf(owner)
  if (liveness === 'gone') return
  const name = owner === undefined ? 'a process that is not named' : processName(owner)
  if (liveness === 'unknown') {
    const silence = Math.max(0, now - entry.modified)
    const changed = await changesWithin(entry, SILENT_AFTER - silence, signal, seconds =>
      warn(`${file} is of ${name}, which cannot be checked from here; waiting up to ${seconds} s for its heartbeat`)
    )
    if (!changed) {
      warn(`${file} is of ${name}, which has had no heartbeat for ${SILENT_AFTER / 1000} s: the run is taken over`)
      return
    }
    // It was given back, or taken by another.
    if ((await readEntry(file))?.token !== entry.token) return
  }
  if (owner === undefined) throw new Error(`${path} is in use by another process`)
  const where = liveness === 'unknown' ? `; if it is gone nevertheless, remove ${file}` : ''
  throw new Error(`${inUse(path, owner).message}${where}`)
}

/** Waits until a lock moves, goes or becomes another's, at most so many ms; gives whether it did. */
async function changesWithin(
  { file, token, modified }: LockEntry,
  ms: number,
  signal: AbortSignal | undefined,
  begin: (seconds: number) => void
): Promise<boolean> {
  if (ms <= 0) return false
  begin(Math.ceil(ms / 1000))
  const end = performance.now() + ms
  while (performance.now() < end) {
    await setTimeout(LOOK_EVERY, undefined, { signal }).catch(() => signal?.throwIfAborted())
    const now = await readEntry(file)
    if (now?.token !== token || now.modified !== modified) return true
  }
  return false
}

/** Claims the succession of the last, stale lock of a chain; gives whether the folder's lock is this process's now. */
async function succeed(path: string, aside: string, token: string, chain: readonly LockEntry[]): Promise<boolean> {
  const claim = claimFile(path, chain.at(-1)?.token ?? '')
  if (!(await createFrom(aside, claim, token))) return false
  const now = await readChain(path)
  const expected = [...chain.map(entry => entry.token), token]
  const first = expected.length === now.length && expected.every((one, i) => one === now[i]?.token)
  if (first) await rename(aside, join(path, LOCK))
  const done = first ? now.slice(1).map(({ file }) => file) : [claim]
  await Promise.all(done.map(file => rm(file, { force: true })))
  return first
}

const claimFile = (path: string, token: string): string => join(path, `${LOCK}.${token}.next`)

/** The folder's lock, the claim to succeed it, the claim to succeed that one, … */
async function readChain(path: string): Promise<LockEntry[]> {
  const chain: LockEntry[] = []
  for (let file = join(path, LOCK); ; ) {
    const entry = await readEntry(file)
    if (entry === undefined) return chain
    chain.push(entry)
    file = claimFile(path, entry.token)
  }
}

async function readEntry(file: string): Promise<LockEntry | undefined> {
  // Opened anew each time: a network file system then asks its server for the file's time.
  const handle = await open(file, 'r').catch(error => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (handle === undefined) return undefined
  try {
    return await entryOf(file, handle)
  } finally {
    await handle.close()
  }
}

async function entryOf(file: string, handle: FileHandle): Promise<LockEntry> {
  const { ino, mtimeMs } = await handle.stat()
  const content = parse(await handle.readFile('utf8'))
  const { token = `unreadable-${ino}`, ...owner } = content ?? {}
  return { file, owner: content && (owner as RunOwner), token, modified: mtimeMs }
}

function parse(text: string): (RunOwner & { readonly token: string }) | undefined {
  try {
    const { pid, host, since, token, ...rest } = JSON.parse(text)
    const whole = Number.isSafeInteger(pid) && [host, since, token].every(value => typeof value === 'string')
    return whole && /^[\w-]+$/.test(token) ? { pid, host, since, token, ...rest } : undefined
  } catch {
    return undefined
  }
}

/** Makes a file with the content of another, unless there is one; gives whether it did. */
async function createFrom(source: string, file: string, token: string): Promise<boolean> {
  try {
    await link(source, file).catch(error => {
      if (!NO_LINKS.includes(String(codeOf(error)))) throw error
      return copyFile(source, file, constants.COPYFILE_EXCL)
    })
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    // The answer of a server may be lost: asked again, it says that the file exists, which then is this process's own.
    return (await readEntry(file))?.token === token
  }
}
