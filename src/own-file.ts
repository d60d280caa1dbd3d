/**
 * A file of the package, by its path beside this module. Only modules of this folder may say where they stand: the build
 * joins those of the library into one (`scripts/lib/join-library.mjs`), which stands here too.
 */
export function ownFile(path: string): URL {
  return new URL(`./${path}`, import.meta.url)
}
