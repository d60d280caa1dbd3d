/** Trainings before their first iteration, by number, so that they can be garbage-collected. */
const waiting = new Map<number, true>()
const numbers = new WeakMap<object, number>()
const collected = new FinalizationRegistry<number>(number => {
  if (waiting.delete(number)) warn()
})
let made = 0
let warned = false

/** Registers a training: if it is dropped before its first iteration, it has trained nothing, and a warning says so. */
export function expectToBegin(training: object): void {
  if (made === 0) process.once('beforeExit', () => waiting.size > 0 && warn())
  made += 1
  waiting.set(made, true)
  numbers.set(training, made)
  collected.register(training, made)
}

/** Notes that a training was asked for an iteration, or was ended. */
export function hasBegun(training: object): void {
  const number = numbers.get(training)
  if (number !== undefined) waiting.delete(number)
}

function warn(): void {
  if (warned) return
  warned = true
  const text =
    'train() gives an iterator, and one was dropped before its first iteration, so that nothing was trained. Use `for await (const metrics of train(…))`, or `await fit(…)`.'
  process.emitWarning(text, { type: 'MdglWarning', code: 'MDGL_TRAINING_UNUSED' })
}
