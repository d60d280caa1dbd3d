import { readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { binnedEvents } from '../src/index.js'
import { invalidAt } from './helpers/expect.js'

/** A decimal number as it is written: digits over a power of ten. */
interface Decimal {
  readonly digits: bigint
  readonly places: number
}

const written = ({ digits, places }: Decimal) => Number(`${digits}e-${places}`)

/** ⌊a / b + half / 2⌋ exactly. */
function quotient(a: Decimal, b: Decimal, half: 0n | 1n): bigint {
  const above = a.digits * 10n ** BigInt(b.places)
  const below = b.digits * 10n ** BigInt(a.places)
  return (2n * above + half * below) / (2n * below)
}

const decimals = (most: number, places: number) =>
  fc.record({ digits: fc.bigInt(1n, BigInt(most)), places: fc.integer({ min: 0, max: places }) })

const MOST_STEPS = 2 ** 28

/** The step of an event at a time. */
function stepOf(times: Float64Array | Float32Array | BigInt64Array | readonly number[], dt: number, steps: number) {
  const trial = { times, units: new Uint8Array(times.length) }
  const { events } = binnedEvents([trial], { duration: Math.min(steps, MOST_STEPS) * dt, dt })
  return Array.from({ length: events.length / 3 }, (_, i) => events[3 * i + 1])
}

/** How many steps a duration has: the last event in the middle of a step that is kept. */
function stepsOf(duration: number, dt: number, around: number): number {
  const last = Math.max(0, around - 3)
  const middles = Array.from({ length: 6 }, (_, i) => (last + i + 0.5) * dt)
  const { events } = binnedEvents([{ times: middles, units: new Uint8Array(6) }], { duration, dt })
  return last + events.length / 3
}

test('a time written as a decimal falls into the step of exact arithmetic', t => {
  const check = fc.property(decimals(1e9, 6), decimals(9999, 4), (time, dt) => {
    const step = Number(quotient(time, dt, 0n))
    fc.pre(step < MOST_STEPS - 1)
    t.deepEqual(stepOf([written(time)], written(dt), step + 2), [step])
  })
  fc.assert(check, { seed: 23, numRuns: 5000 })
})

test('a duration written as a decimal has the steps of exact arithmetic, half a step rounded up', t => {
  const check = fc.property(decimals(1e8, 5), decimals(9999, 4), (duration, dt) => {
    const steps = Number(quotient(duration, dt, 1n))
    fc.pre(steps >= 1 && steps < MOST_STEPS)
    t.is(stepsOf(written(duration), written(dt), steps), steps)
  })
  fc.assert(check, { seed: 23, numRuns: 5000 })
})

test('whole microseconds fall into their step at every dt that divides a millisecond, however they became ms', t => {
  const divisors = [1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1000]
  const check = fc.property(fc.integer({ min: 0, max: 200_000_000 }), fc.constantFrom(...divisors), (time, dt) => {
    const step = Math.floor(time / dt)
    const ways = [time / 1000, Number(`${time}e-3`), (time / 1e6) * 1000, time * 1e-3]
    t.deepEqual(stepOf(ways, dt / 1000, step + 2), [step, step, step, step])
  })
  fc.assert(check, { seed: 23, numRuns: 5000 })
  // Every edge of the first steps, not only some.
  for (const dt of divisors) {
    const edges = Float64Array.from({ length: 3000 }, (_, i) => (i * dt) / 1000)
    t.deepEqual(stepOf(edges, dt / 1000, 3000), [...edges.keys()])
  }
})

test('times in single precision are the decimals that they were', t => {
  const check = fc.property(decimals(9999, 3), fc.constantFrom(1, 2, 5, 10, 20, 50, 100), (time, hundredths) => {
    const step = Number(quotient(time, { digits: BigInt(hundredths), places: 2 }, 0n))
    t.deepEqual(stepOf(Float32Array.of(written(time)), hundredths / 100, step + 2), [step])
  })
  fc.assert(check, { seed: 23, numRuns: 2000 })
  // What is between two steps stays there.
  t.deepEqual(stepOf(Float32Array.of(2 ** 22 + 0.5, 0.999999), 1, 2 ** 23), [0, 2 ** 22])
})

test('0.3 ms is the start of step 3 at 0.1 ms, and what is a hair before it is not', t => {
  t.deepEqual(stepOf([0.3, 0.7, 0.29999999999999, 0.6999999999999, 1 - 0.9], 0.1, 10), [1, 2, 3, 6, 7])
})

test('the cases that the engine is tested with, too', t => {
  const file = new URL('fixtures/durations.json', import.meta.url)
  const cases = JSON.parse(readFileSync(file, 'utf8')) as readonly (readonly [number, number, number])[]
  t.true(cases.length > 50)
  for (const [duration, dt, steps] of cases) {
    if (steps > 0) t.is(stepsOf(duration, dt, steps), steps, `${duration} ms in steps of ${dt} ms`)
    else invalidAt(t, 'options.duration', () => stepsOf(duration, dt, steps))
  }
})

/** Order by step, then unit; events at the end or later left out. */
function plainly(times: readonly number[], units: readonly number[], duration: number) {
  const pairs = times.map((time, i) => [Math.floor(time), units[i] ?? 0] as const).filter(([step]) => step < duration)
  return pairs.sort(([a, u], [b, v]) => a - b || u - v).flatMap(([step, unit]) => [0, step, unit])
}

test('events of any steps and units come in order, each as often as it is there', t => {
  const event = fc.tuple(
    fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: MOST_STEPS })),
    fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }))
  )
  const check = fc.property(fc.array(event, { maxLength: 60 }), events => {
    const [times, units] = [events.map(([time]) => time), events.map(([, unit]) => unit)]
    const found = binnedEvents([{ times, units }], { duration: MOST_STEPS }).events
    t.deepEqual(Array.from(found), plainly(times, units, MOST_STEPS))
  })
  fc.assert(check, { seed: 23, numRuns: 500 })
  invalidAt(t, 'options.duration', () => binnedEvents([], { duration: MOST_STEPS + 1 }))
})

test('whole numbers of 64 bits, as NumPy and HDF5 have them, are times and units', t => {
  const trial = { times: BigInt64Array.of(3n, 1n, 9n), units: BigUint64Array.of(5n, 4n, 3n) }
  t.deepEqual(Array.from(binnedEvents([trial], { duration: 5 }).events), [0, 1, 4, 0, 3, 5])
  const bin = (given: object) => () => binnedEvents([{ ...trial, ...given }], { duration: 5 })
  invalidAt(t, 'trials[0].times[0]', bin({ times: BigInt64Array.of(-1n, 1n, 1n) }))
  invalidAt(t, 'trials[0].times[1]', bin({ times: BigUint64Array.of(1n, 2n ** 64n - 1n, 1n) }))
  invalidAt(t, 'trials[0].units[2]', bin({ units: BigInt64Array.of(1n, 1n, 2n ** 32n) }))
  invalidAt(t, 'trials[0].units', bin({ units: BigInt64Array.of(1n) }))
})
