// A program of a service: training with a schedule and patience, tensors in, answers out, a model as bytes. Run from the packed library
// here and from the built one in `__test__/entry-points.test.ts`.

export const PROGRAM = `import { cosine, fit, Model, predict } from 'mdgl'
import { denseEvents } from 'mdgl/encoders'
import { evidenceAccumulation } from 'mdgl/tasks'

const task = evidenceAccumulation({ cues: 1, delay: 100 })
const model = Model.create(task.network({ seed: 1 }))
const { history } = await fit(model, task, { rule: 'mdgl', iterations: 200, learningRate: cosine(0.01), validateEvery: 10, patience: 5 })

const [T, B, U] = [300, 3, 40] // as snnTorch lays them out: time, trial, unit
const spikes = new Uint8Array(T * B * U)
for (let i = 0; i < spikes.length; i += 7) spikes[i] = 1
const cues = denseEvents(spikes, { layout: 'time-trial-unit', shape: [T, B, U] })
const batch = { length: T, trials: B, inputs: { cues } }
const { choice } = await predict(model, batch)

const copy = await Model.fromBytes(await model.toBytes())
const again = await predict(copy, batch)
console.log(
  JSON.stringify({
    iterations: history.train.length,
    validations: history.validation.length,
    classes: [...choice.classes],
    probabilities: [...choice.probabilities],
    values: choice.values.length,
    same: Object.values(again).every(({ values }) => values.join() === choice.values.join())
  })
)
`

/** Runs it from ESM and compiled from TypeScript, with a tsconfig.json that is there; refuses different or empty answers. */
export async function tryProgram(project) {
  project.write('embedding.mjs', PROGRAM)
  project.write('embedding.mts', PROGRAM)
  const plain = await project.run('node', ['embedding.mjs'])
  await project.run('node', ['node_modules/typescript/bin/tsc', '--project', '.'])
  const compiled = await project.run('node', ['compiled/embedding.mjs'])
  if (compiled !== plain || JSON.parse(plain).same !== true)
    throw new Error(`the embedding program does not print the same:\n${plain}---\n${compiled}`)
}
