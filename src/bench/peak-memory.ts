import { readFileSync, writeFileSync } from 'node:fs'

/** Lets the process's peak begin anew, where the system can (Linux). */
export function forgetPeakMemory(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Elsewhere the peak is the whole process's.
  }
}

/** The most memory in MB that the process has held since {@link forgetPeakMemory}, or since it began. */
export function peakMemory(): number {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (kilobytes !== undefined) return Number(kilobytes) / 1024
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS / 1024
}
