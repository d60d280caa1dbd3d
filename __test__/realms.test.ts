import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual, promisify, types } from 'node:util'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { calls } from './helpers/hostile/calls.js'
import { makeFiles, removeFiles, World } from './helpers/hostile/world.js'
import { files, source } from './helpers/imports.js'

const run = promisify(execFile)

/** A realm with classes of its own, as Jest and Vitest's `vmThreads` give one to each file of tests. */
const other = runInNewContext('globalThis') as typeof globalThis
const PATIENCE = 60_000

type Listed = new (numbers: ArrayLike<number>) => object

/** The same value made of the other realm's objects, lists and typed arrays; what a function returns, too. */
function abroad(value: unknown): unknown {
  if (typeof value === 'function') return wrapped(value as (...given: unknown[]) => unknown)
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return value
  if (types.isTypedArray(value)) {
    const kind = value[Symbol.toStringTag] as 'Float64Array'
    return new (other[kind] as Listed)(value as Float64Array)
  }
  if (Array.isArray(value)) return other.Array.from(value, abroad)
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const entries = Object.entries(value).map(([key, part]) => [key, abroad(part)] as const)
  return Object.assign(new other.Object(), Object.fromEntries(entries))
}

const wrapped = (body: (...given: unknown[]) => unknown) =>
  Object.assign((...given: unknown[]) => {
    const answer = body(...given)
    return types.isPromise(answer) ? answer.then(abroad) : abroad(answer)
  }, body)

/** The same value without the other realm's prototypes, which a result keeps where it holds what the caller gave; functions are alike. */
function home(value: unknown): unknown {
  if (typeof value === 'function') return 'a function'
  if (types.isTypedArray(value)) return [value[Symbol.toStringTag], ...Array.from(value as Float64Array)]
  if (Array.isArray(value)) return Array.from(value, home)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, home(part)]))
}

test('arrays, lists and objects of another realm are taken as those of this one, by every function', async t => {
  const made = await makeFiles()
  // HDF5 starts a thread for each call, and is given paths alone.
  for (const [name, call] of Object.entries(calls).filter(([name]) => !/Nir|Spiking/.test(name))) {
    const answers = []
    for (const from of [abroad, (same: unknown) => same]) {
      using world = new World(made, PATIENCE)
      try {
        answers.push(home(await call.run(world, ...(call.args(world).map(from) as never[]))))
      } catch (error) {
        answers.push(String(error))
      }
    }
    t.true(isDeepStrictEqual(answers[0], answers[1]), `${name}: ${JSON.stringify(answers).slice(0, 300)}`)
  }
  await removeFiles(made)
})

test('a library loaded into another realm: aborts, errors by their codes, its own arrays', async t => {
  const script = fileURLToPath(new URL('helpers/other-realm.mjs', import.meta.url))
  const library = new URL('../dist/index.js', import.meta.url).href
  const missing = join(tmpdir(), 'no-such-folder', 'weights.safetensors')
  const args = ['--experimental-vm-modules', '--no-warnings', script, library, missing]
  const { stdout } = await run(process.execPath, args)
  const unshared = 'an array over unshared memory (copy it with .slice())'
  t.deepEqual(JSON.parse(stdout), {
    'the abort': true,
    'arrays are of the other realm': true,
    'its own arrays': true,
    'a refusal': [true, 'invalid'],
    'a missing file': 'ENOENT',
    'a file that cannot be written': ['ENOENT', true, false],
    'shared memory': [unshared, unshared]
  })
})

/** Realms have it from Node, and share it. */
const NODES = ['AbortSignal']

/** The page runs in a browser, in one realm. */
test('nothing but a class of its own is told by instanceof', t => {
  const library = files.filter(file => !file.startsWith('dashboard/page/') && file !== 'support/recognise.ts')
  const declared = library.flatMap(file =>
    [...source(`src/${file}`).matchAll(/\bclass (\w+)/g)].map(([, name]) => name)
  )
  const own = new Set<string | undefined>([...NODES, ...declared])
  const found = library.flatMap(file =>
    source(`src/${file}`)
      .split('\n')
      .filter(line => !/^\s*(\/?\*|\/\/)/.test(line))
      .flatMap(line => [...line.matchAll(/\binstanceof ([\w.#]+)/g)].map(([, name = '']) => name))
      .filter(name => !own.has(name) && !name.startsWith('this.'))
      .map(name => `${file}: ${name}`)
  )
  t.deepEqual(found, [])
})
