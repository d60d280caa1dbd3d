import test from 'ava'
import fc from 'fast-check'
import * as api from '../src/index.js'
import { calls } from './helpers/hostile/calls.js'
import { Judge, plans } from './helpers/hostile/judge.js'
import { makeFiles, removeFiles } from './helpers/hostile/world.js'

/** Whose parameters only the library itself gives. */
const NOT_CALLED = new Set(['constructor'])

/** The methods of a class or an object, by their names in the table. */
const methods = (of: object, prefix: string) =>
  Object.getOwnPropertyNames(of)
    .filter(name => !NOT_CALLED.has(name) && typeof Object.getOwnPropertyDescriptor(of, name)?.value === 'function')
    .map(name => prefix + name)

const isClass = (value: unknown): value is { readonly prototype: object } =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))

test('every function and method that the library exports is in the table of hostile calls', t => {
  const exported = Object.entries(api).flatMap(([name, value]) => {
    if (!isClass(value)) return typeof value === 'function' ? [name] : []
    return [...methods(value, `${name}.`), ...methods(value.prototype, `${name}#`)]
  })
  using model = api.Model.create(api.evidenceAccumulation().network({ seed: 1 }))
  const inner = [
    ...methods(Object.getPrototypeOf(api.network()), 'NetworkBuilder#'),
    ...methods(api.fixedRandom(1), 'Random#'),
    ...methods(model.weights, 'weights.'),
    ...methods(model.bias, 'bias.')
  ]
  t.true(exported.length > 50 && inner.length > 15)
  t.deepEqual(
    [...exported, ...inner].filter(name => !Object.hasOwn(calls, name)),
    []
  )
})

test('calls with hostile arguments: an error by name, the model as it was, the right answer from another one', async t => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  const files = await makeFiles()
  using judge = new Judge(files)
  for (const call of Object.keys(calls)) {
    const { outcome, finding } = await judge.attempt({ call, damages: [] })
    t.deepEqual([call, outcome, finding], [call, 'value', undefined])
  }
  // HDF5 starts a thread for each call: the long tier has those.
  const quick = plans.filter(({ call }) => !/Nir|Spiking/.test(call))
  const check = fc.asyncProperty(quick, async plan => {
    const { finding } = await judge.attempt(plan)
    if (finding !== undefined) throw new Error(finding)
  })
  await t.notThrowsAsync(fc.assert(check, { seed: 2021, numRuns: 300 }))
  await removeFiles(files)
  process.off('unhandledRejection', note)
  t.deepEqual(unhandled, [])
})
