import test, { type ExecutionContext } from 'ava'
import {
  type Batch,
  type ClassWindow,
  delayedMatch,
  delayedXor,
  evaluate,
  evidenceAccumulation,
  Model,
  makeBatch,
  normalisedError,
  patternGeneration,
  type RateSegment,
  type RuleName,
  sequentialDigits,
  simulate,
  storeRecall,
  type Task,
  train
} from '../src/index.js'
import { type BuiltInTask, builtInTask, TASK_NAMES } from '../src/runs/tasks.js'
import { digits } from '../src/tasks/digits.js'
import { invalidAt } from './helpers/expect.js'

const tasks = TASK_NAMES.map(name => builtInTask(name))

const batchOf = (task: Task, size: number, seed = 1, iteration = 1) =>
  makeBatch(task, { split: 'train', size, seed, iteration })

function ratesOf(t: ExecutionContext, batch: Batch, input: string): readonly RateSegment[] {
  const given = batch.inputs[input]
  if (given === undefined || !('rates' in given)) return t.fail(`${input} has no rates`) as never
  return given.rates
}

/** The rate of a unit at a time in a trial: the sum over segments. */
const rateAt = (rates: readonly RateSegment[], trial: number, unit: number, time: number) =>
  rates
    .filter(
      each =>
        each.trial === trial && each.units[0] <= unit && unit < each.units[1] && each.from <= time && time < each.to
    )
    .reduce((sum, { rate }) => sum + rate, 0)

const classesOf = ({ targets }: Batch) => Array.from(targets as Uint32Array)

for (const task of tasks) {
  test(`${task.name}: a batch depends on its context alone`, async t => {
    const batch = await batchOf(task, 3)
    t.deepEqual(await batchOf(task, 3), batch)
    const again = await batchOf(task, 3, 1, 2)
    // Frozen input and a fixed target are the same in every iteration; all else is drawn anew.
    if (task.name.startsWith('pattern-generation')) t.deepEqual(again, batch)
    else t.notDeepEqual(again, batch)
  })

  test(`${task.name}: the network takes the batch, and the loss is that of an untrained network`, async t => {
    const model = Model.create(task.network({ seed: 1 }))
    const batch = await batchOf(task, 4)
    const { loss, accuracy, rate } = await evaluate(model, batch, { loss: task.loss, seed: 1 })
    t.true(Number.isFinite(loss) && rate < 60, `loss ${loss}, ${rate} Hz`)
    if (task.loss.kind === 'cross-entropy') {
      const chance = Math.log(model.bias.get(model.description.readouts?.[0]?.name ?? '').length)
      // Rate units speak from the first step on, whatever they have learnt.
      const near = task.name.endsWith('-rate') ? 0.3 : 0.15
      t.true(Math.abs(loss - chance) < near * chance, `loss ${loss} where chance is ${chance}`)
    } else t.is(accuracy, null)
  })
}

test('evidence accumulation: windows, rates and the side with more cues', async t => {
  const batch = await batchOf(evidenceAccumulation(), 64)
  const rates = ratesOf(t, batch, 'cues')
  t.is(batch.length, 2000)
  const patterns = classesOf(batch).map((target, trial) => {
    const left = [0, 1, 2, 3, 4, 5, 6].map(cue => rateAt(rates, trial, 0, cue * 150 + 99) === 40)
    const right = [0, 1, 2, 3, 4, 5, 6].map(cue => rateAt(rates, trial, 19, cue * 150) === 40)
    t.true(left.every((on, cue) => on !== right[cue]))
    t.is(target, left.filter(Boolean).length > 3 ? 1 : 0)
    t.is(rateAt(rates, trial, 0, 120), 0)
    t.is(rateAt(rates, trial, 25, 1849), 0)
    t.is(rateAt(rates, trial, 25, 1850), 40)
    t.is(rateAt(rates, trial, 39, 1999), 10)
    return left.join()
  })
  t.is(new Set(patterns).size, 64)
})

test('pattern generation, bellec2020: starts at 0, reaches 1, and has the published periods only', async t => {
  const task = patternGeneration()
  const batch = await batchOf(task, 1)
  const curve = Array.from(batch.targets as Float64Array)
  t.is(curve.length, 1000)
  t.is(curve[0], 0)
  t.is(Math.max(...curve.map(Math.abs)), 1)
  // 1, 2 and 5 cycles are orthogonal to 4 and 7; 333 ms is almost 3.
  const power = (cycles: number) => {
    const phase = (step: number) => (2 * Math.PI * cycles * step) / 1000
    const along = (f: (x: number) => number) => curve.reduce((sum, value, step) => sum + value * f(phase(step)), 0)
    return Math.hypot(along(Math.sin), along(Math.cos)) / 500
  }
  const amplitudes = [1, 2, 3, 5].map(power)
  // Amplitudes are within 0.5 to 2 of one another: at most a factor of four.
  t.true(Math.max(...amplitudes) / Math.min(...amplitudes) < 4.05, `${amplitudes}`)
  t.true(Math.max(power(4), power(7), power(11)) < 0.02)
  t.deepEqual(task.optimiser, { kind: 'gradient-descent', learningRate: 1e-4, l1: 0, rewiring: false })
  t.deepEqual(task.regulariser, { strength: 300, targetRate: 10 })
  t.is(task.batchSize, 1)
})

