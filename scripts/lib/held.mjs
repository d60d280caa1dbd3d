// How long JavaScript's thread is held at a time, measured from inside: every callback and every continuation of a promise.
import { createHook } from 'node:async_hooks'
import { performance } from 'node:perf_hooks'

/** The pieces of work on this thread while `body` runs, each one's duration in ms. */
export async function heldBy(body) {
  const pieces = []
  let begun = 0
  let depth = 0
  const hook = createHook({
    // Without `init` Node does not tell of promises.
    init() {},
    before() {
      if (depth++ === 0) begun = performance.now()
    },
    after() {
      // The hook is set within a piece, whose end comes without a beginning.
      if (depth > 0 && --depth === 0) pieces.push(performance.now() - begun)
    }
  })
  hook.enable()
  try {
    // In a turn of its own, so that its first, synchronous part is a piece too.
    await new Promise((resolve, reject) => setImmediate(() => body().then(resolve, reject)))
  } finally {
    hook.disable()
  }
  return pieces
}

/** The value below which a share of the values lies. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
