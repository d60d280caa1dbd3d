// A process that answers each line on its standard input with one line of JSON.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export class Worker {
  #child
  #lines
  #errors = ''

  /** Starts the program and waits for what it says of itself, which is `about`. */
  static async start(program, args, env = {}) {
    const worker = new Worker(program, args, env)
    worker.about = await worker.#answer()
    return worker
  }

  constructor(program, args, env) {
    this.#child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stderr.setEncoding('utf8').on('data', text => {
      this.#errors = `${this.#errors}${text}`.slice(-2000)
    })
    this.#child.stdin.on('error', () => undefined)
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Sends a command and gives its answer. */
  ask(command) {
    this.#child.stdin.write(`${command}\n`)
    return this.#answer()
  }

  /** Ends the process once it has nothing left to do. */
  close() {
    this.#child.stdin.end()
    this.#child.kill()
  }

  async #answer() {
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) throw new Error(`${this.#child.spawnargs.join(' ')} ended:\n${this.#errors}`)
      // Libraries greet on standard output too.
      if (value.startsWith('{')) return JSON.parse(value)
    }
  }
}
