import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { evaluate, MdglError, Model, network, saveNir, train } from '../src/index.js'
import { invalidAt } from './helpers/expect.js'
import { collect, sides, smallBatch, smallNetwork } from './helpers/small.js'

test('the precision decides the typed array', t => {
  t.true(Model.create(smallNetwork()).weights.get('cells->cells').values instanceof Float32Array)
  t.true(Model.create(smallNetwork(), { precision: 'f64' }).weights.get('cells->cells').values instanceof Float64Array)
})

test('synapses are ordered by post, then pre, and the dense view has them in place', t => {
  const projection = Model.create(smallNetwork(), { precision: 'f64' }).weights.get('cells->slow')
  const { pre, post, values, shape } = projection
  t.deepEqual(shape, [30, 10])
  const dense = projection.dense()
  t.is(dense.length, 300)
  values.forEach((value, i) => {
    t.is(dense[(pre[i] ?? 0) * 10 + (post[i] ?? 0)], value)
    if (i > 0) t.true((post[i - 1] ?? 0) * 30 + (pre[i - 1] ?? 0) < (post[i] ?? 0) * 30 + (pre[i] ?? 0))
  })
})

test('explicit connections keep their values', t => {
  const description = network()
    .input('in', 2)
    .lif('cells', 2)
    .project('in', 'cells', { connections: { pre: [1, 0], post: [0, 1], values: [0.5, -0.25] } })
    .build()
  const { pre, post, values } = Model.create(description, { precision: 'f64' }).weights.get('in->cells')
  t.deepEqual([...pre], [1, 0])
  t.deepEqual([...post], [0, 1])
  t.deepEqual([...values], [0.5, -0.25])
})

test('weights and biases can be written', t => {
  const model = Model.create(smallNetwork(), { precision: 'f64' })
  const { values } = model.weights.get('cues->slow')
  const changed = values.map(value => value / 2)
  model.weights.set('cues->slow', changed)
  model.bias.set('choice', [0.25, -1])
  t.deepEqual(model.weights.get('cues->slow').values, changed)
  t.deepEqual([...model.bias.get('choice')], [0.25, -1])
})

test('weights that are refused leave the old ones', t => {
  const model = Model.create(smallNetwork())
  const before = model.weights.get('back').values
  invalidAt(t, 'weights.back[3]', () =>
    model.weights.set(
      'back',
      before.map((value, i) => (i === 3 ? Number.NaN : value))
    )
  )
  invalidAt(t, 'weights.back', () => model.weights.set('back', [1, 2]))
  invalidAt(t, /^weights\.back\[0\]/, () =>
    model.weights.set(
      'back',
      before.map(value => -value - 1)
    )
  )
  t.deepEqual(model.weights.get('back').values, before)
})

test('save and load keep everything', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-'))
  try {
    const file = join(folder, 'model.safetensors')
    const model = Model.create(smallNetwork(), { precision: 'f64' })
    await collect(train(model, sides, { rule: 'mdgl', iterations: 2 }))
    await model.save(file)
    const loaded = await Model.load(file)
    t.is(loaded.precision, 'f64')
    t.deepEqual(loaded.description, model.description)
    t.deepEqual(loaded.weights.get('cells->cells').values, model.weights.get('cells->cells').values)
    t.deepEqual(loaded.bias.get('choice'), model.bias.get('choice'))
    t.deepEqual(await readdir(folder), ['model.safetensors'])
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a file that is no model is refused', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'mdgl-'))
  try {
    const file = join(folder, 'model.safetensors')
    await writeFile(file, 'not a model')
    const error = await t.throwsAsync(Model.load(file), { instanceOf: MdglError })
    t.is(error.code, 'file')
    t.true(error.message.startsWith(`${file}: `))
    await Model.create(smallNetwork()).save(file)
    const bytes = await readFile(file)
    await writeFile(file, bytes.subarray(0, bytes.length - 7))
    t.is((await t.throwsAsync(Model.load(file), { instanceOf: MdglError })).code, 'file')
    await t.throwsAsync(Model.load(join(folder, 'missing')), { code: 'ENOENT' })
    const nowhere = join(folder, 'missing', 'model.safetensors')
    const unsaved = await t.throwsAsync(Model.create(smallNetwork()).save(nowhere), { code: 'ENOENT' })
    t.true(unsaved.message.endsWith(`'${nowhere}'`), unsaved.message)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a clone goes its own way', async t => {
  const model = Model.create(smallNetwork())
  await collect(train(model, sides, { rule: 'eprop', iterations: 1 }))
  const copy = model.clone()
  const before = copy.weights.get('cells->choice').values
  await collect(train(model, sides, { rule: 'eprop', iterations: 1 }))
  t.deepEqual(copy.weights.get('cells->choice').values, before)
  t.notDeepEqual(model.weights.get('cells->choice').values, before)
})

test('a clone has the optimiser state', async t => {
  const model = Model.create(smallNetwork())
  await collect(train(model, sides, { rule: 'eprop', iterations: 2 }))
  const copy = model.clone()
  for (const each of [model, copy]) await collect(train(each, sides, { rule: 'eprop', iterations: 1 }))
  t.deepEqual(copy.weights.get('cells->choice').values, model.weights.get('cells->choice').values)
})

test('a disposed model says so', async t => {
  const model = Model.create(smallNetwork())
  model.dispose()
  model.dispose()
  for (const use of [
    () => model.weights.get('back'),
    () => model.clone(),
    () => train(model, sides, { rule: 'mdgl' })
  ]) {
    t.is(t.throws(use, { instanceOf: MdglError }).code, 'disposed')
  }
  const rejected = evaluate(model, smallBatch(), { loss: { kind: 'cross-entropy' } })
  t.is((await t.throwsAsync(rejected, { instanceOf: MdglError })).code, 'disposed')
})

test('a model of another copy of the package is told from what is none, with where both copies are', async t => {
  const built: string = '../dist/index.js'
  const other: typeof import('../src/index.js') = await import(built)
  const foreign = other.Model.create(smallNetwork())
  const { version } = (await import('../package.json', { with: { type: 'json' } })).default
  const uses = [
    () => evaluate(foreign, smallBatch(), { loss: { kind: 'cross-entropy' } }),
    async () => collect(train(foreign, sides, { rule: 'mdgl' })),
    () => saveNir(foreign, 'nowhere.nir')
  ]
  for (const use of uses) {
    const error = await t.throwsAsync(use, { instanceOf: MdglError, code: 'invalid' })
    t.is(error.path, 'model')
    const copy = `version ${version.replaceAll('.', '\\.')} at \\S+`
    t.regex(
      error.message,
      new RegExp(`^model is a Model of another copy of mdgl, ${copy}; allowed: a Model of this one, ${copy}\\. `)
    )
  }
  for (const none of [{}, new Proxy(Model.create(smallNetwork()), {}), null, 'model']) {
    const error = await t.throwsAsync(() => saveNir(none as never, 'nowhere.nir'), { instanceOf: MdglError })
    t.regex(error.message, /; allowed: a Model\.$/)
  }
})
