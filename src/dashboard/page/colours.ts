import { RULE_STYLES } from '../../compare/labels.js'

/** Okabe and Ito's colours, which colour-blind people can tell apart on light and on dark ground. */
const TYPES = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'] as const

/** The colour of a cell type, a readout unit or a projection by its place. */
export const ofPlace = (place: number): string => TYPES[place % TYPES.length] ?? TYPES[0]

/** A rule's name and colour, those of the printed pictures; black ones are the ink's. */
export function ofRule(rule: string): { readonly label: string; readonly colour: string } {
  const style = Object.hasOwn(RULE_STYLES, rule) ? RULE_STYLES[rule as keyof typeof RULE_STYLES] : undefined
  if (style === undefined) return { label: rule, colour: TYPES[0] }
  return style.colour === '#000000' ? { ...style, colour: ink() } : style
}

/** A colour of the style sheet as it is now: it differs in dark and light. */
export const ink = (name: 'ink' | 'quiet' | 'line' | 'panel' = 'ink'): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

/** A colour with an opacity, as two more digits. */
export const faint = (colour: string): string => `${colour}30`
