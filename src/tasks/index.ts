/**
 * The built-in tasks with their networks, and what tasks of your own may take from them.
 *
 * @module mdgl/tasks
 */
export { delayedMatch, type MatchNames, type MatchOptions } from './delayed-match.js'
export { delayedXor, type XorNames, type XorOptions } from './delayed-xor.js'
export {
  type EvidenceNames,
  type EvidenceOptions,
  evidenceAccumulation
} from './evidence-accumulation.js'
export { type FunctionalType, functionalTypes, type WithFunctionalTypes } from './functional-types.js'
export type { LocalNames } from './local-connections.js'
export { normalisedError } from './normalised-error.js'
export {
  type PatternNames,
  type PatternOptions,
  type PatternVariant,
  patternGeneration
} from './pattern-generation.js'
export type { CellNames, PresetContext, PresetTask } from './preset-task.js'
export { type DigitsNames, type DigitsOptions, sequentialDigits } from './sequential-digits.js'
export {
  type ByteArray,
  type LabelledImages,
  type MnistMode,
  type MnistNames,
  type MnistOptions,
  sequentialMnist
} from './sequential-mnist.js'
export { type StoreRecallNames, type StoreRecallOptions, storeRecall } from './store-recall.js'
export { type SinesOptions, sumOfSines } from './sum-of-sines.js'
