import type { CellSign } from '../analysis/cell-signs.js'

/** A light ground, as of printed pictures, or a dark one. */
export type Ground = 'light' | 'dark'

type Shades = readonly [string, ...string[]]

/**
 * Colours of cells: warm ones excite, cool ones inhibit, greys are bound to neither sign. Types of one sign differ in
 * shade. Rules have colours of their own (`compare/labels.ts`), none of which is among the first shades here.
 */
const CELLS: Readonly<Record<Ground, Readonly<Record<CellSign, Shades>>>> = {
  light: {
    excitatory: ['#B3123F', '#DB4F94', '#7A2E0E', '#F0707F'],
    inhibitory: ['#3A4FC4', '#8A6FE8', '#16226E', '#5E81AC'],
    either: ['#5C5566', '#9A8C98', '#3A3340', '#807070']
  },
  dark: {
    excitatory: ['#FF6B8E', '#FF9ED2', '#E08A5B', '#FFB3BF'],
    inhibitory: ['#8EA2FF', '#C0B0FF', '#6D86E0', '#9CC2E5'],
    either: ['#BDB4C7', '#948B9C', '#DCD6E2', '#A89A9A']
  }
}

const READOUTS: Readonly<Record<Ground, Shades>> = {
  light: ['#8A6D00', '#37606E', '#4E7A27', '#A0522D', '#6B4E9B', '#7B7B7B', '#00695C', '#B0506E', '#5D5A1F', '#303030'],
  dark: ['#E3C04D', '#8FC1D4', '#9CCB6E', '#E09A6B', '#B79BE8', '#B5B5B5', '#5FB8A8', '#EA9AB2', '#C9C37A', '#E8E8E8']
}

const LIGANDS: Readonly<Record<Ground, Shades>> = {
  light: ['#00897B', '#B86E00', '#5A7D00', '#7B5E57'],
  dark: ['#4DD0C0', '#F0B050', '#B4D455', '#C0A59E']
}

const at = (shades: Shades, place: number): string => shades[place % shades.length] ?? shades[0]

/** The colours of light pictures by what they mean, in the order in which they are taken. */
export const COLOUR_LISTS = { ...CELLS.light, readouts: READOUTS.light, ligands: LIGANDS.light }
/** What a list of colours is of. */
export type ColourList = keyof typeof COLOUR_LISTS

/** The colour of a sign: of synapses, and of the first type that has it. */
export const signColour = (sign: CellSign, ground: Ground = 'light'): string => CELLS[ground][sign][0]

/** The colour of each type, in the types' order. */
export function cellColours(types: readonly { readonly sign: CellSign }[], ground: Ground = 'light'): string[] {
  const seen = { excitatory: 0, inhibitory: 0, either: 0 }
  return types.map(({ sign }) => {
    const place = seen[sign]
    seen[sign] += 1
    return at(CELLS[ground][sign], place)
  })
}

/** The colour of a readout's unit, by its place. */
export const readoutColour = (place: number, ground: Ground = 'light'): string => at(READOUTS[ground], place)

/** The colour of a ligand, by its place. */
export const ligandColour = (place: number, ground: Ground = 'light'): string => at(LIGANDS[ground], place)
