import test from 'ava'
import { expandRule, gradients, Model, network, type Rule, rules, type Sheet } from '../src/index.js'
import { invalidAt } from './helpers/expect.js'
import { smallBatch, smallNetwork } from './helpers/small.js'

/** Of the last steps: an error at the last one alone has no time to spread. */
const loss = { kind: 'cross-entropy', window: 20 } as const
/** Values that come from JavaScript, where the compiler is not looking. */
const loose = (value: unknown) => value as never
const diffusing: Rule = { ...rules.mdgl, channels: { gain: 'mean-weight', reach: 'diffusive', kernel: 'none' } }

const modelWith = (sheet?: Sheet) => Model.create({ ...smallNetwork(), ...(sheet && { sheet }) }, { precision: 'f64' })

async function recurrent(model: Model, rule: Rule): Promise<number[]> {
  const { projections } = await gradients(model, smallBatch(), { rule, loss })
  return Object.values(projections).flatMap(({ values }) => [...values])
}

function distance(a: readonly number[], b: readonly number[]): number {
  const largest = Math.max(...b.map(Math.abs))
  return Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? 0)))) / largest
}

test('a sheet is part of the description', t => {
  const description = network({ sheet: { width: 3, positions: 'sorted' } })
    .lif('cells', 6)
    .build()
  t.deepEqual(description.sheet, { width: 3, positions: 'sorted', spread: 0.75 })
  t.deepEqual(Model.create(description).description.sheet, description.sheet)
  t.is(network().lif('cells', 6).build().sheet, undefined)
})

test('diffusing errors are e-prop where nothing spreads, and not where it does', async t => {
  const eprop = await recurrent(modelWith(), rules.eprop)
  t.true(distance(await recurrent(modelWith({ spread: 0 }), rules.epropDiffusive), eprop) < 1e-11)
  t.true(distance(await recurrent(modelWith(), rules.epropDiffusive), eprop) > 1e-3)
})

test('diffusing errors run backwards and forwards', async t => {
  const found: number[][] = []
  for (const positions of ['sorted', 'shuffled'] as const) {
    const model = modelWith({ positions })
    const backward = await recurrent(model, rules.epropDiffusive)
    t.true(distance(await recurrent(model, rules.epropDiffusiveOnline), backward) < 1e-11)
    found.push(backward)
  }
  t.true(distance(found[0] ?? [], found[1] ?? []) > 1e-3)
})

test('a diffusive channel depends on where the cells sit', async t => {
  const random = await recurrent(modelWith(), diffusing)
  for (const positions of ['sorted', 'shuffled'] as const) {
    t.true(distance(await recurrent(modelWith({ positions }), diffusing), random) > 1e-6, positions)
  }
  t.true(distance(random, await recurrent(modelWith(), rules.eprop)) > 1e-6)
})

test('a session learns by diffusing errors', t => {
  using session = Model.create(smallNetwork()).session({ rule: 'eprop-diffusive-online' })
  session.step({ cues: Uint32Array.of(1, 2, 3) })
  session.addLoss({ choice: { target: 1 } })
  t.is(session.update().steps, 1)
})

test('what cannot diffuse is refused by name', t => {
  const sheet = (given: unknown) => () => network({ sheet: loose(given) })
  const bad: [string, () => unknown][] = [
    ['sheet.width', sheet({ width: 0 })],
    ['sheet.height', sheet({ height: 1.5 })],
    ['sheet.positions', sheet({ positions: 'scattered' })],
    ['sheet.spread', sheet({ spread: 1 })],
    ['sheet.depth', sheet({ depth: 2 })],
    ['rule.learningSignal', () => expandRule({ ...rules.eprop, learningSignal: loose('far') })],
    ['rule.hops', () => expandRule({ ...rules.mdgl, learningSignal: 'diffusive' })],
    ['rule.channels.reach', () => expandRule({ ...diffusing, estimator: 'online' })],
    ['rule.channels.reach', () => expandRule({ ...diffusing, readoutFilter: 'separate' })],
    [
      'rule.channels.reach',
      () => expandRule({ ...rules.mdgl, channels: { gain: 'mean-weight', reach: 'diffusive', kernel: 'exact' } })
    ]
  ]
  for (const [path, build] of bad) invalidAt(t, path, build)
  t.deepEqual(expandRule({ ...rules.eprop, learningSignal: 'own' }), rules.eprop)
  invalidAt(t, 'channels[0].gain', () =>
    Model.create(
      network().lif('cells', 4).channel({ from: 'cells', to: 'cells', gain: 'weight', reach: 'diffusive' }).build()
    )
  )
})
