import type { RuleName } from '../rule.js'

/**
 * What a rule is called, and its colour: Okabe and Ito's set, which colour-blind people can tell apart; the last one's
 * yellow does not show on white and is a violet of ours. */
export const RULE_STYLES: Readonly<Record<RuleName, { readonly label: string; readonly colour: string }>> = {
  bptt: { label: 'BPTT', colour: '#0072B2' },
  eprop: { label: 'e-prop', colour: '#D55E00' },
  mdgl: { label: 'MDGL', colour: '#009E73' },
  'mdgl-cell': { label: 'MDGL, cell-specific', colour: '#CC79A7' },
  'nl-mdgl': { label: 'NL-MDGL', colour: '#E69F00' },
  'on-mdgl': { label: 'On-MDGL', colour: '#56B4E9' },
  'eprop-online': { label: 'e-prop (online)', colour: '#999999' },
  'mdgl-online': { label: 'MDGL (online)', colour: '#000000' },
  'on-mdgl-online': { label: 'On-MDGL (online)', colour: '#5D3A9B' }
}
