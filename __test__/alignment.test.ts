import test from 'ava'
import { alignmentOf } from '../src/analysis/alignment.js'
import { alignment, gradients, Model, network, type RuleName, rules, train } from '../src/index.js'
import { rejectsInvalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy' } as const
const close = (a: number | null | undefined, b: number, error = 1e-12) => Math.abs((a ?? Number.NaN) - b) < error

test('cosine, angle and ratio of vectors whose values are known', t => {
  const of = (own: number[], bptt: number[]) => alignmentOf([{ own, bptt }])
  t.deepEqual(of([2, 0], [0, 5]), { cosine: 0, angle: 90, normRatio: 0.4 })
  t.deepEqual(of([-1, -2], [2, 4]), { cosine: -1, angle: 180, normRatio: 0.5 })
  const slanted = of([3, 4], [4, 3])
  t.true(close(slanted.cosine, 24 / 25))
  t.true(close(slanted.angle, (Math.acos(24 / 25) / Math.PI) * 180))
  t.true(close(slanted.normRatio, 1))
  // Laid end to end, and no matter how faint.
  const halves = alignmentOf([
    { own: [3], bptt: [4] },
    { own: [4], bptt: [3] }
  ])
  t.deepEqual(halves, slanted)
  t.true(close(of([3e-250, 4e-250], [4e-300, 3e-300]).cosine, 24 / 25))
  t.true(close(of([3e250, 4e250], [4e300, 3e300]).cosine, 24 / 25))
})

test('a gradient of zeros has no direction', t => {
  t.deepEqual(alignmentOf([{ own: [0, -0], bptt: [1, 2] }]), { cosine: null, angle: null, normRatio: 0 })
  t.deepEqual(alignmentOf([{ own: [1, 2], bptt: [0, 0] }]), { cosine: null, angle: null, normRatio: null })
  t.deepEqual(alignmentOf([{ own: [], bptt: [] }]), { cosine: null, angle: null, normRatio: null })
  t.deepEqual(alignmentOf([]), { cosine: null, angle: null, normRatio: null })
})

for (const precision of ['f32', 'f64'] as const) {
  test(`BPTT lies on itself exactly (${precision})`, async t => {
    const model = Model.create(smallNetwork(), { precision })
    const [bptt] = await alignment(model, smallBatch(), { rules: ['bptt'], loss })
    const same = { cosine: 1, angle: 0, normRatio: 1 }
    t.deepEqual(bptt?.all, same)
    t.deepEqual(Object.keys(bptt?.projections ?? {}), [
      'cues->cells',
      'cues->slow',
      'cells->cells',
      'cells->slow',
      'back',
      'cells->choice'
    ])
    for (const part of Object.values(bptt?.projections ?? {})) t.deepEqual(part, same)
  })
}

test('the figures are those of the two gradients', async t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const names: RuleName[] = ['mdgl', 'eprop', 'eprop-random']
  const found = await alignment(model, smallBatch(), { rules: names, loss, seed: 5 })
  t.deepEqual(
    found.map(({ rule }) => rule),
    [rules.mdgl, rules.eprop, rules.epropRandom]
  )
  const bptt = (await gradients(model, smallBatch(), { rule: 'bptt', loss, seed: 5 })).projections.back.values
  for (const [i, name] of names.entries()) {
    const own = (await gradients(model, smallBatch(), { rule: name, loss, seed: 5 })).projections.back.values
    const product = own.reduce((sum, value, j) => sum + value * (bptt[j] ?? Number.NaN), 0)
    const cosine = product / Math.hypot(...own) / Math.hypot(...bptt)
    t.true(close(found[i]?.projections.back?.cosine, cosine), name)
    t.true(close(found[i]?.projections.back?.normRatio, Math.hypot(...own) / Math.hypot(...bptt)), name)
    // The readout's gradient is exact under each of them.
    t.is(found[i]?.projections['cells->choice']?.cosine, 1)
  }
  t.not(found[0]?.all.cosine, found[1]?.all.cosine)
})

test('without recurrent synapses e-prop is BPTT', async t => {
  const description = network({ seed: 3 })
    .input('cues', 20)
    .alif('cells', 10, { adaptationTimeConstant: 200 })
    .readout('choice', 2)
    .project('cues', 'cells', { density: 0.5 })
    .project('cells', 'choice', { density: 1 })
    .build()
  const [eprop] = await alignment(Model.create(description, { precision: 'f64' }), smallBatch(), {
    rules: ['eprop'],
    loss
  })
  t.true(close(eprop?.projections['cues->cells']?.cosine, 1))
  t.true(close(eprop?.projections['cues->cells']?.normRatio, 1))
})

