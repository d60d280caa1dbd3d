import { RULE_COLOURS } from '../compare/labels.js'
import { array, finite, isObject, object, oneOf, record } from '../support/check.js'
import { invalid } from '../support/error.js'
import { COLOUR_LISTS, type ColourList } from './colours.js'
import { FONT_FAMILY, FONT_SIZE } from './font.js'

/** How a picture is printed. */
export interface PictureStyle {
  /** Width in mm. */
  readonly width: number
  /** Font families in order of preference, separated by commas. */
  readonly font: string
  /** Size of text in pt. */
  readonly fontSize: number
  /** Width of a curve in pt; thinner lines follow in proportion. */
  readonly lineWidth: number
  /** Whether an SVG has text in a font, which can be edited, or its outlines, which need no font. */
  readonly text: (typeof TEXTS)[number]
  /** Dots per inch of a PNG. */
  readonly resolution: number
  /** The built-in colours that are replaced, and by which. */
  readonly colours: ReadonlyMap<string, string>
}

const TEXTS = ['font', 'outlines'] as const
const SANS = 'Arial, Helvetica'
const DEFAULTS: PictureStyle = {
  width: 89,
  font: FONT_FAMILY,
  fontSize: 7,
  lineWidth: 1,
  text: 'font',
  resolution: 600,
  colours: new Map()
}

/** Styles by name: one column and the full width of a page, in the sizes of each journal's instructions for authors. */
const STYLES = {
  'nature-column': { ...DEFAULTS, font: SANS },
  'nature-page': { ...DEFAULTS, font: SANS, width: 183 },
  'cell-column': { ...DEFAULTS, font: SANS, width: 85 },
  'cell-page': { ...DEFAULTS, font: SANS, width: 174 },
  'pnas-column': { ...DEFAULTS, font: SANS, width: 87 },
  'pnas-page': { ...DEFAULTS, font: SANS, width: 178 }
} as const satisfies Record<string, PictureStyle>

/** The names of the styles. */
export const STYLE_NAMES = Object.keys(STYLES) as (keyof typeof STYLES)[]

const POINTS_PER_MM = 72 / 25.4
/** Width of a curve in the pictures' own units. */
const CURVE = 2.2
/** The thinnest line that prints, in pt. */
const HAIRLINE = 0.25
/** Below this width, in the pictures' own units, an axis has no room beside its names. */
const LEAST_WIDTH = 320
const KEYS = ['base', 'width', 'font', 'fontSize', 'lineWidth', 'text', 'resolution', 'colours'] as const

/** A style by its name. */
export function namedStyle(name: string): PictureStyle {
  return STYLES[oneOf(name, 'style', STYLE_NAMES) as keyof typeof STYLES]
}

/** A style from a file's object: `base` names the style that it changes; what is left out is as in `nature-column`, in the font of all pictures. */
export function styleOf(value: unknown): PictureStyle {
  object(value, 'style')
  const given = record(value as Partial<Record<(typeof KEYS)[number], unknown>>, 'style', KEYS)
  const base = given.base === undefined ? DEFAULTS : STYLES[oneOf(given.base, 'style.base', STYLE_NAMES) as 'cell-page']
  const style: PictureStyle = {
    width: within(given.width ?? base.width, 'style.width', 20, 500, 'mm'),
    font: family(given.font ?? base.font),
    fontSize: within(given.fontSize ?? base.fontSize, 'style.fontSize', 3, 40, 'pt'),
    lineWidth: within(given.lineWidth ?? base.lineWidth, 'style.lineWidth', HAIRLINE, 10, 'pt'),
    text: oneOf(given.text ?? base.text, 'style.text', TEXTS) as PictureStyle['text'],
    resolution: within(given.resolution ?? base.resolution, 'style.resolution', 72, 2400, 'dots per inch'),
    colours: given.colours === undefined ? base.colours : coloursOf(given.colours)
  }
  if (layoutWidth(style) < LEAST_WIDTH) {
    const most = (style.width * POINTS_PER_MM * FONT_SIZE) / LEAST_WIDTH
    throw invalid(
      'style.fontSize',
      style.fontSize,
      `at most ${most.toFixed(1)} pt where the width is ${style.width} mm`
    )
  }
  return style
}

