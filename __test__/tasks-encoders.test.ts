import test from 'ava'
import fc from 'fast-check'
import {
  analogueCurrent,
  fixedRandom,
  frozenPoisson,
  normalisedError,
  poissonRates,
  populationCode,
  sumOfSines
} from '../src/index.js'
import { invalidAt } from './helpers/expect.js'

const window = { trial: 3, from: 10, to: 50 }

test('poissonRates: a segment for each group that fires', t => {
  t.deepEqual(poissonRates([40, 0, 10], { ...window, firstUnit: 5, unitsEach: 2 }), [
    { trial: 3, units: [5, 7], from: 10, to: 50, rate: 40 },
    { trial: 3, units: [9, 11], from: 10, to: 50, rate: 10 }
  ])
  t.deepEqual(poissonRates(Float64Array.of(7), window), [{ trial: 3, units: [0, 1], from: 10, to: 50, rate: 7 }])
})

test('poissonRates refuses what cannot be', t => {
  invalidAt(t, 'rates[1]', () => poissonRates([1, -1], window))
  invalidAt(t, 'window.to', () => poissonRates([1], { ...window, to: 5 }))
  invalidAt(t, 'window.unitsEach', () => poissonRates([1], { ...window, unitsEach: 0 }))
  invalidAt(t, 'window.trial', () => poissonRates([1], { ...window, trial: 0.5 }))
  // @ts-expect-error no such option
  invalidAt(t, 'window.unit', () => poissonRates([1], { ...window, unit: 3 }))
})

test('frozenPoisson: the same events in every trial and at every call, at the rate asked for', t => {
  const options = { units: 50, duration: 2000, rate: 50, seed: 3 }
  const frozen = frozenPoisson(options)
  const { events } = frozen(1)
  t.deepEqual(frozenPoisson(options)(1).events, events)
  t.notDeepEqual(frozenPoisson({ ...options, seed: 4 })(1).events, events)
  const count = events.length / 3
  // 50 units × 2 s × 50 Hz = 5000 events, sd √(100000 · 0.05 · 0.95) = 69.
  t.true(Math.abs(count - 5000) < 4 * 69, `${count} events`)

  const three = frozen(3).events
  for (const trial of [0, 1, 2]) {
    const own = three.slice(trial * events.length, (trial + 1) * events.length)
    t.deepEqual(
      own,
      events.map((value, i) => (i % 3 === 0 ? trial : value))
    )
  }
})

test('frozenPoisson: ordered, in range, at most one event a step and unit', t => {
  const { events } = frozenPoisson({ units: 4, duration: 20, rate: 1000, seed: 1, dt: 0.5 })(1)
  const places = Array.from(
    { length: events.length / 3 },
    (_, i) => (events[3 * i + 1] ?? 0) * 4 + (events[3 * i + 2] ?? 0)
  )
  t.true(places.every((place, i) => i === 0 || place > (places[i - 1] ?? 0)))
  t.true(places.every(place => place < 40 * 4))
  // Half of the steps have an event: 80 of 160, sd 6.3.
  t.true(Math.abs(places.length - 80) < 26, `${places.length} events`)
  const sure = frozenPoisson({ units: 4, duration: 20, rate: 1000, seed: 1 })(1)
  t.is(sure.events.length, 3 * 80)
})

test('frozenPoisson refuses what cannot be', t => {
  const options = { units: 1, duration: 10, rate: 50, seed: 1 }
  invalidAt(t, 'options.rate', () => frozenPoisson({ ...options, rate: 1001 }))
  invalidAt(t, 'options.units', () => frozenPoisson({ ...options, units: 0 }))
  invalidAt(t, 'options.duration', () => frozenPoisson({ ...options, duration: 0.1 }))
  invalidAt(t, 'seed', () => frozenPoisson({ ...options, seed: -1 }))
  invalidAt(t, 'trials', () => frozenPoisson(options)(0))
})

