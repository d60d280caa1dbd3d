import type { RuleName } from '../rule/rule.js'

/** A rule's name in pictures, and its colour there. */
export interface RuleStyle {
  readonly label: string
  readonly colour: string
}

/**
 * What a rule is called, and its colour: Okabe and Ito's set, which colour-blind people can tell apart. Its yellow does
 * not show on white: On-MDGL (online) has a violet of ours, and the rules after it have darker tones. */
const RULE_STYLES: Readonly<Record<RuleName, RuleStyle>> = {
  bptt: { label: 'BPTT', colour: '#0072B2' },
  eprop: { label: 'e-prop', colour: '#D55E00' },
  mdgl: { label: 'MDGL', colour: '#009E73' },
  'mdgl-cell': { label: 'MDGL, cell-specific', colour: '#CC79A7' },
  'nl-mdgl': { label: 'NL-MDGL', colour: '#E69F00' },
  'on-mdgl': { label: 'On-MDGL', colour: '#56B4E9' },
  'eprop-online': { label: 'e-prop (online)', colour: '#999999' },
  'mdgl-online': { label: 'MDGL (online)', colour: '#000000' },
  'on-mdgl-online': { label: 'On-MDGL (online)', colour: '#5D3A9B' },
  'mdgl-membrane': { label: 'MDGL, membrane kernel', colour: '#6A3D00' },
  'mdgl-membrane-online': { label: 'MDGL, membrane kernel (online)', colour: '#444466' },
  'mdgl-above': { label: 'MDGL, membrane kernel, strong synapses', colour: '#B07AA1' },
  'mdgl-membrane-2': { label: 'MDGL, membrane kernel, two hops', colour: '#9A5F00' },
  'mdgl-membrane-3': { label: 'MDGL, membrane kernel, three hops', colour: '#004B3C' },
  'mdgl-exact': { label: 'MDGL, exact kernel', colour: '#882255' },
  'hops-2': { label: 'Two hops', colour: '#332288' },
  'hops-3': { label: 'Three hops', colour: '#117733' },
  modprop: { label: 'ModProp', colour: '#A05195' },
  'eprop-random': { label: 'e-prop, random feedback', colour: '#AA4499' },
  'eprop-adaptive': { label: 'e-prop, adaptive feedback', colour: '#5F8700' },
  'eprop-diffusive': { label: 'e-prop, diffusing errors', colour: '#6699CC' },
  'eprop-diffusive-online': { label: 'e-prop, diffusing errors (online)', colour: '#335566' },
  rflo: { label: 'RFLO', colour: '#661100' },
  rtrl: { label: 'RTRL', colour: '#004D7A' },
  snap1: { label: 'SnAp-1', colour: '#8C3F00' },
  uoro: { label: 'UORO', colour: '#7F7F00' },
  'kf-rtrl': { label: 'KF-RTRL', colour: '#00665A' }
}

/** The colour of each published rule in pictures. */
export const RULE_COLOURS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(RULE_STYLES).map(([name, { colour }]) => [name, colour])
)

/** Colours of rules from files, in the order in which the process first draws them. */
const FURTHER_COLOURS = ['#B0004E', '#7B3FC4', '#7A4B00', '#3B5360', '#6B7A00', '#D81B7A']
const further = new Map<string, RuleStyle>()

/** A rule's name and colour in pictures and on the page, the same at every call. */
export function ruleStyle(rule: string): RuleStyle {
  if (Object.hasOwn(RULE_STYLES, rule)) return RULE_STYLES[rule as RuleName]
  const colour = FURTHER_COLOURS[further.size % FURTHER_COLOURS.length] ?? '#777777'
  const style = further.get(rule) ?? { label: rule, colour }
  further.set(rule, style)
  return style
}
