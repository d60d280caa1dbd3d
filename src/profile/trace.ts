import { MOST_THREADS } from '../engine/engine-session.js'
import { array, finite, object, text, wholeNumber } from '../support/check.js'
import type { Profile, ProfileSlice } from './profile.js'

/** A profile in the Trace Event Format, which Perfetto and chrome://tracing open. */
export interface ProfileTrace {
  /** The unit in which viewers show times. */
  readonly displayTimeUnit: 'ms'
  /** One track per thread; one slice for each stage of a block, within one for each iteration; times in µs. */
  readonly traceEvents: readonly TraceEvent[]
}

/** A complete event (`X`), or a name (`M`). */
export interface TraceEvent {
  /** Its name. */
  readonly name: string
  /** The kind of event. */
  readonly ph: 'X' | 'M'
  /** The process, always 1. */
  readonly pid: number
  /** The thread, from 0. */
  readonly tid: number
  /** Start in µs. */
  readonly ts?: number
  /** Duration in µs. */
  readonly dur?: number
  /** Part of the duration for which the thread had a processor, in µs. */
  readonly tdur?: number
  /** The category by which viewers filter. */
  readonly cat?: string
  /** Details, which viewers show when the event is selected. */
  readonly args: Readonly<Record<string, string | number>>
}

/**
 * The stages of a profile as a trace.
 *
 * @example
 * ```ts
 * await writeFile('run.json', JSON.stringify(traceProfile(await profile(model, batch, { rule: 'mdgl' }))));
 * ```
 * @param profile - A profile.
 */
export function traceProfile(profile: Profile): ProfileTrace {
  const { threads, iterations, slices, simd } = checkProfile(profile)
  const origin = iterations[0]?.begin ?? 0
  const complete = (
    name: string,
    tid: number,
    begin: number,
    end: number,
    rest: Pick<TraceEvent, 'tdur' | 'cat' | 'args'>
  ) => ({ name, ph: 'X', pid: 1, tid, ts: (begin - origin) / 1000, dur: (end - begin) / 1000, ...rest }) as const
  const names = Array.from({ length: threads }, (_, tid) => named('thread_name', tid, `engine thread ${tid}`))
  return {
    displayTimeUnit: 'ms',
    traceEvents: [
      named('process_name', 0, `mdgl, ${simd}`),
      ...names,
      ...iterations.map(({ begin, end }, i) =>
        complete(`iteration ${i + 1}`, 0, begin, end, { cat: 'iteration', args: { iteration: i + 1 } })
      ),
      ...slices.map(slice => complete(slice.stage, slice.thread, slice.begin, slice.end, details(slice)))
    ]
  }
}

/** A copy of what is drawn of a profile: it may have been kept in a file. */
function checkProfile(given: Profile): Pick<Profile, 'threads' | 'iterations' | 'slices' | 'simd'> {
  const { threads, iterations, slices, simd } = object(given, 'profile')
  return {
    simd: text(simd, 'profile.simd'),
    threads: wholeNumber(threads, 'profile.threads', 1, MOST_THREADS),
    iterations: array(iterations, 'profile.iterations').map((iteration, i) => ({
      ...iteration,
      ...span(iteration, `profile.iterations[${i}]`)
    })),
    slices: array(slices, 'profile.slices').map((slice, i) => {
      const path = `profile.slices[${i}]`
      const { begin, end } = span(slice, path)
      const block = slice.block === null ? null : wholeNumber(slice.block, `${path}.block`)
      return {
        stage: text(slice.stage, `${path}.stage`),
        thread: wholeNumber(slice.thread, `${path}.thread`),
        block,
        begin,
        end,
        // Earlier profiles do not have it.
        processor: slice.processor === undefined ? end - begin : finite(slice.processor, `${path}.processor`)
      }
    })
  }
}

function span(given: { readonly begin: number; readonly end: number }, path: string) {
  object(given, path)
  return { begin: finite(given.begin, `${path}.begin`), end: finite(given.end, `${path}.end`) }
}

function named(name: string, tid: number, value: string): TraceEvent {
  return { name, ph: 'M', pid: 1, tid, args: { name: value } }
}

/** `preempted` in µs: viewers show a slice from its start to its end, whether or not its thread ran. */
function details({ block, begin, end, processor }: ProfileSlice): Pick<TraceEvent, 'tdur' | 'cat' | 'args'> {
  const preempted = Math.max(0, end - begin - processor) / 1000
  const tdur = processor / 1000
  return block === null
    ? { tdur, cat: 'batch', args: { preempted } }
    : { tdur, cat: 'block', args: { block, preempted } }
}
