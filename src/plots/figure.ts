import { type PlotOptions, plot } from '@observablehq/plot'
// In one file, which loads in a third of the time.
import { parseHTML } from 'linkedom/worker'
import { FONT_FAMILY, FONT_SIZE } from './font.js'

/**
 * A figure as an SVG document: black on white, in the font of all pictures (a background of its own, since what draws PNG knows no style). `more` is SVG of one's own, drawn over it in the
 * figure's coordinates.
 */
export function figure(options: PlotOptions, more = ''): string {
  const svg = drawn(options)
  return svg
    .replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace('>', '><rect width="100%" height="100%" fill="white"/>')
    .replace(/<\/svg>\s*$/, `${more}</svg>\n`)
}

/** The same as part of another document. */
export function drawn(options: PlotOptions): string {
  const { document } = parseHTML('<html><body></body></html>')
  const style = {
    fontFamily: `'${FONT_FAMILY}', sans-serif`,
    fontSize: `${FONT_SIZE}px`,
    background: 'white',
    color: 'black'
  }
  const { outerHTML } = plot({ document, style, ...options })
  // The marks' own labels are for a picture that is read mark by mark; ours is one thing.
  return outerHTML.replaceAll(/(<g[^>]*?) aria-label="[^"]*"/g, '$1')
}
