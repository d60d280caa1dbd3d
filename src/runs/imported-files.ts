import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { codeOf } from '../support/recognise.js'

/** A file that another imports: its path from there, and the SHA-256 of its content. */
export interface ImportedFile {
  readonly path: string
  readonly sha256: string
}

/** Where the name of a file stands that is imported: after `from`, `import` or `require(`, or in a `new URL(…, import.meta.url)`. */
const NAMED = /(?:\bfrom|\bimport|\brequire\s*\(|\bimport\s*\(|\bnew URL\s*\()\s*(['"])(\.{1,2}\/[^'"\n]+)\1/g
/** Endings that a name may lack, or stand for another. */
const ENDINGS = ['', '.ts', '.mts', '.js', '.mjs', '.cjs', '.json', '/index.ts', '/index.js']

/**
 * The files that a file imports by a path of its own, directly or through others; packages are not followed. Sorted by path, in the form
 * that Unix has.
 */
export async function importedFiles(path: string): Promise<ImportedFile[]> {
  const first = resolve(path)
  const found = new Map<string, ImportedFile>()
  const waiting = [first]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const text = await readFile(file, 'utf8')
    for (const [, , name = ''] of text.matchAll(NAMED)) {
      const target = await existing(resolve(dirname(file), name))
      if (target === undefined || target === first || found.has(target) || isPackage(target)) continue
      const shown = relative(dirname(first), target).split(sep).join('/')
      found.set(target, { path: shown, sha256: await checksum(target) })
      if (/\.[cm]?[jt]s$/.test(target)) waiting.push(target)
    }
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

const isPackage = (path: string) => path.includes(`${sep}node_modules${sep}`)

/** The SHA-256 of a file. */
export async function checksum(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}

/** The file that a name stands for: TypeScript's `./a.js` may be `a.ts`. */
async function existing(path: string): Promise<string | undefined> {
  const stem = path.replace(/\.([cm]?)js$/, '.$1ts')
  for (const candidate of [path, stem, ...ENDINGS.slice(1).map(ending => join(path + ending))]) {
    const isFile = await readFile(candidate).then(
      () => true,
      error => {
        if (['ENOENT', 'EISDIR', 'ENOTDIR'].includes(codeOf(error) ?? '')) return false
        throw error
      }
    )
    if (isFile) return candidate
  }
  return undefined
}
