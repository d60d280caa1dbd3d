import { isDeepStrictEqual, types } from 'node:util'
import fc from 'fast-check'
import { gradients, MdglError, Model } from '../../../src/index.js'
import { type Call, calls } from './calls.js'
import { type Damage, type Done, damageArguments, damages, memoryOf, thawed } from './damage.js'
import { noNumbers, Own } from './values.js'
import { batch, crossEntropy, description, type Files, World, weightsOf } from './world.js'

/** A call and what is wrong with it: plain JSON. */
export interface Plan {
  readonly call: string
  readonly damages: readonly Damage[]
}

/** What came of a call. */
export interface Verdict {
  /** `value`, an error's code, `own` for an error of the caller's, `system` for one of the system's. */
  readonly outcome: string
  /** What must not have happened. */
  readonly finding: string | undefined
}

const weighted = Object.entries(calls).map(([name, { weight = 10 }]) => ({ weight, arbitrary: fc.constant(name) }))

/** Calls of every function with damaged arguments. */
export const plans: fc.Arbitrary<Plan> = fc.record({ call: fc.oneof(...weighted), damages })

/** Longer than any call may take, on the slowest machine. */
const DEADLINE = 60_000
/** After so many ms a call that has a signal is stopped by it. */
const PATIENCE = 2000
const MOST_MESSAGE = 2000
const DEEPEST_RESULT = 8

/** Makes calls and judges what comes of them. */
export class Judge implements Disposable {
  readonly #files: Files
  readonly #witness: Model
  readonly #honest = new Map<string, unknown>()
  #expected: unknown

  constructor(files: Files) {
    this.#files = files
    this.#witness = Model.create(description(), { precision: 'f64' })
  }

  /** Makes one call. */
  async attempt({ call: name, damages: planned }: Plan): Promise<Verdict> {
    const call = calls[name]
    if (call === undefined) throw new Error(`there is no call '${name}'`)
    using world = new World(this.#files, PATIENCE)
    const args = thawed(call.args(world))
    if (name.startsWith('OnlineSession')) void world.session
    world.remember()
    const done = planned.flatMap(damage => damageArguments(args, damage, which => world.reenter(which)) ?? [])
    keepSignal(args, world)
    const { value, error } = await settled(() => call.run(world, ...(args as never[])))
    const finding =
      numbersLost(world.model) ??
      (error === undefined
        ? ((await this.#wrongValue(name, value, done)) ?? wrongChange(call, world))
        : (wrongError(error.thrown) ?? wrongRemains(world)))
    return {
      outcome: error === undefined ? 'value' : outcomeOf(error.thrown),
      finding: finding ?? (await this.#wrongWitness())
    }
  }

  [Symbol.dispose](): void {
    this.#witness.dispose()
  }

  async #wrongValue(name: string, value: unknown, done: readonly Done[]): Promise<string | undefined> {
    const place = calls[name]?.reads ? undefined : notFinite(value)
    if (place !== undefined) return `gave a number that is not finite, at ${place}`
    const [only, ...more] = done
    if (only === undefined || more.length > 0) return undefined
    if (isAccepted(calls[name] as Call, only)) return `took ${only.damage.value} for a number at ${only.path}`
    if (!isHarmless(only)) return undefined
    const honest = await this.#answerOf(name)
    return isDeepStrictEqual(value, honest) ? undefined : `gave another answer for the same numbers at ${only.path}`
  }

  /** What the call gives where nothing is wrong with it. */
  async #answerOf(name: string): Promise<unknown> {
    if (!this.#honest.has(name)) {
      using world = new World(this.#files, DEADLINE)
      const call = calls[name] as Call
      this.#honest.set(name, await call.run(world, ...(thawed(call.args(world)) as never[])))
    }
    return this.#honest.get(name)
  }

  /** Another model's answer must not change, whatever happened beside it. */
  async #wrongWitness(): Promise<string | undefined> {
    const { evaluation, norm, projections } = await gradients(this.#witness, batch(), {
      rule: 'mdgl',
      loss: crossEntropy,
      seed: 9
    })
    const answer = [evaluation, norm, projections, weightsOf(this.#witness)]
    this.#expected ??= answer
    return isDeepStrictEqual(answer, this.#expected) ? undefined : 'another model gives another gradient since'
  }
}

/** Judges what reads a file: errors as of every call, numbers that are numbers. */
export async function verdictOf(body: () => Promise<unknown>): Promise<Verdict> {
  const { value, error } = await settled(body)
  if (error !== undefined) return { outcome: outcomeOf(error.thrown), finding: wrongError(error.thrown) }
  const place = notFinite(value)
  return { outcome: 'value', finding: place && `gave a number that is not finite, at ${place}` }
}

interface Settled {
  readonly value?: unknown
  readonly error?: { readonly thrown: unknown }
}

class Overdue extends Error {}

async function settled(body: () => unknown): Promise<Settled> {
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Overdue()), DEADLINE)
  })
  try {
    return { value: await Promise.race([body(), overdue]) }
  } catch (thrown) {
    return { error: { thrown } }
  } finally {
    clearTimeout(timer)
  }
}

