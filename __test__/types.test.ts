import test from 'ava'
import { Model, type NetworkDescription } from '../src/index.js'
import { description } from './helpers/misspelt.js'

// The names as types are checked by the compiler, in helpers/misspelt.ts.
test('names reach the runtime as the types say', t => {
  const model = Model.create(description, { precision: 'f64' })
  t.is(model.weights.get('loop').values.length, 6)
  t.is(model.weights.get('cells->choice').values.length, 6)
  t.is(model.bias.get('choice').length, 2)
})

/** Compiles for any model: a description in a model has every part, and projections their names. */
function synapseCounts<D extends NetworkDescription>(model: Model<D>): number[] {
  return model.description.projections.map(({ name }) => model.weights.get(name).values.length)
}

test('a function for any model knows what every description in a model has', t => {
  const plain = { schema: 'mdgl-network/1', populations: [{ name: 'cells', size: 2, model: 'lif' }] } as const
  const { dt, seed, inputs, readouts, projections } = Model.create(plain).description
  t.deepEqual(
    { dt, seed, inputs, readouts, projections },
    { dt: 1, seed: 1, inputs: [], readouts: [], projections: [] }
  )
  t.deepEqual(
    synapseCounts(Model.create(description)),
    Model.create(description)
      .weights.names()
      .map(() => 6)
  )
})
