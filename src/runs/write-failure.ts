import { codeOf, messageOf } from '../support/recognise.js'

/** What to do about a write that failed, by the system's code. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room',
  EDQUOT: 'the quota is used up: make room',
  EFBIG: 'the file would be larger than the system allows: raise the limit',
  EROFS: 'the folder is read-only: choose another',
  EACCES: 'there is no permission to write there: choose another folder, or change who may',
  EPERM: 'there is no permission to write there: choose another folder, or change who may',
  ENOTDIR: 'a part of its path is a file: choose another folder',
  EEXIST: 'a file of that name is in the way: choose another folder',
  ENOENT: 'its folder is not there (any more)',
  EIO: 'the disk failed'
}

/** Says which file could not be written, why, and what to do; any other error stays what it is. */
export function writeFailure(error: unknown, path: string, more = ''): unknown {
  const code = codeOf(error)
  const advice = code === undefined ? undefined : ADVICE[code]
  if (advice === undefined) return error
  return new Error(`${path} cannot be written: ${advice}${more} (${messageOf(error)})`, { cause: error })
}
