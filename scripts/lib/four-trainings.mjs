// Four trainings of Fig. 3C at once, for so many milliseconds; as a program it says 'ready' first.
import { Model } from '../../dist/model/model.js'
import { train } from '../../dist/operations/train.js'
import { evidenceAccumulation } from '../../dist/tasks/evidence-accumulation.js'

const RULES = ['bptt', 'eprop', 'mdgl', 'nl-mdgl']

/** Trains until the time is over; gives the number of iterations of all. */
export async function fourTrainings(milliseconds) {
  const stop = AbortSignal.timeout(milliseconds)
  const iterations = await Promise.all(
    RULES.map(async (rule, i) => {
      const task = evidenceAccumulation()
      const model = await Model.createAsync(task.network({ seed: i + 1 }))
      let done = 0
      try {
        for await (const { iteration } of train(model, task, { rule, seed: i + 1, signal: stop })) done = iteration
      } catch (error) {
        if (error !== stop.reason) throw error
      }
      return done
    })
  )
  return iterations.reduce((sum, done) => sum + done, 0)
}

if (import.meta.main ?? process.argv[1] === new URL(import.meta.url).pathname) {
  console.log('ready')
  await fourTrainings(Number(process.argv[2]))
}
