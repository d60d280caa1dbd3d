import test from 'ava'
import { gradients, Model, network, type PseudoDerivative, type PseudoDerivativeShape, rules } from '../src/index.js'
import { invalidAt } from './helpers/expect.js'

const THRESHOLD = 0.5
const DAMPENING = 0.4
const WEIGHT = 3

const oneCell = (pseudoDerivative?: PseudoDerivative | PseudoDerivativeShape) =>
  network(pseudoDerivative === undefined ? {} : { pseudoDerivative })
    .input('in', 1)
    .lif('cell', 1, { threshold: THRESHOLD, dampening: DAMPENING })
    .readout('out', 1)
    .project('in', 'cell', { connections: { pre: [0], post: [0], values: [WEIGHT] } })
    .project('cell', 'out', { connections: { pre: [0], post: [0], values: [1] } })
    .build()

const π2 = Math.PI / 2
const cases: readonly [PseudoDerivative | PseudoDerivativeShape | undefined, (x: number) => number][] = [
  [undefined, x => Math.max(0, 1 - x)],
  ['triangular', x => Math.max(0, 1 - x)],
  [{ shape: 'triangular' }, x => Math.max(0, 1 - x)],
  ['exponential', x => Math.exp(-2 * x)],
  [{ shape: 'exponential', steepness: 0.7 }, x => Math.exp(-0.7 * x)],
  ['fast-sigmoid', x => (1 + 10 * x) ** -2],
  [{ shape: 'fast-sigmoid', steepness: 25 }, x => (1 + 25 * x) ** -2],
  ['arctangent', x => 1 / (1 + (π2 * 2 * x) ** 2)],
  [{ shape: 'arctangent', steepness: 1 }, x => 1 / (1 + (π2 * x) ** 2)]
]

for (const [given, h] of cases) {
  test(`one cell, one step: ψ as written, ${JSON.stringify(given)}`, async t => {
    const model = Model.create(oneCell(given), { precision: 'f64' })
    const batch = {
      length: 1,
      trials: 1,
      inputs: { in: { analogue: Float64Array.of(1) } },
      targets: Float64Array.of(1)
    }
    const { projections } = await gradients(model, batch, { rule: rules.eprop, loss: { kind: 'squared-error' } })
    const decay = Math.exp(-1 / 20)
    const v = (1 - decay) * WEIGHT
    const ψ = (DAMPENING / THRESHOLD) * h(Math.abs(v - THRESHOLD) / THRESHOLD)
    // No spike: the readout is 0, the error −1, and the cell hears it through a weight of 1.
    const expected = (1 - decay) * ψ * -(1 - decay)
    const found = projections['in->cell'].values[0] ?? Number.NaN
    t.true(Math.abs(found / expected - 1) < 1e-12, `${found} ${expected}`)
  })
}

test('the description carries what is not usual', t => {
  t.false('pseudoDerivative' in oneCell('triangular'))
  t.deepEqual(oneCell('arctangent').pseudoDerivative, { shape: 'arctangent' })
  t.deepEqual(Model.create(oneCell({ shape: 'exponential', steepness: 3 })).description.pseudoDerivative, {
    shape: 'exponential',
    steepness: 3
  })
})

test('what has no meaning is refused', t => {
  invalidAt(t, 'pseudoDerivative', () => oneCell('square' as 'triangular'))
  invalidAt(t, 'pseudoDerivative.shape', () => oneCell({ shape: 'square' as 'triangular' }))
  invalidAt(t, 'pseudoDerivative.steepness', () => oneCell({ shape: 'triangular', steepness: 2 }))
  invalidAt(t, 'pseudoDerivative.steepness', () => oneCell({ shape: 'exponential', steepness: 0 }))
  invalidAt(t, 'pseudoDerivative.steepness', () => oneCell({ shape: 'arctangent', steepness: Number.NaN }))
})
