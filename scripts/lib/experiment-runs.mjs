// The runs of an experiment of examples/experiments: a condition and a seed each, kept under runs/reproduce/experiments and used again.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from './run.mjs'

const FOLDER = join(ROOT, 'runs', 'reproduce', 'experiments')
/** The most iterations at the end of a run whose validations count, as in the other tables; of shorter runs the last tenth. */
const FINAL_ITERATIONS = 200
/** Batches over which gradients are averaged and compared. */
const BATCHES = 8
/** Runs side by side, one engine thread each: all that a process computes shares so many (`MDGL_THREADS`, set by scripts/reproduce.mjs). */
const sideBySide = () => Number(process.env.MDGL_THREADS ?? 1)
/** The part of a run's iterations after which gradients are compared; and at its end. */
const EARLY = 0.25

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length

/** `work` on every item, several at a time; results in the items' order. */
async function pooled(items, work) {
  const results = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const i = next++
      results[i] = await work(items[i])
    }
  }
  await Promise.all(Array.from({ length: sideBySide() }, worker))
  return results
}

/**
 * A condition at one seed, its functions evaluated: plain values, from which the name of its file follows.
 *
 * @param {object} condition - `task`, `rule`, and perhaps `types`, `learningRate`, `batchSize`, `iterations`, or factors of the
 *   task's, `optimiser`, `after`, `test`
 */
async function settingsOf(condition, seed, { byId, iterations, learningRate }) {
  const { builtInTask } = await import('../../dist/runs/tasks.js')
  const { expandRule } = await import('../../dist/index.js')
  const task = builtInTask(condition.task)
  const batches = condition.batchFactor ?? 1
  const drawn = task.network({ seed })
  const types = condition.types?.(drawn, seed)
  const description = types === undefined ? drawn : { ...drawn, types }
  const rule = typeof condition.rule === 'function' ? condition.rule(description) : condition.rule
  const first =
    condition.after === undefined ? undefined : await settingsOf(byId.get(condition.after), seed, { byId, iterations })
  return {
    task: task.name,
    seed,
    types: types ?? null,
    rule: expandRule(rule),
    learningRate:
      learningRate ?? condition.learningRate ?? task.optimiser.learningRate * (condition.learningRateFactor ?? 1),
    batchSize: condition.batchSize ?? task.batchSize * batches,
    iterations: iterations ?? condition.iterations ?? Math.ceil(task.iterations / batches),
    test: condition.test ?? 0,
    after: first ?? null,
    ...(condition.optimiser === undefined ? {} : { optimiser: { ...task.optimiser, ...condition.optimiser } })
  }
}

const fileOf = settings => {
  const hash = createHash('sha256').update(JSON.stringify(settings)).digest('hex').slice(0, 16)
  return join(FOLDER, `${settings.task}-${settings.seed}-${hash}.json`)
}

const weightsOf = settings => fileOf(settings).replace(/json$/, 'safetensors')

/** The last iteration of a run that may continue another. */
const lastIteration = settings => settings.iterations + (settings.after === null ? 0 : lastIteration(settings.after))

function cosine(a, b) {
  let [ab, aa, bb] = [0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i]
    aa += a[i] * a[i]
    bb += b[i] * b[i]
  }
  return aa === 0 || bb === 0 ? null : ab / Math.sqrt(aa * bb)
}

const present = values => values.filter(value => value !== null)

const meanOrNull = values => (present(values).length === 0 ? null : mean(present(values)))

/**
 * Bias and variance of a rule's gradient of the recurrent weights on several batches at the same weights: the cosine of its mean to the mean of
 * BPTT; of single batches of the two, the same one and different ones; and the agreement of either with itself between batches.
 */