function within(value: unknown, path: string, least: number, most: number, unit: string): number {
  const number = finite(value, path)
  if (number < least || number > most) throw invalid(path, number, `from ${least} to ${most} ${unit}`)
  return number
}

function family(value: unknown): string {
  if (typeof value === 'string' && /^[\p{L}\d][\p{L}\d -]*(, ?[\p{L}\d][\p{L}\d -]*)*$/u.test(value)) return value
  throw invalid('style.font', value, "font families separated by commas, such as 'Arial, Helvetica'")
}

/** Replacements of colours: lists replace the built-in ones in their order, and rules have one each. */
function coloursOf(value: unknown): ReadonlyMap<string, string> {
  const lists = Object.keys(COLOUR_LISTS) as ColourList[]
  object(value, 'style.colours')
  const given = record(value as Record<string, unknown>, 'style.colours', [...lists, 'rules'])
  const replaced = new Map<string, string>()
  for (const name of lists) {
    if (given[name] === undefined) continue
    const path = `style.colours.${name}`
    const own = array(given[name] as unknown[], path)
    const built = COLOUR_LISTS[name]
    if (own.length > built.length) throw invalid(`${path}.length`, own.length, `at most ${built.length}`)
    for (const [i, each] of own.entries()) replaced.set(built[i] ?? '', colour(each, `${path}[${i}]`))
  }
  if (given.rules === undefined) return replaced
  const names = Object.keys(RULE_COLOURS)
  if (!isObject(given.rules)) throw invalid('style.colours.rules', given.rules, 'an object with a colour per rule')
  const rules = record(given.rules as Record<string, unknown>, 'style.colours.rules', names)
  for (const [name, each] of Object.entries(rules))
    replaced.set(RULE_COLOURS[name] ?? '', colour(each, `style.colours.rules.${name}`))
  return replaced
}

function colour(value: unknown, path: string): string {
  if (typeof value === 'string' && /^#[\da-f]{6}$/i.test(value)) return value
  throw invalid(path, value, "a colour as '#RRGGBB'")
}

/** The width in which a picture is laid out, so that its text has the style's size when it is printed. */
export const layoutWidth = ({ width, fontSize }: PictureStyle): number =>
  Math.round((width * POINTS_PER_MM * FONT_SIZE) / fontSize)

/** A picture as an SVG document of the style's print size, font, line widths and colours; text stays text. */
export function styled(svg: string, style: PictureStyle): string {
  const root = /^<svg [^>]*>/.exec(svg)?.[0] ?? ''
  const [width, height] = [sizeOf(root, 'width'), sizeOf(root, 'height')]
  const pointsPerUnit = (style.width * POINTS_PER_MM) / width
  const factor = style.lineWidth / (CURVE * pointsPerUnit)
  const box = root.includes('viewBox=') ? '' : ` viewBox="0 0 ${width} ${height}"`
  const printed = root
    .replace(/ width="[^"]*"/, ` width="${style.width}mm"`)
    .replace(/ height="[^"]*"/, ` height="${((style.width * height) / width).toFixed(2)}mm"`)
    .replace(/>$/, `${box}>`)
  return `${printed}${svg.slice(root.length)}`
    .replaceAll(`'${FONT_FAMILY}'`, families(style.font))
    .replaceAll(/<[^>]* stroke-width="[^>]*>/g, tag => (tag.includes('paint-order') ? tag : scaleStroke(tag)))
    .replaceAll(/#[\da-f]{6}\b/gi, found => style.colours.get(found.toUpperCase()) ?? found)

  function scaleStroke(tag: string): string {
    return tag.replace(/ stroke-width="([\d.]+)"/, (_, units: string) => {
      const scaled = Math.max(Number(units) * factor, HAIRLINE / pointsPerUnit)
      return ` stroke-width="${Number(scaled.toPrecision(4))}"`
    })
  }
}

const sizeOf = (root: string, name: string) => Number(new RegExp(` ${name}="([\\d.]+)"`).exec(root)?.[1])

const families = (font: string) =>
  font
    .split(',')
    .map(each => `'${each.trim()}'`)
    .join(', ')

/** Pixels of a PNG's width in the style's resolution. */
export const pixelsOf = ({ width, resolution }: PictureStyle): number => Math.round((width / 25.4) * resolution)