test('pattern generation, lif400: mean 0, weights of sum 1, the same for every trial', async t => {
  const batch = await batchOf(patternGeneration({ variant: 'lif400' }), 2)
  const all = batch.targets as Float64Array
  const curve = all.slice(0, 2000)
  t.deepEqual(all.slice(2000), curve)
  t.true(Math.abs(curve.reduce((sum, value) => sum + value, 0)) < 1e-9)
  const weight = (frequency: number) =>
    curve.reduce((sum, value, step) => sum + value * Math.sin((2 * Math.PI * frequency * step) / 1000), 0) / 1000
  const weights = [0.5, 1, 2, 3, 4].map(weight)
  t.true(weights.every(value => value > 0))
  t.is(weights.reduce((sum, value) => sum + value, 0).toFixed(9), '1.000000000')
  t.is(
    Model.create(patternGeneration({ variant: 'lif400' }).network({ seed: 1 })).description.populations[0]?.size,
    400
  )
})

test('pattern generation: the pattern seed decides input and target', async t => {
  const [one, two] = await Promise.all([1, 2].map(patternSeed => batchOf(patternGeneration({ patternSeed }), 1)))
  t.notDeepEqual(one?.targets, two?.targets)
  t.notDeepEqual(one?.inputs, two?.inputs)
})

for (const hard of [false, true]) {
  test(`delayed match${hard ? ', hard' : ''}: windows, rates, and class 1 for equal cues`, async t => {
    const task = delayedMatch({ hard })
    const batch = await batchOf(task, 64)
    const rates = ratesOf(t, batch, 'cues')
    const [second, decision] = hard ? [700, 1350] : [900, 1050]
    t.is(batch.length, decision + 50)
    const pairs = classesOf(batch).map((target, trial) => {
      const cue = (unit: number, from: number) => {
        const [before, start, end, after] = [from - 1, from, from + 149, from + 150].map(time =>
          rateAt(rates, trial, unit, time)
        )
        t.is(start, end)
        t.is(before, 0)
        t.is(after, 0)
        return start
      }
      const cues = [cue(40, 50), cue(79, second)]
      t.true(cues.every(rate => rate === 0 || rate === 40))
      t.is(target, cues[0] === cues[1] ? 1 : 0)
      t.is(rateAt(rates, trial, 19, decision - 1), 10)
      t.is(rateAt(rates, trial, 20, decision - 1), 0)
      t.is(rateAt(rates, trial, 39, decision), 40)
      return cues.join()
    })
    t.is(new Set(pairs).size, 4)
    t.deepEqual(task.loss, { kind: 'cross-entropy', window: 50 })
    const { populations } = task.network({ seed: 1 })
    t.is(populations[0]?.size, hard ? 400 : 100)
  })
}

test('local connections: the public setting of diffusing errors, in which near cells are joined', async t => {
  const tasks = [
    [delayedMatch({ connections: 'local' }), 'delayed-match-local', 80, 1400, 50, 0.1, 1100],
    [evidenceAccumulation({ connections: 'local' }), 'evidence-accumulation-local', 40, 2000, 150, 0.005, 2050]
  ] as const
  for (const [task, name, inputs, adaptationTimeConstant, window, strength, length] of tasks) {
    t.is(task.name, name)
    t.deepEqual(task.loss, { kind: 'cross-entropy', window })
    t.like(task, {
      regulariser: { strength, targetRate: 10 },
      optimiser: { learningRate: 0.005, l1: 0, rewiring: false }
    })
    t.is((await batchOf(task, 2)).length, length)
    const description = task.network({ seed: 1 })
    t.is(description.inputs?.[0]?.size, inputs)
    t.like(description.populations[0], { size: 100, threshold: 0.03, adaptationTimeConstant })
    t.like(description.sheet, { width: 10, height: 10, positions: 'random' })
    t.like(description.projections?.[1], { probability: 1, distance: { profile: 'logistic-squared' } })
    using model = Model.create(description)
    // Σ 1/(1 + exp(d²/4σ)) over the sites around a cell, d in units of the side.
    const coordinates = [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5].map(site => (site / 10) ** 2)
    const chances = coordinates.flatMap(x => coordinates.map(y => 1 / (1 + Math.exp((x + y) / (4 * 0.012)))))
    const others = chances.filter(chance => chance < 0.5)
    const mean = 100 * others.reduce((sum, chance) => sum + chance, 0)
    const deviation = Math.sqrt(100 * others.reduce((sum, chance) => sum + chance * (1 - chance), 0))
    const count = model.weights.get('cells->cells').values.length
    t.is(others.length, 99)
    t.true(Math.abs(count - mean) < 5 * deviation, `${count} of ${mean}`)
  }
  t.like(delayedMatch(), { regulariser: { strength: 0.1, targetRate: 10 } })
})

