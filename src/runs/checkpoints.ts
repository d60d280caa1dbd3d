import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { settle } from '../addon/native.js'
import { Model, nativeModel } from '../model/model.js'
import { codeOf, isError } from '../support/recognise.js'
import { writeAside } from '../support/write-aside.js'

/** The folder of a run's checkpoints. */
const CHECKPOINTS = 'checkpoints'
/** A checkpoint bears its iteration and the SHA-256 of its bytes in its name, so that it is one file that is whole or not there. */
const NAME = /^(\d+)-([\da-f]{64})\.safetensors$/
/** One may be torn by a dying disk; the one before it is kept too. */
const KEPT = 2

/** A model as it was after an iteration, with all that training goes on from. */
export interface Checkpoint {
  readonly model: Model
  readonly iteration: number
}

/** Keeps the model as it is after an iteration, and of earlier checkpoints the last. */
export async function writeCheckpoint(folder: string, model: Model, iteration: number): Promise<string> {
  const bytes = await settle(() => nativeModel(model).save(true))
  const path = join(folder, CHECKPOINTS, `${iteration}-${sha256(bytes)}.safetensors`)
  await makeWithin(folder)
  await writeAside(path, bytes)
  const old = (await list(folder)).filter(found => found.iteration <= iteration).slice(KEPT)
  // What a process was killed over writing goes too.
  const torn = (await readdir(join(folder, CHECKPOINTS))).filter(name => name.endsWith('.tmp'))
  const stale = [...old.map(({ name }) => name), ...torn]
  await Promise.all(stale.map(name => rm(join(folder, CHECKPOINTS, name), { force: true })))
  return path
}

/** Removes the checkpoints after an iteration: the run continues from there. */
export async function removeLaterCheckpoints(folder: string, iteration: number): Promise<void> {
  const later = (await list(folder)).filter(found => found.iteration > iteration)
  await Promise.all(later.map(({ name }) => rm(join(folder, CHECKPOINTS, name), { force: true })))
}

/** The iterations of the checkpoints that are whole, the latest first. */
export async function wholeCheckpoints(folder: string): Promise<number[]> {
  const all = await list(folder)
  const problems = await Promise.all(
    all.map(({ name, checksum }) => isWhole(join(folder, CHECKPOINTS, name), checksum))
  )
  return all.filter((_, i) => problems[i] === undefined).map(({ iteration }) => iteration)
}

/**
 * The last checkpoint of a run that is whole, or the last up to an iteration. `warn` is called for each that is not: torn, cut, or no checkpoint of ours.
 *
 * @returns `undefined` where there is none.
 */
export async function readCheckpoint(
  folder: string,
  warn: (message: string) => void,
  upTo = Number.POSITIVE_INFINITY
): Promise<Checkpoint | undefined> {
  for (const { name, iteration, checksum } of await list(folder)) {
    if (iteration > upTo) continue
    const path = join(folder, CHECKPOINTS, name)
    const problem = await isWhole(path, checksum)
    if (problem !== undefined) {
      warn(`the checkpoint ${path} ${problem}; it is left aside`)
      continue
    }
    try {
      return { model: await Model.load(path), iteration }
    } catch (error) {
      warn(`the checkpoint ${path} cannot be read (${(error as Error).message}); it is left aside`)
    }
  }
  return undefined
}

/** A removed run folder is not made again: it would lack its configuration. */
async function makeWithin(folder: string): Promise<void> {
  await mkdir(join(folder, CHECKPOINTS)).catch(error => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
}

/** Whether a run has a checkpoint, whole or not. */
export async function hasCheckpoint(folder: string): Promise<boolean> {
  return (await lastCheckpoint(folder)) !== undefined
}

/** The iteration of a run's last checkpoint, whole or not; nothing where there is none. */
export async function lastCheckpoint(folder: string): Promise<number | undefined> {
  return (await list(folder))[0]?.iteration
}

async function isWhole(path: string, checksum: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch((error: Error) => error)
  if (isError(bytes)) return `cannot be read (${bytes.message})`
  return sha256(bytes) === checksum ? undefined : 'is torn or was changed: its checksum is another'
}

/** The latest first. */
async function list(folder: string) {
  const names = await readdir(join(folder, CHECKPOINTS)).catch(() => [])
  const found = names.flatMap(name => {
    const [, iteration, checksum] = NAME.exec(name) ?? []
    return iteration === undefined || checksum === undefined ? [] : [{ name, iteration: Number(iteration), checksum }]
  })
  return found.sort((a, b) => b.iteration - a.iteration)
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
