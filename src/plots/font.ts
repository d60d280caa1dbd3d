import { createRequire } from 'node:module'

/** The font of all pictures; it comes with the package, so that they have text on every machine. */
export const FONT_FAMILY = 'Source Sans 3'

/** The size of the pictures' text, in their own units. */
export const FONT_SIZE = 14

/** The font's file. */
export function fontFile(): string {
  const { resolve } = createRequire(import.meta.url)
  return resolve('@expo-google-fonts/source-sans-3/400Regular/SourceSans3_400Regular.ttf')
}
