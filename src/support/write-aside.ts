import { fsync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isError } from './recognise.js'

/** Writes a file completely or not at all: aside, flushed to the disk, then renamed. */
export async function writeAside(path: string | URL, bytes: Uint8Array): Promise<void> {
  const target = typeof path === 'string' ? path : fileURLToPath(path.href)
  // The global, which Node loads when it is first used: `import 'mdgl'` does not wait for all of node:crypto.
  const aside = `${target}.${crypto.randomUUID()}.tmp`
  try {
    const file = await open(aside, 'wx')
    try {
      await file.writeFile(bytes)
      // By its descriptor: `sync` of the files that Yarn's Plug'n'Play opens is not implemented.
      await promisify(fsync)(file.fd)
    } finally {
      await file.close()
    }
    await rename(aside, target)
  } catch (error) {
    await rm(aside, { force: true })
    throw nameTarget(error, aside, target)
  }
}

/** The caller knows nothing of the name the file has meanwhile. */
function nameTarget(error: unknown, aside: string, target: string): unknown {
  if (!isError(error)) return error
  error.message = error.message.replaceAll(aside, target)
  return Object.assign(error, { path: target })
}
