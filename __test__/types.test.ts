import test from 'ava'
import { Model } from '../src/index.js'
import { description } from './helpers/misspelt.js'

// The names as types are checked by the compiler, in helpers/misspelt.ts.
test('names reach the runtime as the types say', t => {
  const model = Model.create(description, { precision: 'f64' })
  t.is(model.weights.get('loop').values.length, 6)
  t.is(model.weights.get('cells->choice').values.length, 6)
  t.is(model.bias.get('choice').length, 2)
})
