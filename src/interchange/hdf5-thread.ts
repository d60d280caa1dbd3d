import type { Worker } from 'node:worker_threads'
import { type ErrorDetails, MdglError } from '../support/error.js'
import { startHdf5 } from '../support/own-file.js'
import { badFile } from './file-error.js'
import type { Jobs } from './hdf5-jobs.js'

export interface Question {
  readonly number: number
  readonly job: keyof Jobs
  readonly given: readonly unknown[]
}

export interface Answer {
  readonly number: number
  readonly value?: unknown
  /** Text where it is no {@link MdglError}. */
  readonly error?: ErrorDetails | string
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** HDF5's reader may search a damaged file without end: it is stopped after so many ms without an answer. */
const DEADLINE = 60_000

/**
 * HDF5 on a thread of its own, so that no file holds up the program that reads it. A thread that has ended, by a deadline
 * or by want of memory, answers what is still asked with `'file'`.
 */
export class Hdf5Thread implements Disposable {
  readonly #deadline: number
  readonly #path: string
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #timer: NodeJS.Timeout | undefined
  #ended: MdglError | undefined

  /** @param path - The file that errors of the thread name. */
  constructor(path: string | URL, deadline = DEADLINE) {
    this.#path = String(path)
    this.#deadline = deadline
    this.#worker = startHdf5({ name: 'mdgl-hdf5', stderr: true, ...nodeOptions() })
    // What the library prints of its failures is in the error.
    this.#worker.stderr.resume()
    this.#worker.unref()
    this.#worker.on('message', (answer: Answer) => this.#receive(answer))
    this.#worker.on('error', error => this.#end('cannot be read; HDF5 failed on it', error))
  }

  /** Asks for a job; jobs are done in the order they are asked for. */
  ask<K extends keyof Jobs>(job: K, ...given: Parameters<Jobs[K]>): Promise<Awaited<ReturnType<Jobs[K]>>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      const number = this.#asked++
      this.#worker.postMessage({ number, job, given } satisfies Question)
      this.#waiting.set(number, { resolve: resolve as Waiting['resolve'], reject })
      if (this.#waiting.size === 1) this.#watch()
    })
  }

  /** Ends the thread; what is still asked of it is rejected with `'disposed'`. */
  [Symbol.dispose](): void {
    const message = `${this.#path} was closed.`
    this.#stop(new MdglError({ code: 'disposed', message }))
  }

  #receive({ number, value, error }: Answer): void {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    this.#watch()
    if (error === undefined) waiting?.resolve(value)
    else if (typeof error === 'string') waiting?.reject(badFile(this.#path, `cannot be read; ${error}`))
    else waiting?.reject(new MdglError(error))
  }

  /** While an answer is due the program stays, and waits for it only so long. */
  #watch(): void {
    clearTimeout(this.#timer)
    if (this.#waiting.size === 0) this.#worker.unref()
    else {
      this.#worker.ref()
      const reason = `is damaged: HDF5 found nothing in it for ${this.#deadline / 1000} s`
      this.#timer = setTimeout(() => this.#end(reason), this.#deadline)
    }
  }

  #end(reason: string, cause?: unknown): void {
    this.#stop(badFile(this.#path, reason, cause))
  }

  #stop(error: MdglError): void {
    this.#ended ??= error
    clearTimeout(this.#timer)
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
    void this.#worker.terminate()
  }
}

/** What Node was started with holds for its threads too; an option that is for programs given as text would fail there. */
function nodeOptions(): { execArgv?: string[] } {
  return process.execArgv.some(option => option.startsWith('--input-type')) ? { execArgv: [] } : {}
}
