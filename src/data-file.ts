/**
 * A file of `data/`. Only modules of this folder may say where they stand: the build joins those of the library into one
 * (`scripts/lib/join-library.mjs`), which stands here too.
 */
export function dataFile(name: string): URL {
  return new URL(`./data/${name}`, import.meta.url)
}
