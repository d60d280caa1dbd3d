// How busy the machine is, from /proc/stat; on other systems nothing is known, and the commands do not wait.
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const WINDOW_MS = 400
const TICKS_PER_SECOND = 100

function busySeconds() {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
}

/** The number of cores in use while this process sleeps: other processes' work. Null where it cannot be known. */
export async function coresInUse() {
  if (!existsSync('/proc/stat')) return null
  const before = busySeconds()
  const begun = performance.now()
  await sleep(WINDOW_MS)
  return ((busySeconds() - before) * 1000) / (performance.now() - begun)
}

/** Waits up to `limit` ms until others use less than a quarter of a core; gives what they use at the end. */
export async function waitQuiet(limit = 15_000) {
  const end = performance.now() + limit
  let used = await coresInUse()
  while (used !== null && used > 0.25 && performance.now() < end) used = await coresInUse()
  return used
}
