import test from 'ava'
import { expandModulation, expandRule, type Rule, rules, stepDecay, warmUp } from '../src/index.js'
import { completeOptimiser, type Optimiser } from '../src/task/optimiser.js'
import { invalidAt } from './helpers/expect.js'

// Rules, channels, optimisers and learning rates are copied once, and the engine says what is allowed.

const given = (rule: object) => expandRule({ ...rules.mdgl, ...rule } as Rule)
const complete = (optimiser: unknown) => completeOptimiser(optimiser as Optimiser, ['in', 'back'])

test('a part that changes from one reading to the next is read once', t => {
  let reads = 0
  const changing = {
    kind: 'adam',
    get l1() {
      return reads++ === 0 ? 0.5 : 'other'
    }
  }
  t.is(complete(changing).l1, 0.5)
  t.is(reads, 1)
})

test('every default of an optimiser is filled in by the engine, and the value is frozen', t => {
  const optimiser = complete({ kind: 'adam', learningRate: 0.1, l1: 0, rewiring: false, decay: undefined })
  t.deepEqual(optimiser, {
    kind: 'adam',
    learningRate: 0.1,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    l1: 0,
    temperature: 0,
    rewiring: false,
    decay: null,
    clipNorm: null,
    frozen: []
  })
  t.true(Object.isFrozen(optimiser) && Object.isFrozen(optimiser.frozen))
  t.like(complete({ kind: 'adam' }), { learningRate: 0.0025, l1: 0, rewiring: false })
  t.like(complete({ kind: 'gradient-descent' }), { learningRate: 0.0025, l1: 0, rewiring: false })
})

test('a refusal names the path, the value as it was given and what is allowed', t => {
  const shared = new Float64Array(new SharedArrayBuffer(16))
  const endless: { kind: string; iterations: number; into?: unknown } = { kind: 'warm-up', iterations: 1 }
  endless.into = endless
  const weights = [[1, 2], [1]]
  for (const [path, value, allowed, body] of [
    ['optimiser.l1', 'none', 'a finite number of at least 0', () => complete({ kind: 'adam', l1: 'none' })],
    ['optimiser.l1', null, 'a finite number of at least 0', () => complete({ kind: 'adam', l1: null })],
    [
      'optimiser.clipNorm',
      Number.NaN,
      'a finite number above 0',
      () => complete({ kind: 'adam', clipNorm: Number.NaN })
    ],
    ['optimiser.beta1', 1n, 'a number from 0 to below 1', () => complete({ kind: 'adam', beta1: 1n })],
    ['optimiser.kind', undefined, "'adam' or 'gradient-descent'", () => complete({})],
    [
      'optimiser.decay.factor',
      undefined,
      'a number above 0 and at most 1',
      () => complete({ kind: 'adam', decay: { every: 1 } })
    ],
    [
      'optimiser.learningRateFactors.out',
      1,
      "only 'in' or 'back'",
      () => complete({ kind: 'adam', learningRateFactors: { out: 1 } })
    ],
    [
      'optimiser.learningRate',
      shared,
      'an array over unshared memory (copy it with .slice())',
      () => complete({ kind: 'adam', learningRate: shared })
    ],
    [
      'optimiser.learningRate.into',
      endless,
      'a number above 0 or a schedule',
      () => complete({ kind: 'adam', learningRate: endless })
    ],
    ['rule.hops', 65, "a whole number from 0 to 64, or 'all'", () => given({ hops: 65 })],
    ['rule.feedback.weights[1]', [1], '2 weights, as the first row has', () => given({ feedback: { weights } })],
    ['rule.feedback', { list: 0 }, undefined, () => given({ feedback: { list: 0 } })],
    ['rule.trace', '\ud800', "'mdgl2021' or 'rflo'", () => given({ trace: '\ud800' })],
    [
      'rule.channels[0].name',
      1,
      'a non-empty string',
      () => given({ channels: [{ name: 1, from: 'a', to: 'a', gain: 1, reach: 'synaptic', kernel: 'none' }] })
    ],
    [
      'modulation.receptors.a.x.gain',
      Number.POSITIVE_INFINITY,
      "'mean-weight', 'weight' or a number",
      () => expandModulation({ ligands: { a: 'x' }, receptors: { a: { x: { gain: Number.POSITIVE_INFINITY } } } })
    ],
    ['from', -1, 'a finite number of at least 0', () => stepDecay(-1, { factor: 1, every: 1 })],
    [
      'into.every',
      0,
      'a whole number from 1 to 4294967295',
      () => warmUp(1, { kind: 'step', from: 1, factor: 1, every: 0 })
    ]
  ] as const) {
    const error = invalidAt(t, path, body)
    t.deepEqual(error.value, value, path)
    if (allowed !== undefined) t.is(error.allowed, allowed)
  }
})

test('a rule with a long list of numbers has them all', t => {
  const row = Array.from({ length: 100 }, (_, i) => i / 7)
  const { feedback } = given({ hops: 0, channels: [], feedback: { weights: [row, Float32Array.from(row)] } })
  t.deepEqual(feedback, { weights: [row, Array.from(Float32Array.from(row))] })
})
