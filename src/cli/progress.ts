import { Presets, SingleBar } from 'cli-progress'
import type { Metrics } from '../operations/train.js'
import { sparkline } from './sparkline.js'

/** Shows how far a run is. */
export interface Progress {
  update(metrics: Metrics): void
  stop(): void
}

/** Shows nothing. */
export const silent: Progress = { update() {}, stop() {} }

/** A bar on a terminal's standard error. */
export function bar(label: string, iterations: number): Progress {
  const state = new State(iterations)
  const single = new SingleBar(
    { format: `${label} {bar} {status}`, hideCursor: true, clearOnComplete: true, etaBuffer: 1, barsize: 20 },
    Presets.shades_classic
  )
  single.start(iterations, 0, { status: 'starting' })
  return {
    update(metrics) {
      state.add(metrics)
      single.update(metrics.iteration, { status: state.text() })
    },
    stop: () => single.stop()
  }
}

const LINE_EVERY_MS = 10_000
/** Characters of the loss's curve. */
const CURVE = 12

/** A line on standard error every ten seconds, for logs. */
export function lines(label: string, iterations: number): Progress {
  const state = new State(iterations)
  let last = performance.now()
  return {
    update(metrics) {
      state.add(metrics)
      if (performance.now() - last < LINE_EVERY_MS) return
      last = performance.now()
      console.error(`${label}  ${state.text()}`)
    },
    stop() {}
  }
}

/** Progress of a run so far. */
class State {
  readonly #iterations: number
  readonly #start = performance.now()
  /** Iterations that were done before this process began: of a resumed run, those up to its checkpoint. */
  #before: number | undefined
  #latest: Metrics | undefined
  #validated: Metrics | undefined
  readonly #losses: number[] = []
  #msPerIteration = 0

  constructor(iterations: number) {
    this.#iterations = iterations
  }

  add(metrics: Metrics): void {
    this.#before ??= metrics.iteration - 1
    this.#latest = metrics
    if (metrics.split === 'validation') {
      this.#validated = metrics
      this.#losses.push(metrics.loss)
    } else this.#msPerIteration = metrics.msPerIteration
  }

  text(): string {
    if (this.#latest === undefined) return 'starting'
    const { iteration } = this.#latest
    const { loss, accuracy } = this.#validated ?? this.#latest
    const elapsed = performance.now() - this.#start
    const left = timeLeft(elapsed, { before: this.#before ?? 0, iteration, iterations: this.#iterations })
    return [
      `${iteration}/${this.#iterations}`,
      `loss ${loss.toFixed(3)}${this.#losses.length < 3 ? '' : ` ${sparkline(this.#losses, CURVE)}`}`,
      ...(accuracy === null || accuracy === undefined ? [] : [`accuracy ${(accuracy * 100).toFixed(0)} %`]),
      `${this.#msPerIteration.toFixed(0)} ms/iteration`,
      `${duration(left)} left`
    ].join('  ')
  }
}

/** Milliseconds to the end, at the mean pace of the iterations that this process has done. */
export function timeLeft(
  elapsed: number,
  { before, iteration, iterations }: { before: number; iteration: number; iterations: number }
): number {
  return (elapsed / Math.max(1, iteration - before)) * (iterations - iteration)
}

/** Milliseconds for people: `45 s`, `3 min 20 s`, `1 h 5 min`. */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
