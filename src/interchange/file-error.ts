import { open, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { MdglError } from '../support/error.js'
import { filePath } from '../support/file-path.js'

/** What is wrong with a file that is damaged or of another format. */
export function badFile(path: string | URL, reason: string, cause?: unknown): MdglError {
  return new MdglError({ code: 'file', message: `${path}: ${reason}.`, path: String(path), cause })
}

/**
 * The full path of a file that can be read.
 *
 * @throws The system's own error for one that cannot; {@link MdglError} `'file'` for a folder or a device.
 */
export async function readableFile(path: string | URL): Promise<string> {
  const full = resolve(filePath(path))
  if (!(await stat(full)).isFile()) throw badFile(full, 'is no regular file')
  await (await open(full)).close()
  return full
}