/** A run without end is ended by its signal, so one that a damage took away is put back. */
function keepSignal(args: unknown[], { signal }: World): void {
  for (const options of args) {
    if (typeof options !== 'object' || options === null) continue
    const descriptor = silently(() => Object.getOwnPropertyDescriptor(options, 'loss'))
    if (descriptor === undefined || silently(() => Object.hasOwn(options, 'batch')) !== false) continue
    const given = silently(() => Object.getOwnPropertyDescriptor(options, 'signal'))
    if (given === undefined || given.value === undefined) silently(() => Object.assign(options, { signal }))
  }
}

function silently<T>(body: () => T): T | undefined {
  try {
    return body()
  } catch {
    return undefined
  }
}

function outcomeOf(error: unknown): string {
  if (error instanceof MdglError) return error.code
  return error instanceof Own ? 'own' : 'system'
}

const isSystem = (error: unknown) => error instanceof Error && 'syscall' in error && 'code' in error

/** What a proxy of the caller's throws that was revoked while the library looked at it, or before it could be asked. */
const isRevoked = (error: unknown) =>
  error instanceof TypeError && / a proxy that has been revoked$/.test(error.message)

function wrongError(error: unknown): string | undefined {
  if (error instanceof Overdue) return `gave no answer within ${DEADLINE / 1000} s`
  if (error instanceof Own || isSystem(error) || isRevoked(error)) return undefined
  if (!(error instanceof MdglError)) return `failed with ${String(error instanceof Error ? error.stack : error)}`
  if (error.code === 'internal') return `failed within: ${error.message}`
  if (error.message.length === 0 || error.message.length > MOST_MESSAGE)
    return `has a message of ${error.message.length} characters`
  if (error.code === 'invalid' && (!error.path || !error.allowed))
    return `does not say where or what is allowed: ${error.message}`
  return undefined
}

/** Whatever was done to a model, what it holds is numbers, biases too. */
function numbersLost(model: Model): string | undefined {
  const { projections = [], readouts = [] } = model.description
  const held = () => [
    projections.map(({ name = '' }) => model.weights.get(name).values),
    readouts.map(({ name }) => model.bias.get(name))
  ]
  const place = notFinite(silently(held), 'the model')
  return place && `left a number in the model that is not finite, at ${place}`
}

function wrongRemains(world: World): string | undefined {
  if (world.touched) return undefined
  return world.state() === world.told ? undefined : 'failed and left the model or its session changed'
}

function wrongChange({ changes = false }: Call, world: World): string | undefined {
  if (changes || world.touched) return undefined
  return world.told.startsWith(weightsOf(world.model)) ? undefined : 'changed the weights of a model that it only reads'
}

/** A value that is no number, taken where a number stood. */
function isAccepted(call: Call, { path, before, damage }: Done): boolean {
  const wrong = damage.how === 'replace' && Object.hasOwn(noNumbers, damage.value) && typeof before === 'number'
  return wrong && call.loose?.test(path) !== true
}

/** The same numbers behind a proxy, in memory that may change its size, or in another realm's array. */
function isHarmless({ before, damage }: Done): boolean {
  if (damage.how === 'proxy') return typeof before !== 'function'
  return damage.how === 'memory' && ['resizable', 'elsewhere'].includes(memoryOf(damage))
}

/** Where a result has a number that is none. */
function notFinite(value: unknown, path = 'the result', depth = 0): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : path
  if (typeof value !== 'object' || value === null || types.isProxy(value) || depth > DEEPEST_RESULT) return undefined
  if (ArrayBuffer.isView(value)) {
    const wrong = Array.from(value as Float64Array).findIndex(
      entry => typeof entry === 'number' && !Number.isFinite(entry)
    )
    return wrong < 0 ? undefined : `${path}[${wrong}]`
  }
  for (const [key, part] of Object.entries(value)) {
    const found = notFinite(part, `${path}.${key}`, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}
