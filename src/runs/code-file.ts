import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '../support/recognise.js'
import { checksum, type ImportedFile, importedFiles } from './imported-files.js'

/** A file of the user's code that a run was made with, as it was then. */
export interface CodeFile {
  readonly path: string
  readonly sha256: string
  /** The files that it imports, directly or through others, by their paths from its folder. Not in folders of before they were kept. */
  readonly imports?: readonly ImportedFile[]
}

/** Imported for its effect; it has no type declarations. */
const LOADER: string = '@oxc-node/core/register'

/** What {@link isCodeFile} takes, for messages. */
export const CODE_FILES = 'a file (.ts, .mts, .js or .mjs)'

/** Whether a name is that of a file with code. */
export const isCodeFile = (name: string): boolean => /\.(?:ts|mts|js|mjs)$/.test(name)

/** A file of code and its default export. TypeScript's types are stripped by Node, or by a loader where Node does not. */
export async function importCode(path: string): Promise<{ readonly file: CodeFile; readonly exported: unknown }> {
  const file = { path: resolve(path), sha256: await checksum(path), imports: await importedFiles(path) }
  if (/ts$/.test(path) && !stripsTypes()) await import(LOADER)
  const { default: exported } = await importFile(path)
  return { file, exported }
}

/**
 * Checks that a file is what it was when a run was made with it.
 *
 * @param what - What the file has, such as `task`.
 * @throws An error for a file that has changed since, or one that it imports.
 */
export async function checkCodeFile(file: CodeFile, what: 'task' | 'rule'): Promise<void> {
  const { path, sha256 } = file
  if ((await checksum(path)) !== sha256) throw new Error(`the ${what} file ${path} has changed since this run`)
  const [changed] = changedImports(file, { ...file, imports: await importedFiles(path) })
  if (changed !== undefined)
    throw new Error(`${changed}, which the ${what} file ${path} imports, has changed since this run`)
}

/** Which files that a file imports differ between two of its versions; none where one version does not know them. */
export function changedImports(one: CodeFile | undefined, other: CodeFile | undefined): string[] {
  if (one?.imports === undefined || other?.imports === undefined) return []
  const [before, now] = [one.imports, other.imports].map(
    imports => new Map(imports.map(({ path, sha256 }) => [path, sha256]))
  )
  const paths = new Set([...(before?.keys() ?? []), ...(now?.keys() ?? [])])
  return [...paths].filter(path => before?.get(path) !== now?.get(path))
}

/** Imports a file. The loader takes one without a package.json for CommonJS, and its error does not say so. */
async function importFile(path: string): Promise<{ readonly default?: unknown }> {
  try {
    return await import(pathToFileURL(resolve(path)).href)
  } catch (error) {
    if (!messageOf(error).includes('require() ES Module')) throw error
    const advice = 'give it the ending .mts, or put {"type": "module"} into the package.json beside it'
    throw new Error(`${path} is taken for CommonJS: ${advice}`, { cause: error })
  }
}

/** Node 22.18 and later. */
function stripsTypes(): boolean {
  return 'typescript' in process.features && process.features.typescript !== false
}
