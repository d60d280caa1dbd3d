// Loads the built library as Jest and Vitest's `vmThreads` do, and uses it there: its modules in a realm of their own, Node's own modules and
// the engine in the other one. `node --experimental-vm-modules other-realm.mjs ADDRESS_OF_LIBRARY FILE_THAT_CANNOT_BE` prints what came of it.
import { readFile } from 'node:fs/promises'
import vm from 'node:vm'

const [library, missing] = process.argv.slice(2)

const context = vm.createContext({})
const names = new Set(vm.runInContext('Object.getOwnPropertyNames(globalThis)', context))
// What JavaScript itself has is the realm's own; what Node adds is shared.
for (const name of Object.getOwnPropertyNames(globalThis)) if (!names.has(name)) context[name] = globalThis[name]

const modules = new Map()

/** A module of the realm by its address; one of Node's own by its name. */
function moduleOf(specifier, from) {
  const id = specifier.startsWith('.') ? new URL(specifier, from).href : specifier
  if (!modules.has(id)) modules.set(id, id.startsWith('file:') ? ofFile(id) : ofNode(id))
  return modules.get(id)
}

async function ofFile(id) {
  const initializeImportMeta = meta => {
    meta.url = id
  }
  return new vm.SourceTextModule(await readFile(new URL(id), 'utf8'), { context, identifier: id, initializeImportMeta })
}

async function ofNode(name) {
  const outside = await import(name)
  const exported = Object.keys(outside)
  return new vm.SyntheticModule(
    exported,
    function () {
      for (const each of exported) this.setExport(each, outside[each])
    },
    { context }
  )
}

/** Runs in the realm: it sees its arguments and the realm's globals. */
async function use({ evidenceAccumulation, MdglError, Model, train }, missing, sharedOutside) {
  const failure = async body => {
    try {
      return await body()
    } catch (error) {
      return error
    }
  }
  // Seconds of work an iteration: the abort finds the engine at it.
  const task = evidenceAccumulation({ delay: 60_000 })
  const model = Model.create(task.network({ seed: 1 }))
  const set = values => failure(() => model.weights.set('cells->cells', values))
  const stop = new AbortController()
  const reason = new Error('the test is over')
  const training = train(model, task, { rule: 'mdgl', batchSize: 64, signal: stop.signal })
  setTimeout(() => stop.abort(reason), 200)
  const aborted = await failure(() => training.next())
  const { values } = model.weights.get('cells->cells')
  const taken = await set(values)
  const unloaded = await failure(() => Model.load(missing))
  const unsaved = await failure(() => model.save(missing))
  const refused = await set([1, Number.NaN])
  const shared = await set(new Float32Array(new SharedArrayBuffer(4 * values.length)))
  const outside = await set(sharedOutside)
  return {
    'the abort': aborted === reason,
    'arrays are of the other realm': !(values instanceof Float32Array),
    'its own arrays': taken === undefined,
    'a refusal': [refused instanceof MdglError, refused.code],
    'a missing file': unloaded.code,
    'a file that cannot be written': [unsaved.code, unsaved.path === missing, unsaved.message.includes('.tmp')],
    'shared memory': [shared.allowed, outside.allowed]
  }
}

const module = await moduleOf(library)
await module.link((specifier, { identifier }) => moduleOf(specifier, identifier))
await module.evaluate()
const inside = vm.runInContext(`(${use})`, context)
console.log(JSON.stringify(await inside(module.namespace, missing, new Float32Array(new SharedArrayBuffer(4)))))
