import { Resvg } from '@resvg/resvg-js'
import { FONT_FAMILY, fontFile } from './font.js'

const PIXELS_PER_UNIT = 2

/** An SVG document as a PNG picture. */
export function toPng(svg: string): Uint8Array {
  const picture = new Resvg(withGreek(svg), {
    fitTo: { mode: 'zoom', value: PIXELS_PER_UNIT },
    font: { fontFiles: [fontFile()], loadSystemFonts: false, defaultFontFamily: FONT_FAMILY }
  })
  return picture.render().asPng()
}

/** Beside Latin letters the font has another form of Γ, that of the African letter Ɣ; the Cyrillic Г has Γ's own. */
const withGreek = (svg: string) => svg.replaceAll('Γ', 'Г')
