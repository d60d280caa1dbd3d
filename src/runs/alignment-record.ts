import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type GradientAlignment, keyedAlignment } from '../analysis/alignment.js'
import type { Model } from '../model/model.js'
import { plasticNames } from '../network/names.js'
import type { CustomRule } from '../rule/custom-rule.js'
import type { Rule, RuleName } from '../rule/rule.js'
import { MdglError } from '../support/error.js'
import { codeOf } from '../support/recognise.js'
import { eventStream, makeBatch, type Task } from '../task/task.js'
import { appendLine } from './append-line.js'

/** The file in a run folder that holds the alignment along the run, a line for each recorded iteration. */
const ALIGNMENT_FILE = 'alignment.jsonl'

/** How the run's own gradient lay to BPTT's at one iteration. */
export interface AlignmentRecord {
  /** The iteration whose step the weights have behind them. */
  readonly iteration: number
  /** Over all plastic projections together. */
  readonly all: GradientAlignment
  /** Over each plastic projection. */
  readonly projections: { readonly [name: string]: GradientAlignment }
  /** That one of the two gradients, BPTT's as a rule, was infinite or not a number: every figure is null. */
  readonly notFinite?: true
}

/** What of a run its alignment depends on. */
export interface AlignedRun {
  readonly task: Task
  readonly rule: RuleName | Rule | CustomRule
  readonly seed: number
  readonly batchSize: number
  readonly threads?: number | undefined
}

/**
 * The alignment of the run's rule at the current weights, on the batch that validates this iteration, the same events
 * included. It changes nothing of the model.
 */
export async function alignmentRecord(model: Model, run: AlignedRun, iteration: number): Promise<AlignmentRecord> {
  const { task, rule, seed, batchSize, threads } = run
  const batch = await makeBatch(task, { seed, split: 'validation', iteration, size: batchSize })
  const key = { seed, stream: eventStream('validation'), iteration }
  const { loss, regulariser } = task
  try {
    const [found] = await keyedAlignment(model, batch, [rule], { loss, regulariser, threads }, key)
    if (found === undefined) throw new Error('a rule has no alignment; this is a bug in mdgl')
    return { iteration, all: found.all, projections: found.projections as AlignmentRecord['projections'] }
  } catch (error) {
    // BPTT's gradient may explode where the run's own rule trains on.
    if (error instanceof MdglError && error.code === 'not-finite') return notFinite(model, iteration)
    throw error
  }
}

function notFinite({ description }: Model, iteration: number): AlignmentRecord {
  const none = { cosine: null, angle: null, normRatio: null }
  const projections = Object.fromEntries(plasticNames(description).map(name => [name, none]))
  return { iteration, all: none, projections, notFinite: true }
}

/** Adds a line to a run folder's alignment. */
export async function appendAlignment(folder: string, record: AlignmentRecord): Promise<void> {
  await appendLine(join(folder, ALIGNMENT_FILE), record)
}

/** The alignment in a run folder; nothing where none was recorded. A last line that is not whole is left out. */
export async function readAlignment(folder: string): Promise<AlignmentRecord[]> {
  const file = join(folder, ALIGNMENT_FILE)
  const text = await readFile(file, 'utf8').catch(error => {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  })
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole.split('\n').flatMap((line, i) => (line === '' ? [] : [parse(line, `${file}:${i + 1}`)]))
}

function parse(line: string, place: string): AlignmentRecord {
  try {
    return JSON.parse(line) as AlignmentRecord
  } catch {
    throw new Error(`${place} is no line of an alignment`)
  }
}