test('random feedback of one cell and one unit lies along BPTT or against it, by B over W', async t => {
  const description = network()
    .input('cues', 20)
    .lif('cell', 1)
    .readout('out', 1)
    .project('cues', 'cell', { density: 1 })
    .project('cell', 'out', { density: 1 })
    .build()
  const model = Model.create(description, { precision: 'f64' })
  const batch = { ...smallBatch([0, 1]), trials: 2, targets: new Float64Array(120).fill(0.3) }
  const at = async (weight: number) => {
    model.weights.set('cell->out', [weight])
    const [random] = await alignment(model, batch, { rules: ['eprop-random'], loss: { kind: 'squared-error' } })
    return random?.projections['cues->cell']
  }
  const [one, against, twice] = [await at(0.5), await at(-0.5), await at(1)]
  t.true(close(Math.abs(one?.cosine ?? 0), 1))
  t.true(close(against?.cosine, -(one?.cosine ?? 0)))
  t.true(close(Math.abs((one?.angle ?? 0) - (against?.angle ?? 0)), 180, 1e-5))
  t.true(close(against?.normRatio, one?.normRatio ?? 0))
  t.true(close(twice?.normRatio, (one?.normRatio ?? 0) / 2))
})

test('a projection without any gradient has no cosine, one that is not plastic no entry', async t => {
  const description = network()
    .input('cues', 20)
    .lif('cells', 10)
    .readout('choice', 2)
    .project('cues', 'cells', { density: 1 })
    .project('cells', 'cells', { density: 0.5, plastic: false })
    .project('cells', 'choice', { density: 1 })
    .build()
  const model = Model.create(description)
  const [silent] = await alignment(model, { ...smallBatch([0, 1]), inputs: {} }, { rules: ['mdgl'], loss })
  const none = { cosine: null, angle: null, normRatio: null }
  t.deepEqual(silent?.projections, { 'cues->cells': none, 'cells->choice': none })
  t.deepEqual(silent?.all, none)
})

test('alignment within a training run changes nothing of it, and is of the weights of the moment', async t => {
  const weights = async (look: boolean) => {
    const model = Model.create(smallNetwork())
    const cosines: (number | null | undefined)[] = []
    for await (const _ of train(model, sides, { rule: 'mdgl' })) {
      if (!look) continue
      const [running, copy] = [model, model.clone()]
      const [mdgl] = await alignment(running, smallBatch(), { rules: ['mdgl'], loss })
      t.deepEqual(mdgl, (await alignment(copy, smallBatch(), { rules: ['mdgl'], loss }))[0])
      cosines.push(mdgl?.all.cosine)
    }
    if (look) t.is(new Set(cosines).size, 3)
    return model.weights.get('cues->cells').values
  }
  t.deepEqual(await weights(true), await weights(false))
  t.is((await collect(train(Model.create(smallNetwork()), sides, { rule: 'mdgl' }))).length, 3)
})

test('what is not allowed is refused by name', async t => {
  const model = Model.create(smallNetwork())
  const run = (rule: unknown, options: unknown) => () =>
    alignment(model, smallBatch(), { rules: rule as RuleName[], ...(options as { loss: typeof loss }) })
  await rejectsInvalidAt(t, 'rule', run(['magic'], { loss }))
  await rejectsInvalidAt(t, 'rules', run('mdgl', { loss }))
  await rejectsInvalidAt(t, 'options.window', run(['mdgl'], { loss, window: 3 }))
})

test('a network of conventions without BPTT is refused', async t => {
  const description = network({ conventions: 'bellec2020' })
    .input('cues', 20)
    .lif('cells', 5)
    .readout('choice', 2)
    .project('cues', 'cells', { density: 1, initialise: { scheme: 'normal', standardDeviation: 1 } })
    .project('cells', 'choice', { density: 1, initialise: { scheme: 'normal', standardDeviation: 1 } })
    .build()
  const model = Model.create(description)
  await rejectsInvalidAt(t, 'model.description.conventions', () =>
    alignment(model, smallBatch(), { rules: ['eprop'], loss })
  )
})
