import { crc32 } from 'node:zlib'
import { Resvg, type ResvgRenderOptions } from '@resvg/resvg-js'
import { FONT_FAMILY, fontFile } from './font.js'
import { type PictureStyle, pixelsOf } from './picture-style.js'

const PIXELS_PER_UNIT = 2
const METRES_PER_INCH = 0.0254
/** A PNG begins with 8 bytes and its header chunk of 25. */
const AFTER_HEADER = 33

/** An SVG document as a PNG picture; with a style, in its resolution. */
export function toPng(svg: string, style?: PictureStyle): Uint8Array {
  const fitTo =
    style === undefined
      ? ({ mode: 'zoom', value: PIXELS_PER_UNIT } as const)
      : ({ mode: 'width', value: pixelsOf(style) } as const)
  const png = new Resvg(withGreek(svg), { fitTo, font: fontsOf(style) }).render().asPng()
  return style === undefined ? png : withResolution(png, style.resolution)
}

/** An SVG document whose text is outlines, which look the same without the font. */
export function toOutlines(svg: string, style: PictureStyle): string {
  const [root = ''] = /^<svg [^>]*>/.exec(svg) ?? []
  const drawn = new Resvg(withGreek(svg), { font: fontsOf(style) }).toString()
  // What writes the outlines has a size in pixels; that of the page is the style's.
  return drawn.replace(/<svg [^>]*>/, found =>
    ['width', 'height'].reduce((tag, name) => {
      const size = new RegExp(` ${name}="[^"]*"`)
      return tag.replace(size, size.exec(root)?.[0] ?? '')
    }, found)
  )
}

/** The font of all pictures alone, so that they are the same everywhere; another one is the machine's. */
function fontsOf(style?: PictureStyle): NonNullable<ResvgRenderOptions['font']> {
  const loadSystemFonts = style !== undefined && style.font !== FONT_FAMILY
  return { fontFiles: [fontFile()], loadSystemFonts, defaultFontFamily: FONT_FAMILY }
}

/** Adds the chunk that tells how large a pixel is. */
function withResolution(png: Uint8Array, resolution: number): Uint8Array {
  const chunk = Buffer.alloc(21)
  chunk.writeUInt32BE(9, 0)
  chunk.write('pHYs', 4, 'latin1')
  const perMetre = Math.round(resolution / METRES_PER_INCH)
  chunk.writeUInt32BE(perMetre, 8)
  chunk.writeUInt32BE(perMetre, 12)
  chunk.writeUInt8(1, 16)
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 17)), 17)
  return Buffer.concat([png.subarray(0, AFTER_HEADER), chunk, png.subarray(AFTER_HEADER)])
}

/** Beside Latin letters the font has another form of Γ, that of the African letter Ɣ; the Cyrillic Г has Γ's own. */
const withGreek = (svg: string) => svg.replaceAll('Γ', 'Г')
