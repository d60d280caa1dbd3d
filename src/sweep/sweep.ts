import { basename, dirname, extname, join } from 'node:path'
import type { ComparedRun } from '../compare/runs.js'
import type { RuleName } from '../rule/rule.js'
import { invalid, MdglError } from '../support/error.js'
import { axesOf, axisName, type Combination, combinationsOf } from './combinations.js'
import { readPlan, type SweepPlan } from './plan.js'

/** One run of a sweep. */
export interface SweepItem {
  /** From 0: the index in a Slurm job array. */
  readonly index: number
  readonly combination: Combination
  readonly rule: RuleName
  readonly seed: number
  /** Rule, seed and values on the axes. */
  readonly label: string
}

/** A plan, and the runs that it stands for. */
export interface Sweep {
  /** The plan's name: that of its file without the ending. */
  readonly name: string
  /** The names of its axes. */
  readonly axes: readonly string[]
  readonly combinations: readonly Combination[]
  /** By combination, then rule, then seed: the seed changes fastest. */
  readonly items: readonly SweepItem[]
}

const MOST_ITEMS = 100_000

/**
 * Reads a plan and spells out its items.
 *
 * @throws {@link MdglError} `'file'` or `'invalid'`, which name the file and the place in it.
 */
export async function loadSweep(path: string): Promise<Sweep> {
  try {
    const plan = await readPlan(path)
    checkCount(plan)
    const axes = axesOf(plan).map(axisName)
    const combinations = await combinationsOf(plan, dirname(path))
    return { name: basename(path, extname(path)), axes, combinations, items: itemsOf(plan, axes, combinations) }
  } catch (error) {
    if (!(error instanceof MdglError)) throw error
    const { code, message, path: place, value, allowed, cause } = error
    throw new MdglError({ code, message: `${path}: ${message}`, path: place, value, allowed, cause })
  }
}

function checkCount({ rules, seeds, choices }: SweepPlan): void {
  const count = choices.reduce((product, { values }) => product * values.length, rules.length * seeds.length)
  if (count > MOST_ITEMS) throw invalid('the number of items', count, `at most ${MOST_ITEMS}`)
}

function itemsOf(
  { rules, seeds }: SweepPlan,
  axes: readonly string[],
  combinations: readonly Combination[]
): SweepItem[] {
  const combined = combinations.flatMap(combination =>
    rules.flatMap(rule => seeds.map(seed => ({ combination, rule, seed })))
  )
  return combined.map((item, index) => {
    const values = item.combination.values.map((value, i) => `${axes[i]} ${value}`)
    return { index, ...item, label: [item.rule, `seed ${item.seed}`, ...values].join(', ') }
  })
}

/** All that an item's run is made of. */
export function runOf({ combination, rule, seed }: SweepItem, threads: number, signal?: AbortSignal): ComparedRun {
  return { ...combination.options, rule, seed, threads, signal }
}

/** The folder in which an item's run has its own: that of `mdgl compare`, one for each combination. */
export const combinationFolder = (out: string, { folder }: Combination): string => join(out, folder)
