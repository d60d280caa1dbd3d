import { evidenceAccumulation, type gradients, Model, network, train } from '../../src/index.js'

const base = network().input('cues', 2).lif('cells', 3).readout('choice', 2)
export const description = base
  .project('cues', 'cells', { density: 1 })
  .project('cells', 'cells', { density: 1, name: 'loop' })
  .project('cells', 'choice', { density: 1 })
  .build()

/** The compiler checks these (an error that does not come is an error itself); nothing here runs. */
export const misspelt = () => {
  // @ts-expect-error no such population
  base.project('cues', 'cell', { density: 1 })
  // @ts-expect-error no such population
  base.project('cue', 'cells', { density: 1 })
  // @ts-expect-error an input does not reach a readout
  base.project('cues', 'choice', { density: 1 })
  // @ts-expect-error either a density or connections
  base.project('cues', 'cells', { density: 1, connections: { pre: [], post: [], values: [] } })
  // @ts-expect-error one of density and connections
  base.project('cues', 'cells', {})
  // @ts-expect-error no such population
  base.type('all', { cell: 'all' })
  // @ts-expect-error no such type
  base.type('all', { cells: 'all' }).channel({ from: 'cells', to: 'all' })
  // @ts-expect-error LIF neurons do not adapt
  base.lif('more', 3, { adaptationStrength: 1 })

  const model = Model.create(description, { precision: 'f64' })
  // @ts-expect-error no such projection
  model.weights.get('typo')
  // @ts-expect-error the projection has a name of its own
  model.weights.set('cells->cells', [])
  // @ts-expect-error no such readout
  model.bias.get('chioce')
  // @ts-expect-error no such projection
  train(model, evidenceAccumulation(), { rule: 'mdgl', freeze: ['typo'] })
  // @ts-expect-error no such rule
  train(model, evidenceAccumulation(), { rule: 'mdlg' })
  // @ts-expect-error no such precision
  Model.create(description, { precision: 'f16' })
  type Inputs = Parameters<typeof gradients<typeof description, 'f64'>>[1]['inputs']
  // @ts-expect-error no such input
  const inputs: Inputs = { cue: { rates: [] } }

  const session = model.session({ rule: 'mdgl-online' })
  // @ts-expect-error a rule that needs the end of a trial
  model.session({ rule: 'mdgl' })
  // @ts-expect-error no such input
  session.step({ cue: Uint32Array.of(1) })
  // @ts-expect-error no such readout
  session.learn({ chioce: { target: 1 } })
  // @ts-expect-error no such population
  session.step().spikes.cell
  const outputs: Float64Array = session.step({ cues: Uint32Array.of(1) }).outputs.choice

  const values: Float64Array = model.weights.get('loop').values
  // @ts-expect-error doubles, not floats
  const floats: Float32Array = model.weights.get('loop').values
  const defaults: Float32Array = Model.create(description).weights.get('cues->cells').dense()
  const task = evidenceAccumulation()
  Model.create(task.network({ seed: 1 })).weights.get('cues->cells')
  return { inputs, outputs, values, floats, defaults }
}
