import type { RuleName } from '../rule/rule.js'
import { median } from '../support/averages.js'
import type { KernelProfile, MachinePeak, Profile } from './profile.js'

/** A profile, and of what. */
export interface ProfileRun extends Profile {
  readonly task: string
  readonly rule: RuleName
}

/** ms of an iteration with the probes off and on, and what fraction they cost. */
export function probeCost({ iterations }: Pick<Profile, 'iterations'>) {
  const plain = median(iterations.map(times => times.plain))
  const profiled = median(iterations.map(times => times.profiled))
  return { plain, profiled, cost: profiled / plain - 1 }
}

/** Part of the threads' time with work for which they had no processor. */
export function preemptedShare({ kernels }: Pick<Profile, 'kernels'>): number {
  const ms = (name: string) => kernels.find(({ kernel }) => kernel === name)?.ms ?? 0
  const whole = kernels.reduce((sum, kernel) => sum + kernel.ms, 0)
  return Math.max(0, ms('preempted')) / (whole - ms('waiting'))
}

/** A kernel's name for people. */
export const words = (kernel: string) => kernel.replaceAll('-', ' ')

/** Operations per second that the machine would allow a kernel, if all it moves came from the nearest cache. */
export function roof({ bytes, operations }: KernelProfile, peak: MachinePeak): number {
  const nearest = peak.bandwidth[0]?.bytesPerSecond ?? 0
  return Math.min(peak.operationsPerSecond, (operations / bytes) * nearest)
}

/** Work per second while a kernel runs, as if all threads were at it together. */
export function perSecond(amount: number, { ms }: KernelProfile, threads: number): number {
  return (amount * threads * 1000) / ms
}