test('delayed XOR: bumps in their windows, noise around the baseline, class 1 for equal cues', async t => {
  const batch = await batchOf(delayedXor(), 64)
  const given = batch.inputs.cues
  if (given === undefined || !('analogue' in given)) return t.fail('no analogue input')
  t.is(batch.length, 900)
  const at = (trial: number, step: number, unit: number) =>
    given.analogue[(trial * 900 + step) * 2 + unit] ?? Number.NaN
  const pairs = classesOf(batch).map((target, trial) => {
    const cues = [at(trial, 50, 0), at(trial, 850, 1)].map(peak => (peak > 1 ? 1 : 0))
    t.is(target, cues[0] === cues[1] ? 1 : 0)
    if (cues[0] === 1)
      t.true(Math.abs(at(trial, 50, 0) - 2.02) < 0.06 && Math.abs(at(trial, 75, 0) - 0.02 - 2 * Math.exp(-0.5)) < 0.06)
    return cues.join()
  })
  t.is(new Set(pairs).size, 4)
  const quiet = pairs.flatMap((_, trial) => Array.from({ length: 600 }, (_, i) => at(trial, 150 + i, i % 2)))
  const mean = quiet.reduce((sum, value) => sum + value, 0) / quiet.length
  const deviation = Math.sqrt(quiet.reduce((sum, value) => sum + (value - mean) ** 2, 0) / quiet.length)
  t.true(Math.abs(mean - 0.02) < 2.5e-4 && Math.abs(deviation - 0.01) < 2.5e-4, `${mean} ± ${deviation}`)
  t.is((await batchOf(delayedXor({ delay: 100 }), 1)).length, 300)
})

test('sequential digits: each pixel sets the rate of its column while its row is shown', async t => {
  const batch = await batchOf(sequentialDigits(), 8)
  const rates = ratesOf(t, batch, 'pixels')
  t.is(batch.length, 360)
  const { images, labels } = digits()
  for (const [trial, target] of classesOf(batch).entries()) {
    const seen = Array.from({ length: 64 }, (_, i) =>
      rateAt(rates, trial, (i % 8) * 5 + 4, Math.floor(i / 8) * 40 + 39)
    )
    const image = images.findIndex(pixels => pixels.every((value, i) => (value / 16) * 200 === seen[i]))
    t.true(image >= 0 && image < 1257, `image ${image}`)
    t.is(target, labels[image] ?? -1)
  }
  t.true(rates.every(({ to }) => to <= 320))
})

test('sequential digits: 1257 + 180 + 360 images, and no image in two splits', async t => {
  const counts = { train: 1257, validation: 180, test: 360 } as const
  const task = sequentialDigits()
  const seen = new Map<string, string>()
  for (const split of ['train', 'validation', 'test'] as const) {
    const batch = await makeBatch(task, { split, size: counts[split], seed: 5 })
    const trials = new Map<number, RateSegment[]>()
    for (const segment of ratesOf(t, batch, 'pixels')) {
      trials.set(segment.trial, [...(trials.get(segment.trial) ?? []), { ...segment, trial: 0 }])
    }
    for (const segments of trials.values()) {
      const image = JSON.stringify(segments)
      t.false(seen.has(image), `an image of ${split} is in ${seen.get(image)}`)
      seen.set(image, split)
    }
  }
  t.is(seen.size, digits().images.length)
  t.is(seen.size, 1797)
})

test('store-recall: every recall asks for the bit of the store before it, for as long as it is shown', async t => {
  const batch = await batchOf(storeRecall(), 200)
  const rates = ratesOf(t, batch, 'symbols')
  t.is(batch.length, 2400)
  const wanted: ClassWindow[] = []
  let free = 0
  for (let trial = 0; trial < 200; trial++) {
    const symbols = Array.from({ length: 12 }, (_, i) =>
      [0, 25, 50, 99].map(unit => {
        const [start, end] = [rateAt(rates, trial, unit, i * 200), rateAt(rates, trial, unit, i * 200 + 199)]
        t.is(start, end)
        t.true(start === 0 || start === 50)
        return start === 50
      })
    )
    let bit = -1
    let waiting = false
    let last = ''
    let recalls = 0
    for (const [i, [zero, one, store, recall]] of symbols.entries()) {
      if (recall) {
        t.true(waiting && last !== 'store' && !zero && !one && !store)
        wanted.push({ trial, from: i * 200, to: (i + 1) * 200, class: bit })
        recalls++
      } else t.true(zero !== one)
      if (store) {
        t.false(waiting)
        bit = one ? 1 : 0
      }
      if (last !== 'store' && !waiting) free++
      waiting = store ? true : waiting && !recall
      last = recall ? 'recall' : store ? 'store' : 'none'
    }
    t.true(recalls > 0 && !waiting)
  }
  // Some trials ask twice.
  t.true(wanted.length > 200 && free > 0)
  t.deepEqual(batch.targets, wanted)
})

