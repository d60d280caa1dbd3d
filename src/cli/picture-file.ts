import { readFile, writeFile } from 'node:fs/promises'
import { layoutWidth, namedStyle, type PictureStyle, styled, styleOf } from '../plots/picture-style.js'
import { messageOf } from '../support/recognise.js'
import { UsageError } from './options.js'

/** The style of --style: by its name, or from a .json file. */
export async function readStyle(given: string | undefined): Promise<PictureStyle | undefined> {
  if (given === undefined) return undefined
  if (!given.endsWith('.json')) return namedStyle(given)
  const text = await readFile(given, 'utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${given} is no JSON (${messageOf(error)})`)
  }
  return styleOf(value)
}

/** The width in which a picture is laid out for a style; without one, the picture's own. */
export const widthFor = (style: PictureStyle | undefined): number | undefined =>
  style === undefined ? undefined : layoutWidth(style)

/** Writes a picture as SVG or, by the ending of its name, as PNG, in a style where one is given. */
export async function writePicture(path: string, svg: string, style?: PictureStyle): Promise<void> {
  const printed = style === undefined ? svg : styled(svg, style)
  const outlines = style?.text === 'outlines'
  if (!path.endsWith('.png') && !outlines) return await writeFile(path, printed)
  // What draws dots and outlines is slow to load.
  const { toOutlines, toPng } = await import('../plots/png.js')
  if (path.endsWith('.png')) return await writeFile(path, toPng(printed, style))
  if (style !== undefined) await writeFile(path, toOutlines(printed, style))
}
