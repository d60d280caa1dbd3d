// What runs on a thread of HDF5: it does one job after the other and answers each.
import { parentPort } from 'node:worker_threads'
import { MdglError } from '../support/error.js'
import { jobs } from './hdf5-jobs.js'
import type { Answer, Question } from './hdf5-thread.js'

const port = parentPort
if (port === null) throw new Error('this module is for a worker thread')

let last: Promise<void> = Promise.resolve()
port.on('message', (question: Question) => {
  last = last.then(async () => {
    const answered = await answer(question)
    port.postMessage(answered, buffersOf(answered.value))
  })
})

/** What goes over to the asker instead of being copied: the numbers that a value is, or has at its top. */
function buffersOf(value: unknown): ArrayBuffer[] {
  const views = (ArrayBuffer.isView(value) ? [value] : Object.values(value ?? {})).filter(part =>
    ArrayBuffer.isView(part)
  )
  return views.map(({ buffer }) => buffer as ArrayBuffer)
}

async function answer({ number, job, given }: Question): Promise<Answer> {
  try {
    return { number, value: await (jobs[job] as (...given: unknown[]) => Promise<unknown>)(...given) }
  } catch (error) {
    if (!(error instanceof MdglError)) return { number, error: String(error) }
    const { code, message, path, value, allowed, cause } = error
    return { number, error: { code, message, path, value, allowed, cause: cause && String(cause) } }
  }
}