test('store-recall: both bits are as frequent as each other', async t => {
  const { targets } = await batchOf(storeRecall(), 1000, 9)
  const bits = (targets as ClassWindow[]).map(window => window.class)
  const ones = bits.filter(bit => bit === 1).length
  // Four standard deviations.
  t.true(Math.abs(ones - bits.length / 2) < 2 * Math.sqrt(bits.length), `${ones} of ${bits.length}`)
})

/** Mean training loss of the first and of the last iterations. */
async function shortRun(task: BuiltInTask, rule: RuleName, iterations: number, batchSize: number) {
  const model = Model.create(task.network({ seed: 1 }))
  const losses: number[] = []
  for await (const { loss } of train(model, task, { rule, iterations, batchSize, validateEvery: 0, seed: 1 })) {
    losses.push(loss)
  }
  const few = Math.ceil(iterations / 5)
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return { model, first: mean(losses.slice(0, few)), last: mean(losses.slice(-few)) }
}

for (const [task, rule, iterations, batchSize, factor] of [
  [evidenceAccumulation({ cues: 1, delay: 0, types: 'six' }), 'mdgl', 80, 32, 0.97],
  [delayedMatch(), 'bptt', 110, 16, 0.97],
  [delayedXor({ delay: 0 }), 'bptt', 60, 32, 0.98],
  [sequentialDigits(), 'mdgl', 40, 32, 0.99],
  [storeRecall({ symbols: 3, expectedDelay: 1, symbolDuration: 50 }), 'bptt', 50, 64, 0.95]
] as const) {
  test(`${task.name}: a short training lowers the loss`, async t => {
    const { first, last } = await shortRun(task, rule, iterations, batchSize)
    t.true(last < factor * first, `from ${first} to ${last}`)
  })
}

test('pattern generation: a short training lowers the loss, of which the normalised error is a multiple', async t => {
  const task = patternGeneration()
  const { model, first, last } = await shortRun(task, 'eprop', 60, 1)
  t.true(last < 0.99 * first, `from ${first} to ${last}`)
  const batch = await batchOf(task, 1)
  const targets = batch.targets as Float64Array
  const { readout } = await simulate(model, batch)
  const { loss } = await evaluate(model, batch, { loss: task.loss })
  const power = targets.reduce((sum, value) => sum + value ** 2, 0)
  t.is(normalisedError(readout, targets).toFixed(4), ((2 * loss) / power).toFixed(4))
})

for (const [what, path, body] of [
  ['evidence accumulation: types', 'options.types', () => evidenceAccumulation({ types: 'eight' as 'two' })],
  ['pattern generation: variant', 'options.variant', () => patternGeneration({ variant: 'lif' as 'lif400' })],
  ['pattern generation: seed', 'options.patternSeed', () => patternGeneration({ patternSeed: -1 })],
  ['delayed match: hard', 'options.hard', () => delayedMatch({ hard: 1 as unknown as boolean })],
  ['delayed match: connections', 'options.connections', () => delayedMatch({ connections: 'near' as 'local' })],
  ['delayed match: local and hard', 'options.hard', () => delayedMatch({ connections: 'local', hard: true })],
  [
    'evidence accumulation: local with six types',
    'options.types',
    () => evidenceAccumulation({ connections: 'local', types: 'six' })
  ],
  ['delayed match: unknown', 'options.easy', () => delayedMatch({ easy: true } as object)],
  ['delayed XOR: delay', 'options.delay', () => delayedXor({ delay: -1 })],
  ['digits: row duration', 'options.rowDuration', () => sequentialDigits({ rowDuration: 0 })],
  ['digits: peak rate', 'options.peakRate', () => sequentialDigits({ peakRate: -1 })],
  ['store-recall: symbols', 'options.symbols', () => storeRecall({ symbols: 2 })],
  ['store-recall: delay', 'options.expectedDelay', () => storeRecall({ expectedDelay: 13 })],
  ['store-recall: duration', 'options.symbolDuration', () => storeRecall({ symbolDuration: Number.NaN })]
] as const) {
  test(`${what} is refused early`, t => {
    invalidAt(t, path, body)
  })
}