async function compareGradients(model, task, settings) {
  const { gradients, makeBatch } = await import('../../dist/index.js')
  const recurrent = new Set(model.description.populations.map(({ name }) => name))
  const names = model.description.projections.filter(p => recurrent.has(p.from) && recurrent.has(p.to))
  const found = { own: [], bptt: [] }
  const still = model.clone()
  for (let i = 1; i <= BATCHES; i++) {
    const batch = await makeBatch(task, {
      split: 'validation',
      iteration: 1_000_000 + i,
      size: settings.batchSize,
      seed: settings.seed
    })
    for (const [kind, rule] of [
      ['own', settings.rule],
      ['bptt', 'bptt']
    ]) {
      const options = { rule, seed: 1_000_000 + i, threads: 1 }
      const { projections } = await gradients(still, batch, options)
      found[kind].push(Float64Array.from(names.flatMap(({ name }) => [...projections[name].values])))
    }
  }
  still.dispose()
  const { own, bptt } = found
  const average = list => list[0].map((_, i) => mean(list.map(values => values[i])))
  const pairs = own.flatMap((_, a) => own.flatMap((_, b) => (a === b ? [] : [[a, b]])))
  const over = of => meanOrNull(pairs.map(of))
  return {
    ofMeans: cosine(average(own), average(bptt)),
    sameBatch: meanOrNull(own.map((values, a) => cosine(values, bptt[a]))),
    otherBatch: over(([a, b]) => cosine(own[a], bptt[b])),
    ownAgreement: over(([a, b]) => cosine(own[a], own[b])),
    bpttAgreement: over(([a, b]) => cosine(bptt[a], bptt[b]))
  }
}

async function createModel(settings, task) {
  const { Model } = await import('../../dist/index.js')
  if (settings.after !== null) return Model.load(weightsOf(settings.after))
  const drawn = task.network({ seed: settings.seed })
  return Model.create(settings.types === null ? drawn : { ...drawn, types: settings.types })
}

/** Trains once and measures; the weights are kept where another condition continues. */
async function trainOnce(settings, keepsWeights) {
  const { train } = await import('../../dist/index.js')
  const { builtInTask } = await import('../../dist/runs/tasks.js')
  const { measureOf } = await import('../../dist/compare/measure.js')
  const task = builtInTask(settings.task)
  const { scale } = await measureOf(task)
  const model = await createModel(settings, task)
  const last = lastIteration(settings)
  const first = last - settings.iterations + 1
  const early = first - 1 + Math.ceil(EARLY * settings.iterations)
  const result = { curve: { iterations: [], loss: [], accuracy: [] }, early: null, late: null, diverged: false, ms: 0 }
  const options = {
    rule: settings.rule,
    seed: settings.seed,
    iterations: last,
    firstIteration: first,
    batchSize: settings.batchSize,
    learningRate: settings.learningRate,
    optimiser: settings.optimiser,
    validateEvery: Math.min(task.validateEvery, settings.iterations),
    threads: 1
  }
  try {
    for await (const { split, iteration, loss, accuracy, msPerIteration } of train(model, task, options)) {
      if (split === 'train') result.ms += msPerIteration
      if (split === 'train' && iteration === early) result.early = await compareGradients(model, task, settings)
      if (split !== 'validation') continue
      result.curve.iterations.push(iteration)
      result.curve.loss.push(loss / scale)
      result.curve.accuracy.push(accuracy)
    }
    result.late = await compareGradients(model, task, settings)
    if (settings.test > 0) result.test = await testAccuracy(model, task, settings)
  } catch (error) {
    if (error.code !== 'not-finite') throw error
    result.diverged = true
  }
  if (keepsWeights) await model.save(weightsOf(settings), { optimiser: true })
  model.dispose()
  return result
}

async function testAccuracy(model, task, { seed, test }) {
  const { evaluate, makeBatch } = await import('../../dist/index.js')
  const batch = await makeBatch(task, { split: 'test', size: test, seed })
  const { accuracy } = await evaluate(model, batch, { loss: task.loss, seed, threads: 1 })
  return accuracy
}

/** A run from its file, or trained and then written, completely or not at all. */
async function runOnce(settings, keepsWeights) {
  const file = fileOf(settings)
  if (existsSync(file) && (!keepsWeights || existsSync(weightsOf(settings)))) {
    return JSON.parse(await readFile(file, 'utf8')).result
  }
  await mkdir(FOLDER, { recursive: true })
  const result = await trainOnce(settings, keepsWeights)
  await writeFile(`${file}.new`, JSON.stringify({ settings, result }))
  await rename(`${file}.new`, file)
  return result
}

