import test from 'ava'
import fc from 'fast-check'
import { type CustomLoss, expandRule, gradients, Model, type RuleName, ruleNames, rules } from '../src/index.js'
import { STEPS, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy' } as const
const model = Model.create(smallNetwork(), { precision: 'f64' })

/** Largest difference relative to the largest entry. */
function difference(one: ArrayLike<number> = [Number.NaN], other: ArrayLike<number> = []): number {
  const size = (values: ArrayLike<number>) => Array.from(values, Math.abs).reduce((a, b) => Math.max(a, b), 0)
  return size(Array.from(one, (value, i) => value - (other[i] ?? Number.NaN))) / size(one)
}

test('rules are constants, by name or by value', t => {
  t.is(expandRule('mdgl-cell'), rules.mdglCell)
  t.deepEqual(expandRule({ ...rules.mdgl }), rules.mdgl)
  t.true(ruleNames.every(name => Object.isFrozen(expandRule(name))))
  t.deepEqual(new Set(ruleNames.map(name => expandRule(name))), new Set(Object.values(rules)))
})

test('every rule gives a gradient for every synapse, and the norm is of all', async t => {
  for (const rule of ruleNames) {
    const { projections, bias, norm, evaluation } = await gradients(model, smallBatch(), { rule, loss })
    const all = [...Object.values(projections).flatMap(({ values }) => [...values]), ...bias.choice]
    t.true(Math.abs(Math.hypot(...all) - norm) < 1e-12 * norm, rule)
    t.deepEqual(projections.back.pre, model.weights.get('back').pre)
    t.true(evaluation.loss > 0)
  }
})

test('rules differ where they should and agree where they should', async t => {
  const gradient = async (rule: RuleName) => {
    const { projections } = await gradients(model, smallBatch(), { rule, loss })
    return projections['cues->cells'].values
  }
  const eprop = await gradient('eprop')
  const mdgl = await gradient('mdgl')
  t.true(difference(eprop, mdgl) > 1e-6)
  t.true(difference(eprop, await gradient('eprop-online')) < 1e-12)
  t.true(difference(mdgl, await gradient('mdgl-online')) < 1e-12)
  t.true(difference(await gradient('on-mdgl'), await gradient('on-mdgl-online')) < 1e-12)
})

test('MDGL without channels is e-prop', async t => {
  const silent = Model.create({ ...smallNetwork(), channels: [] }, { precision: 'f64' })
  const [none, eprop] = await Promise.all([
    gradients(silent, smallBatch(), { rule: 'mdgl', loss }),
    gradients(silent, smallBatch(), { rule: 'eprop', loss })
  ])
  t.deepEqual(none.projections['cues->cells']?.values, eprop.projections['cues->cells']?.values)
})

test('one type a cell makes MDGL cell-specific', async t => {
  const description = smallNetwork()
  const types = description.populations.flatMap(({ name, size }) =>
    Array.from({ length: size }, (_, unit) => ({
      name: `${name} ${unit}`,
      members: [{ population: name, units: [unit] }]
    }))
  )
  const split = Model.create({ ...description, types }, { precision: 'f64' })
  const [typed, cell] = await Promise.all([
    gradients(split, smallBatch(), { rule: 'mdgl', loss }),
    gradients(split, smallBatch(), { rule: 'mdgl-cell', loss })
  ])
  t.true(difference(typed.projections['cells->cells']?.values, cell.projections['cells->cells']?.values) < 1e-12)
})

test('the readout gradient is that of the loss', async t => {
  const point = model.clone()
  const { projections } = await gradients(point, smallBatch(), { rule: 'eprop', loss })
  const exact = projections['cells->choice'].values
  const { values } = point.weights.get('cells->choice')
  const step = 1e-6
  for (const synapse of [0, 17, 40]) {
    const shifted = async (by: number) => {
      point.weights.set(
        'cells->choice',
        values.map((value, i) => (i === synapse ? value + by : value))
      )
      return (await gradients(point, smallBatch(), { rule: 'eprop', loss })).evaluation.loss
    }
    const sign = synapse % 40 < 6 ? -1 : 1
    const slope = ((await shifted(sign * 2 * step)) - (await shifted(sign * step))) / (sign * step)
    t.true(Math.abs(slope - (exact[synapse] ?? Number.NaN)) < 1e-4 * Math.max(...exact.map(Math.abs)), `${slope}`)
  }
})

const halfSquares: CustomLoss = {
  kind: 'custom',
  evaluate: ({ values, trials }, { targets }) => {
    const wanted = targets as Float64Array
    const errors = Float64Array.from(values, (value, i) => value - (wanted[i] ?? 0))
    const loss = errors.reduce((sum, error) => sum + (error * error) / 2, 0) / trials
    return { loss, delta: errors.map(error => error / trials) }
  }
}

test('a custom loss equals the built-in one', async t => {
  const property = fc.asyncProperty(
    fc.integer({ min: 0, max: 1000 }),
    fc.constantFrom<RuleName>('bptt', 'mdgl', 'on-mdgl', 'mdgl-membrane'),
    async (seed, rule) => {
      const targets = Float64Array.from({ length: 2 * STEPS * 2 }, (_, i) => Math.sin(i + seed))
      const batch = { ...smallBatch([0, 1]), trials: 2, targets }
      const regulariser = { strength: 2, targetRate: 20 }
      const [built, custom] = await Promise.all([
        gradients(model, batch, { rule, seed, regulariser, loss: { kind: 'squared-error' } }),
        gradients(model, batch, { rule, seed, regulariser, loss: halfSquares })
      ])
      const apart = difference(built.projections['cues->cells'].values, custom.projections['cues->cells'].values)
      return apart < 1e-12 && Math.abs(built.evaluation.loss - custom.evaluation.loss) < 1e-12 * built.evaluation.loss
    }
  )
  await t.notThrowsAsync(fc.assert(property, { numRuns: 20 }))
})

test('several readouts have losses of their own, built-in or custom', async t => {
  const description = smallNetwork()
  const two = Model.create(
    {
      ...description,
      readouts: [...(description.readouts ?? []), { name: 'trace', size: 3 }],
      projections: [...(description.projections ?? []), { from: 'cells', to: 'trace', density: 1 }]
    },
    { precision: 'f64' }
  )
  const trace = Float64Array.from({ length: 2 * STEPS * 3 }, (_, i) => Math.cos(i))
  const choice = Float64Array.from({ length: 2 * STEPS * 2 }, (_, i) => Math.sin(i))
  const batch = { ...smallBatch([0, 1]), trials: 2, targets: { trace, choice } }
  const squares = { kind: 'squared-error' } as const
  const own = (name: 'trace' | 'choice'): CustomLoss => ({
    kind: 'custom',
    evaluate: (readout, { targets }) =>
      halfSquares.evaluate(readout, { ...batch, targets: (targets as Record<string, Float64Array>)[name] ?? [] })
  })
  const [built, custom] = await Promise.all([
    gradients(two, batch, { rule: 'mdgl', loss: { trace: squares, choice: squares } }),
    gradients(two, batch, { rule: 'mdgl', loss: { trace: own('trace'), choice: own('choice') } })
  ])
  for (const name of ['cues->cells', 'cells->choice', 'cells->trace']) {
    t.true(difference(built.projections[name]?.values, custom.projections[name]?.values) < 1e-12, name)
  }
})

test('threads change nothing', async t => {
  const classes = Array.from({ length: 50 }, (_, i) => i % 2)
  const runs = await Promise.all(
    [1, 2, 3].map(threads => gradients(model, smallBatch(classes), { rule: 'mdgl', loss, threads, seed: 4 }))
  )
  t.deepEqual(runs[1], runs[0])
  t.deepEqual(runs[2], runs[0])
})
