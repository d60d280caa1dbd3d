import { oneArgument } from './options.js'

/** The one run folder that a command names. */
export const folderArgument = (rest: readonly string[]): string => oneArgument(rest, 'a run folder is missing')
