import { type RuleStyle, ruleStyle } from '../../compare/labels.js'

/** A rule's name and colour, those of the printed pictures; black ones are the ink's. */
export function ofRule(rule: string): RuleStyle {
  const style = ruleStyle(rule)
  return style.colour === '#000000' ? { ...style, colour: ink() } : style
}

/** A colour of the style sheet as it is now: it differs in dark and light. */
export const ink = (name: 'ink' | 'quiet' | 'line' | 'panel' = 'ink'): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

/** The system's wish for a dark page. */
export const darkScheme = matchMedia('(prefers-color-scheme: dark)')

/** A colour with an opacity, as two more digits. */
export const faint = (colour: string, opacity: '18' | '30' | '80' = '30'): string => `${colour}${opacity}`
