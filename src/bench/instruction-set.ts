import { native } from '../addon/native.js'

/** The names `MDGL_SIMD` knows. */
export const INSTRUCTION_SETS: readonly string[] = native.instructionSets()

/** Makes the engine use an instruction set; it must not have computed anything yet. */
export function chooseInstructionSet(name: string): void {
  process.env.MDGL_SIMD = name
}

/** The instruction set in use. */
export function instructionSet(): string {
  return native.instructionSet()
}
