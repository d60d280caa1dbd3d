import { type ProfileRun, perSecond, preemptedShare, probeCost, roof, words } from '../profile/figures.js'
import type { KernelProfile, MachinePeak } from '../profile/profile.js'
import { table } from './table.js'

/** Twice the standard error: the true value is within it in 19 of 20 profiles. */
const COVERAGE = 1.96

/** The whole report. */
export function readableProfile(run: ProfileRun): string {
  const { task, rule, threads, simd, precision, every, iterations } = run
  const { plain, profiled, cost } = probeCost(run)
  const preempted = preemptedShare(run)
  const parts = [
    `${task}, ${rule}, ${plural(threads, 'thread')}, ${simd}, ${precision}: ${plain.toFixed(2)} ms per iteration`,
    `  median of ${iterations.length}; with the probes ${profiled.toFixed(2)} ms, ${(100 * cost).toFixed(1)} % more;` +
      ` one step in ${every} timed, ± is 1.96 standard errors of that`,
    ...(preempted < NOTABLE ? [] : [preemption(preempted)]),
    '',
    kernelTable(run)
  ]
  if (threads > 1) parts.push('', 'ms in each thread', threadTable(run))
  if (run.peaks.length > 0) parts.push('', 'measured peaks of this machine', peakTable(run.peaks))
  return parts.join('\n')
}

/** From this part of the threads' work on the report says that they were preempted. */
const NOTABLE = 0.02

function preemption(share: number): string {
  return (
    `  the threads had no processor for ${(100 * share).toFixed(0)} % of the time in which they had work: other processes ran;` +
    ' iterations hold that time, kernels do not'
  )
}

const HEADER = ['kernel', 'ms', '±', '%', 'calls', '10³ updates', '10³ syn. events', 'MB', 'GB/s', 'Gop/s', '% of roof']

function kernelTable(run: ProfileRun): string {
  const { threads, peaks } = run
  const kernels = run.kernels.filter(isOfUse)
  const whole = kernels.reduce((sum, { ms }) => sum + ms, 0)
  const peak = peaks.find(one => one.threads === threads)
  const rows = kernels.map(kernel => {
    const { ms, standardError, calls, neuronUpdates, synapticEvents, bytes, operations } = kernel
    const achieved = perSecond(operations, kernel, threads)
    const known = operations > 0 && ms > 0
    return [
      words(kernel.kernel),
      ms.toFixed(3),
      standardError > 0 ? (COVERAGE * standardError).toFixed(3) : '',
      ((100 * ms) / whole).toFixed(1),
      calls > 0 ? String(calls) : '',
      thousands(neuronUpdates),
      thousands(synapticEvents),
      bytes > 0 ? (bytes / 1e6).toFixed(1) : '',
      bytes > 0 && ms > 0 ? (perSecond(bytes, kernel, threads) / 1e9).toFixed(1) : '',
      known ? (achieved / 1e9).toFixed(2) : '',
      known && peak !== undefined ? ((100 * achieved) / roof(kernel, peak)).toFixed(0) : ''
    ]
  })
  const sum = ['all threads together', whole.toFixed(3), '', '100.0', '', '', '', '', '', '', '']
  return table([HEADER, ...rows, sum], 1)
}

const MOST_COLUMNS = 8

/** One column per thread; of many threads the least and the most. */
function threadTable({ kernels, threads }: ProfileRun): string {
  const shown = kernels.filter(isOfUse)
  const times = ({ byThread }: KernelProfile) => byThread.map(({ ms }) => ms)
  if (threads > MOST_COLUMNS) {
    const rows = shown.map(kernel => [kernel, Math.min(...times(kernel)), Math.max(...times(kernel))] as const)
    return table(
      [['kernel', 'least', 'most'], ...rows.map(([{ kernel }, ...ends]) => [words(kernel), ...ends.map(fixed)])],
      1
    )
  }
  const header = ['kernel', ...Array.from({ length: threads }, (_, thread) => `thread ${thread}`)]
  return table([header, ...shown.map(kernel => [words(kernel.kernel), ...times(kernel).map(fixed)])], 1)
}

function peakTable(peaks: readonly MachinePeak[]): string {
  const levels = peaks[0]?.bandwidth ?? []
  return table(
    [
      ['', ...peaks.map(({ threads }) => plural(threads, 'thread'))],
      ['multiply-adds, Gop/s', ...peaks.map(peak => (peak.operationsPerSecond / 1e9).toFixed(0))],
      ...levels.map(({ level }, i) => [
        `${level === 'memory' ? 'memory' : `${level} cache`}, GB/s`,
        ...peaks.map(({ bandwidth }) => ((bandwidth[i]?.bytesPerSecond ?? 0) / 1e9).toFixed(1))
      ])
    ],
    1
  )
}

/** Whether a kernel took part. */
const isOfUse = ({ ms, calls }: KernelProfile) => ms !== 0 || calls > 0
const fixed = (ms: number) => ms.toFixed(3)
const thousands = (count: number) => (count > 0 ? (count / 1e3).toFixed(1) : '')
const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`
