import { fileURLToPath } from 'node:url'

// Files that the command line needs besides its modules; as in `support/own-file.ts`, only modules one folder below `src` may say
// where they stand. The command line is packed apart from the library (`scripts/package/split.mjs`).

/** The curves of Fig. 3C that were published with the paper's code. */
export const publishedCurvesFile = (): URL => new URL('../data/fig3c-published.json', import.meta.url)

/** The command line, for a process of its own. */
export const commandFile = (): string => fileURLToPath(new URL('../cli/main.js', import.meta.url))
