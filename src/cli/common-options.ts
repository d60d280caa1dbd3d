import { INSTRUCTION_SETS } from '../bench/instruction-set.js'
import { MOST_THREADS } from '../engine/engine-session.js'
import { STYLE_NAMES } from '../plots/picture-style.js'
import { type RuleName, ruleNames } from '../rule/rule.js'
import { CODE_FILES } from '../runs/code-file.js'
import { choice, choiceListOrFiles, choiceOrFile, choiceOrJson, flag, whole } from './options.js'

// Options that several commands share.

/** --rule: one published learning rule. */
export const PUBLISHED_RULE = choice<RuleName>('NAME', 'learning rule (default mdgl)', ruleNames)
/** --rule: one learning rule, which may be the user's. */
export const RULE = choiceOrFile(
  'RULE',
  `learning rule, or ${CODE_FILES} with one of your own (default mdgl)`,
  ruleNames
)
/** --rules: several learning rules, which may be the user's. */
export const RULES = choiceListOrFiles(
  'LIST',
  'learning rules, or files (.ts, .mts, .js or .mjs) with your own, separated by commas (default bptt,eprop,mdgl)',
  ruleNames
)
/** --iterations of a training. */
export const ITERATIONS = whole('N', 'iterations to train', 1)
/** --batch-size of a training. */
export const BATCH_SIZE = whole('N', 'trials per batch', 1)
/** --validate-every of a training. */
export const VALIDATE_EVERY = whole('N', 'iterations between validations', 1)
/** --precision of a model. */
export const PRECISION = choice('P', 'float type (default f32)', ['f32', 'f64'])
/** --threads of the engine. */
export const THREADS = whole(
  'N',
  'threads of the engine (default: MDGL_THREADS, else one per core); results do not depend on it',
  1,
  MOST_THREADS
)
/** --simd: the instruction set of the engine. */
export const SIMD = choice('SET', 'instruction set (default: the best available)', INSTRUCTION_SETS)
/** --port of a page. */
export const PORT = whole('N', 'port of the page (default: the first free one from 8765 on)', 0, 65535)
/** --live and --port: a page that shows a run. */
export const LIVE = {
  live: flag(
    'show the run in a browser: curves, a trial, weights; pause, stop, change the learning rate and gains of channels'
  ),
  port: PORT
}
/** --json of a training. */
export const METRICS_AS_JSON = flag(
  'metrics as JSON lines on standard output instead of the progress bar, or of a line every ten seconds where standard error is no terminal'
)
/** --style of pictures for print. */
export const STYLE = choiceOrJson(
  'STYLE',
  'print size, font, line widths and colours (docs/guide/gallery.md), from a .json file or by name',
  STYLE_NAMES
)
