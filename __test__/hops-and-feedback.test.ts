import { join } from 'node:path'
import test from 'ava'
import { expandRule, type Gradients, gradients, Model, type Rule, type RuleName, rules, train } from '../src/index.js'
import { invalidAt, rejectsInvalidAt } from './helpers/expect.js'
import { scratch } from './helpers/scratch.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

const loss = { kind: 'cross-entropy' } as const
const model = Model.create(smallNetwork(), { precision: 'f64' })

type Found = Gradients<ReturnType<typeof smallNetwork>, 'f64'>

async function gradient(rule: RuleName | Rule): Promise<Found> {
  return await gradients(model, smallBatch(), { rule, loss })
}

function recurrent(found: Found): Float64Array {
  const parts = Object.values(found.projections).map(({ values }) => [...values])
  return Float64Array.from(parts.flat())
}

function cosine(a: Float64Array, b: Float64Array): number {
  const dot = (x: Float64Array, y: Float64Array) => x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

test('hops climb from e-prop to BPTT', async t => {
  const along = (hops: number): Rule => ({ ...rules.eprop, channels: rules.bptt.channels, hops })
  const bptt = recurrent(await gradient('bptt'))
  const cosines = await Promise.all([0, 1, 4, 64].map(async n => cosine(recurrent(await gradient(along(n))), bptt)))
  t.true((cosines[0] ?? 1) < 0.9999)
  t.true(1 - (cosines[3] ?? 0) < 1e-12, String(cosines))
  t.true((cosines[2] ?? 0) > (cosines[0] ?? 1))
})

test('named hops are the values of rules', t => {
  t.is(expandRule('mdgl-exact'), rules.mdglExact)
  t.deepEqual(expandRule({ ...rules.hops2, hops: 3 }), rules.hops3)
})

test('random feedback depends on its seed and on nothing else', async t => {
  const random = (seed: number): Rule => ({ ...rules.eprop, feedback: { random: { seed } } })
  const [one, again, other] = await Promise.all([gradient(random(1)), gradient('eprop-random'), gradient(random(2))])
  t.deepEqual(recurrent(one), recurrent(again))
  t.notDeepEqual(recurrent(one), recurrent(other))
})

test('options left out of random feedback are written out', t => {
  t.deepEqual(expandRule({ ...rules.eprop, feedback: { random: {} } }), rules.epropRandom)
})

test('adaptive feedback changes with training, and a weights file keeps it', async t => {
  t.deepEqual(expandRule({ ...rules.eprop, feedback: { adaptive: {} } }), rules.epropAdaptive)
  const rule: Rule = { ...rules.eprop, feedback: { adaptive: { weightDecay: 100 } } }
  const trained = Model.create(smallNetwork(), { precision: 'f64' })
  const ask = async (of: typeof trained) => recurrent(await gradients(of, smallBatch(), { rule, loss }))
  await collect(train(trained, sides, { rule, iterations: 3, validateEvery: 1000 }))
  const before = await ask(trained)
  t.deepEqual(await ask(trained), before)
  const path = join(scratch('hops'), 'weights.safetensors')
  await trained.save(path)
  t.deepEqual(await ask((await Model.load(path)) as unknown as typeof trained), before)
  const anew = Model.create(smallNetwork(), { precision: 'f64' })
  for (const name of ['cues->cells', 'cues->slow', 'cells->cells', 'cells->slow', 'back', 'cells->choice'] as const)
    anew.weights.set(name, trained.weights.get(name).values)
  t.notDeepEqual(await ask(anew), before)
})

test('adaptive feedback is checked', async t => {
  const rule = (adaptive: object) => ({ ...rules.eprop, feedback: { adaptive } }) as Rule
  invalidAt(t, 'rule.feedback.adaptive.weightDecay', () => expandRule(rule({ weightDecay: -1 })))
  invalidAt(t, 'rule.feedback.adaptive.density', () => expandRule(rule({ density: 2 })))
  invalidAt(t, 'rule.feedback.adaptive.decay', () => expandRule(rule({ decay: 1 })))
  invalidAt(t, 'rule.feedback', () => expandRule({ ...rules.bptt, feedback: { adaptive: {} } }))
  const small = Model.create(smallNetwork())
  const all = collect(train(small, sides, { rule: rule({ weightDecay: 1e6 }), iterations: 1, validateEvery: 1000 }))
  await rejectsInvalidAt(t, 'rule.feedback.adaptive.weightDecay', () => all)
})

test('random feedback trains', async t => {
  const trained = Model.create(smallNetwork())
  const metrics = await collect(train(trained, sides, { rule: 'eprop-random', iterations: 40, validateEvery: 1000 }))
  const losses = metrics.map(({ loss }) => loss)
  const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length
  t.true(mean(losses.slice(-10)) < mean(losses.slice(0, 10)), losses.join(' '))
})
