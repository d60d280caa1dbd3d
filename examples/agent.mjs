// An agent that learns while it acts: a light moves on a ring of eight places, the agent turns towards it, and is told where it should have
// turned. Nothing is stored: memory does not grow, however long it lives.
import { Model, network } from 'mdgl'

const PLACES = 8
const THINKING = 20 // ms a turn

const description = network({ seed: 3 })
  .input('eye', PLACES)
  .lif('cells', 60, { sign: { excitatory: 48, inhibitory: 12 } })
  .readout('turn', 3) // left, stay, right
  .project('eye', 'cells', { density: 0.6, initialise: { scheme: 'normal', standardDeviation: 0.3 } })
  .project('cells', 'cells', { density: 0.1 })
  .project('cells', 'turn', { density: 1 })
  .build()

const model = Model.create(description)
const session = model.session({
  rule: 'mdgl-online',
  optimiser: { kind: 'adam', learningRate: 0.005, l1: 0, rewiring: true }
})

const turns = Number(process.argv[2] ?? 3000)
let facing = 0
let light = 3
let right = 0
for (let turn = 1; turn <= turns; turn++) {
  const seen = (light - facing + PLACES) % PLACES // where the light is, seen from where the agent looks
  let outputs
  for (let step = 0; step < THINKING; step++) ({ outputs } = session.step({ eye: Uint32Array.of(seen) }))
  const wanted = seen === 0 ? 1 : seen <= PLACES / 2 ? 2 : 0
  const action = outputs.turn.indexOf(Math.max(...outputs.turn))
  session.addLoss({ turn: { target: wanted } })
  if (turn % 8 === 0) session.update()
  right += action === wanted ? 1 : 0
  facing = (facing + action - 1 + PLACES) % PLACES
  if (turn % 3 === 0) light = (light + 1 + (turn % 4)) % PLACES
  if (turn % (turns / 10) === 0) {
    console.log(
      `turn ${turn}: ${Math.round((100 * right) / (turns / 10))} % of the last ${turns / 10} turns were right`
    )
    right = 0
  }
}
session.dispose()
