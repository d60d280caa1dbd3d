import { basename, dirname, extname, join } from 'node:path'
import { runPath } from '../compare/runs.js'
import type { ChosenRule } from '../runs/rule-file.js'
import { ruleLabel, sameName } from '../runs/rule-label.js'
import type { RunSettings } from '../runs/train-run.js'
import { invalid, MdglError } from '../support/error.js'
import { axesOf, axisName, type Combination, combinationsOf, ruleOf } from './combinations.js'
import { readPlan, type SweepPlan } from './plan.js'

/** One run of a sweep. */
export interface SweepItem {
  /** From 0: the index in a Slurm job array. */
  readonly index: number
  readonly combination: Combination
  /** Its rule's name. */
  readonly rule: string
  readonly chosen: ChosenRule
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
    const rules = await chosenRules(plan, dirname(path))
    const combinations = await combinationsOf(plan, rules, dirname(path))
    return { name: basename(path, extname(path)), axes, combinations, items: itemsOf(plan, rules, axes, combinations) }
  } catch (error) {
    if (!(error instanceof MdglError)) throw error
    const { code, message, path: place, value, allowed, cause } = error
    throw new MdglError({ code, message: `${path}: ${message}`, path: place, value, allowed, cause })
  }
}

/** The plan's rules, those from files loaded. */
async function chosenRules({ rules }: SweepPlan, folder: string): Promise<ChosenRule[]> {
  const chosen: ChosenRule[] = []
  for (const rule of rules) chosen.push(await ruleOf(rule, folder))
  const same = sameName(chosen)
  if (same !== undefined) throw invalid('rules', same, 'rules with a name each')
  return chosen
}

function checkCount({ rules, seeds, choices }: SweepPlan): void {
  const count = choices.reduce((product, { values }) => product * values.length, rules.length * seeds.length)
  if (count > MOST_ITEMS) throw invalid('the number of items', count, `at most ${MOST_ITEMS}`)
}

function itemsOf(
  { seeds }: SweepPlan,
  rules: readonly ChosenRule[],
  axes: readonly string[],
  combinations: readonly Combination[]
): SweepItem[] {
  const combined = combinations.flatMap(combination =>
    rules.flatMap(chosen => seeds.map(seed => ({ combination, rule: ruleLabel(chosen), chosen, seed })))
  )
  return combined.map((item, index) => {
    const values = item.combination.values.map((value, i) => `${axes[i]} ${value}`)
    return { index, ...item, label: [item.rule, `seed ${item.seed}`, ...values].join(', ') }
  })
}

/** All that an item's run is made of. */
export function runOf({ combination, chosen, seed }: SweepItem, threads: number, signal?: AbortSignal): RunSettings {
  return { ...combination.options, ...chosen, seed, threads, signal }
}

/** The folder in which an item's run has its own: that of `mdgl compare`, one for each combination. */
export const combinationFolder = (out: string, { folder }: Combination): string => join(out, folder)

/** An item's own folder. */
export const itemPath = (out: string, { combination, chosen, seed }: SweepItem): string =>
  runPath(combinationFolder(out, combination), { ...chosen, seed })
