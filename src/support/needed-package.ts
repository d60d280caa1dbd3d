import { readFileSync } from 'node:fs'
import { MdglError } from './error.js'

const NOT_FOUND = /^Cannot find (?:package|module) '((?:@[^/']+\/)?[^/']+)[^']*'/

/**
 * Loads a package that only some functions need.
 *
 * @throws {@link MdglError} `'platform'` with its name and how to install it, where it is not there.
 */
export async function needed<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    throw missingPackage(error) ?? error
  }
}

/** What to say of an error that means that one of mdgl's own dependencies is not installed; nothing of any other error. */
export function missingPackage(error: unknown): MdglError | undefined {
  const { code, message = '' } = (error ?? {}) as { readonly code?: unknown; readonly message?: string }
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return undefined
  const [, name = ''] = NOT_FOUND.exec(message) ?? []
  const wanted = dependencies()
  if (!Object.hasOwn(wanted, name)) return undefined
  const text = `The package ${name}, which this needs, is not installed: \`npm install ${name}@${wanted[name]}\`.`
  return new MdglError({ code: 'platform', message: text, cause: error })
}

function dependencies(): Readonly<Record<string, string>> {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies }
}
