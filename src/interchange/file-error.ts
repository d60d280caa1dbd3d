import { MdglError } from '../error.js'

/** What is wrong with a file that is damaged or of another format. */
export function badFile(path: string | URL, reason: string, cause?: unknown): MdglError {
  return new MdglError({ code: 'file', message: `${path}: ${reason}.`, path: String(path), cause })
}
