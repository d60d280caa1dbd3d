import {
  type AnyNetworkBuilder,
  alignment,
  type Batch,
  channelNorms,
  delayedMatch,
  evaluate,
  evidenceAccumulation,
  gradients,
  Model,
  makeBatch,
  type NetworkDescription,
  network,
  patternGeneration,
  profile,
  simulate,
  type Task,
  train
} from '../../src/index.js'

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
  // @ts-expect-error no such population in a list
  base.project('cues', ['cells', 'cell'], { density: 1 })
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
  // @ts-expect-error LIF neurons have no synaptic current
  base.lif('more', 3, { synapticTimeConstant: 1 })
  // @ts-expect-error ALIF neurons have none either
  base.alif('more', 3, { synapticTimeConstant: 1 })
  // @ts-expect-error current-based LIF neurons do not adapt
  base.cubaLif('more', 3, { adaptationStrength: 1 })
  // @ts-expect-error no such population
  base.cubaLif('more', 3, { synapticTimeConstant: 10 }).project('cues', 'mroe', { density: 1 })
  // @ts-expect-error no such population
  base.cubaAlif('more', 3, { adaptationStrength: 1 }).project('mroe', 'choice', { density: 1 })

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
  session.addLoss({ chioce: { target: 1 } })
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

const loss = { kind: 'cross-entropy' } as const
const rule = { rule: 'mdgl' } as const

/** Losses and targets by readout, in every function that takes them. */
export const misspeltReadouts = () => {
  const model = Model.create(description)
  const batch = { length: 10, inputs: {}, targets: { choice: [0] } }
  const right = { loss: { choice: loss } }
  // @ts-expect-error no such readout
  evaluate(model, batch, { loss: { chioce: loss } })
  // @ts-expect-error no such readout
  gradients(model, batch, { rule: 'mdgl', loss: { chioce: loss } })
  // @ts-expect-error no such readout
  profile(model, batch, { rule: 'mdgl', loss: { chioce: loss } })
  // @ts-expect-error no such readout
  simulate(model, batch, { rule: 'mdgl', loss: { chioce: loss } })
  // @ts-expect-error no such readout
  alignment(model, batch, { rules: ['mdgl'], loss: { chioce: loss } })
  // @ts-expect-error no such readout
  channelNorms(model, batch, { rule: 'mdgl', loss: { chioce: loss } })
  // @ts-expect-error no such readout
  evaluate(model, { ...batch, targets: { chioce: [0] } }, right)
  // @ts-expect-error no such readout
  gradients(model, { ...batch, targets: { chioce: [0] } }, { rule: 'mdgl', ...right })
  // @ts-expect-error no such readout
  profile(model, { ...batch, targets: { chioce: [0] } }, { rule: 'mdgl', ...right })
  // @ts-expect-error no such readout
  simulate(model, { ...batch, targets: { chioce: [0] } }, { rule: 'mdgl', ...right })
  // @ts-expect-error no such readout
  alignment(model, { ...batch, targets: { chioce: [0] } }, { rules: ['mdgl'], ...right })
  // @ts-expect-error no such readout
  channelNorms(model, { ...batch, targets: { chioce: [0] } }, { rule: 'mdgl', ...right })
  return evaluate(model, batch, right)
}

const two = network()
  .input('cues', 2)
  .input('noise', 2)
  .lif('cells', 3)
  .readout('choice', 2)
  .readout('doubt', 2)
  .build()

/** The names in a task, of the network that it trains. */
export const misspeltTasks = () => {
  const model = Model.create(two)
  const losses = { choice: loss, doubt: loss }
  const rates = { rates: [{ trial: 0, units: [0, 2], from: 0, to: 10, rate: 40 }] } as const
  const inputs = { cues: rates, noise: rates }
  const targets = { choice: [0], doubt: [1] }
  const task = { name: 'x', loss: losses, batch: () => ({ length: 10, inputs, targets }) }
  const length = 10
  // @ts-expect-error no such input
  train(model, { ...task, batch: () => ({ length, inputs: { cue: rates }, targets }) }, rule)
  // @ts-expect-error one of two inputs
  train(model, { ...task, batch: () => ({ length, inputs: { cues: rates, nosie: rates }, targets }) }, rule)
  // @ts-expect-error no such readout
  train(model, { ...task, batch: () => ({ length, inputs, targets: { chioce: [0] } }) }, rule)
  // @ts-expect-error one of two readouts, in a promise
  train(model, { ...task, batch: async () => ({ length, inputs, targets: { choice: [0], duobt: [1] } }) }, rule)
  // @ts-expect-error no such readout
  train(model, { ...task, loss: { chioce: loss } }, rule)
  // @ts-expect-error one of two readouts
  train(model, { ...task, loss: { choice: loss, duobt: loss } }, rule)
  const wrongInput = {
    name: 'x',
    loss: losses,
    batch: () => ({ length: 10, inputs: { ...inputs, cue: rates }, targets })
  }
  // @ts-expect-error one input too many
  train(model, wrongInput, rule)
  const wrongTarget = {
    name: 'x',
    loss,
    batch: () => ({ length: 10, inputs, targets: { ...targets, chioce: [0] } })
  } satisfies Task
  // @ts-expect-error one target too many
  train(model, wrongTarget, rule)
  // @ts-expect-error its input is `noise`, its network's
  train(Model.create(description), patternGeneration(), rule)

  const options = { split: 'test', size: 4, seed: 1 } as const
  const ofTask = async () => {
    // @ts-expect-error a batch for `pattern-generation` has other inputs
    await evaluate(Model.create(description), await makeBatch(patternGeneration(), options), { loss })
    return await evaluate(model, await makeBatch(delayedMatch(), options), { loss: { choice: loss } })
  }
  const right = {
    name: 'x',
    loss: losses,
    batch: async () => ({ length: 10, inputs: { noise: rates }, targets })
  } satisfies Task
  return [ofTask, train(model, task, rule), train(model, right, rule), train(model, evidenceAccumulation(), rule)]
}

/** What the compiler does not know it lets pass; the library checks it when it runs. */
export const unknownNames = async (task: Task, batch: Batch, stored: NetworkDescription) => {
  let builder: AnyNetworkBuilder = network()
  for (const layer of ['L4', 'L5']) builder = builder.lif(layer, 20).project(layer, 'L4', { density: 0.1 })
  const inLoop = Model.create(builder.type('all', { L4: 'all', L5: 'all' }).channel({ from: 'all', to: 'all' }).build())
  inLoop.weights.get('L5->L4')
  train(inLoop, task, rule)
  train(Model.create(description), task, rule)
  train(Model.create(stored), evidenceAccumulation(), rule)
  await evaluate(Model.create(two), batch, { loss: task.loss })
  const ofAny = async <D extends NetworkDescription>(model: Model<D>) => {
    for await (const _ of train(model, task, rule)) await evaluate(model, batch, { loss: task.loss })
    return await gradients(model, await makeBatch(task, { split: 'test', size: 1, seed: 1 }), {
      rule: 'mdgl',
      loss: task.loss
    })
  }
  return await ofAny(Model.create(two))
}
