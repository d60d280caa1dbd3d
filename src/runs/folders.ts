import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The run folders at and below a folder, three levels deep. */
export async function runFolders(root: string, depth = 3): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => [])
  if (entries.some(({ name }) => name === 'config.json')) return [root]
  if (depth === 0) return []
  const folders = entries.filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
  const found = await Promise.all(folders.map(({ name }) => runFolders(join(root, name), depth - 1)))
  return found.flat().sort()
}