/** What a run came to: its final loss, as in the other tables, whether it is stuck, and how its gradient lies. */
async function outcome(settings, result) {
  const { builtInTask } = await import('../../dist/runs/tasks.js')
  const { measureOf, stuckAbove } = await import('../../dist/compare/measure.js')
  const { final } = await import('../../dist/compare/curve.js')
  const { loss, accuracy } = final(result.curve, Math.min(FINAL_ITERATIONS, Math.ceil(settings.iterations / 10)))
  const above = stuckAbove(await measureOf(builtInTask(settings.task)))
  return { seed: settings.seed, loss, accuracy, stuck: result.diverged || (above !== null && loss > above), ...result }
}

/**
 * All runs of an experiment. A condition with `learningRates` first chooses among them by the mean final loss on the seeds of `chooseOn`,
 * and is then run on the experiment's own seeds with the one chosen.
 *
 * @param {object} experiment - a default export of examples/experiments
 * @param {{ seeds?: number, iterations?: number }} look - fewer seeds or iterations
 * @returns a list, one element per condition: `{ condition, learningRate, grid, runs }`
 */
export async function runExperiment(experiment, { seeds: fewer, iterations } = {}) {
  const conditions = experiment.conditions
  const byId = new Map(conditions.map(condition => [condition.id, condition]))
  const continued = new Set(conditions.map(({ after }) => after))
  const cut = seeds => seeds.slice(0, fewer ?? seeds.length)
  let done = 0
  const runAll = async jobs => {
    const work = async ({ condition, seed, learningRate }) => {
      const settings = await settingsOf(condition, seed, { byId, iterations, learningRate })
      const result = await runOnce(settings, continued.has(condition.id))
      done += 1
      console.error(`${experiment.name}: ${condition.id}, seed ${seed} (run ${done})`)
      return { condition, ...(await outcome(settings, result)), learningRate: settings.learningRate }
    }
    // Seed by seed, and last what continues others.
    const order = [...jobs].sort((a, b) => a.seed - b.seed)
    const begun = order.filter(({ condition }) => condition.after === undefined)
    const continuations = order.filter(({ condition }) => condition.after !== undefined)
    return [...(await pooled(begun, work)), ...(await pooled(continuations, work))]
  }
  const grids = await runAll(
    conditions.flatMap(condition =>
      (condition.learningRates ?? []).flatMap(learningRate =>
        cut(experiment.chooseOn).map(seed => ({ condition, seed, learningRate }))
      )
    )
  )
  const chosen = new Map(conditions.map(condition => [condition.id, choose(condition, grids)]))
  const runs = await runAll(
    conditions.flatMap(condition =>
      cut(condition.seeds ?? experiment.seeds).map(seed => ({
        condition,
        seed,
        learningRate: chosen.get(condition.id).learningRate
      }))
    )
  )
  return conditions.map(condition => ({
    condition,
    ...chosen.get(condition.id),
    runs: runs.filter(run => run.condition === condition)
  }))
}

/** The learning rate of the lowest mean final loss. */
function choose(condition, grids) {
  if (condition.learningRates === undefined) return { learningRate: undefined, grid: [] }
  const grid = condition.learningRates.map(learningRate => {
    const runs = grids.filter(run => run.condition === condition && run.learningRate === learningRate)
    return { learningRate, loss: mean(runs.map(({ loss }) => loss)) }
  })
  const best = grid.reduce((a, b) => (b.loss < a.loss ? b : a))
  return { learningRate: best.learningRate, grid }
}

/**
 * How many runs an experiment has.
 *
 * @param {{ conditions: readonly { seeds?: number[], learningRates?: number[] }[], seeds: number[], chooseOn?: number[] }} experiment
 */
export function runCount({ conditions, seeds, chooseOn = [] }) {
  const runs = conditions.map(
    ({ seeds: own, learningRates = [] }) => (own ?? seeds).length + learningRates.length * chooseOn.length
  )
  return runs.reduce((sum, count) => sum + count, 0)
}