test('populationCode: the peak is at the value, and curves are Gaussian', t => {
  const tuning = { groups: 5, range: [0, 4], width: 0.8, peakRate: 100 } as const
  const rates = populationCode(2, tuning, { ...window, unitsEach: 3 })
  t.deepEqual(
    rates.map(({ units }) => units),
    [0, 3, 6, 9, 12].map(first => [first, first + 3] as const)
  )
  t.is(rates[2]?.rate, 100)
  t.is(rates[1]?.rate, rates[3]?.rate)
  t.is(rates[4]?.rate.toFixed(9), (100 * Math.exp(-(2 ** 2) / (2 * 0.8 ** 2))).toFixed(9))
})

test('populationCode refuses what cannot be', t => {
  const tuning = { groups: 5, range: [0, 4], width: 1, peakRate: 100 } as const
  invalidAt(t, 'value', () => populationCode(Number.NaN, tuning, window))
  invalidAt(t, 'tuning.groups', () => populationCode(1, { ...tuning, groups: 1 }, window))
  invalidAt(t, 'tuning.range', () => populationCode(1, { ...tuning, range: [4, 4] }, window))
  invalidAt(t, 'tuning.width', () => populationCode(1, { ...tuning, width: 0 }, window))
  invalidAt(t, 'tuning.peakRate', () => populationCode(1, { ...tuning, peakRate: -1 }, window))
})

test('analogueCurrent: values by trial, step and unit', t => {
  const { analogue } = analogueCurrent(
    { trials: 2, steps: 3, units: 2 },
    (trial, step, unit) => 100 * trial + 10 * step + unit
  )
  t.deepEqual([...analogue], [0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121])
  invalidAt(t, 'value()', () => analogueCurrent({ trials: 1, steps: 1, units: 1 }, () => Number.POSITIVE_INFINITY))
  invalidAt(t, 'shape.steps', () => analogueCurrent({ trials: 1, steps: 0, units: 1 }, () => 0))
})

test('sumOfSines: known values, whatever the step', t => {
  const curve = sumOfSines({
    duration: 1000,
    frequencies: [1, 2],
    weights: [1, 0.5],
    phases: [0, Math.PI / 2],
    dt: 125
  })
  const expected = [0.5, Math.SQRT1_2, 0.5, Math.SQRT1_2, 0.5, -Math.SQRT1_2, -1.5, -Math.SQRT1_2]
  t.is(curve.length, 8)
  t.true(
    expected.every((value, i) => Math.abs(value - (curve[i] ?? 9)) < 1e-12),
    `${curve}`
  )
  invalidAt(t, 'options.weights', () => sumOfSines({ duration: 10, frequencies: [1, 2], weights: [1] }))
  invalidAt(t, 'options.frequencies[0]', () => sumOfSines({ duration: 10, frequencies: [-1], weights: [1] }))
  invalidAt(t, 'options.duration', () => sumOfSines({ duration: 0, frequencies: [1], weights: [1] }))
})

test('normalisedError: 0 for the target, 1 for nothing, and not moved by a common factor', t => {
  const target = [1, -2, 0.5]
  t.is(normalisedError(target, target), 0)
  t.is(normalisedError([0, 0, 0], target), 1)
  t.is(normalisedError([1, 0, 0], [0, 0, 2]), 5 / 4)
  const values = fc.array(fc.integer({ min: -100, max: 100 }), { minLength: 3, maxLength: 3 })
  fc.assert(
    fc.property(values, output => {
      const doubled = normalisedError(
        output.map(value => 2 * value),
        target.map(value => 2 * value)
      )
      return doubled === normalisedError(output, target)
    })
  )
  invalidAt(t, 'outputs', () => normalisedError([1], target))
  invalidAt(t, 'targets', () => normalisedError([1], [0]))
})

test('fixedRandom: the same for the same arguments, another for others', t => {
  const draw = (seed: number, part?: number) => {
    const random = fixedRandom(seed, part)
    return Array.from({ length: 5 }, () => random.uniform())
  }
  t.deepEqual(draw(1), draw(1, 0))
  t.notDeepEqual(draw(1), draw(2))
  t.notDeepEqual(draw(1), draw(1, 1))
  invalidAt(t, 'seed', () => fixedRandom(0.5))
  invalidAt(t, 'part', () => fixedRandom(1, -1))
})
