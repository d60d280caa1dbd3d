// Says clearly what is missing before anything else can fail in an unclear way.
import { spawnSync } from 'node:child_process'

const MINIMUM = { node: [20, 19], rust: [1, 89] }

/** A failure the user can mend; its message says how. */
export class SetupError extends Error {}

function atLeast(version, minimum) {
  const [major, minor] = version.split('.').map(Number)
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1])
}

export function checkNode() {
  if (!atLeast(process.versions.node, MINIMUM.node)) {
    throw new SetupError(
      `mdgl needs Node ${MINIMUM.node.join('.')} or newer, and this is Node ${process.versions.node}. Get a newer one at https://nodejs.org, then run the command again.`
    )
  }
}

/** Returns the compiler's full version, which is part of what a build depends on. */
export function checkRust() {
  const needed = MINIMUM.rust.join('.')
  const advice = 'Install it with rustup (https://rustup.rs) or run `rustup update stable`, then run the command again.'
  for (const tool of ['rustc', 'cargo']) {
    const found = spawnSync(tool, ['--version'], { encoding: 'utf8' })
    const version = found.status === 0 ? /\d+\.\d+\.\d+/.exec(found.stdout) : null
    if (version === null) {
      throw new SetupError(`mdgl needs Rust ${needed} or newer, and \`${tool}\` did not run. ${advice}`)
    }
    if (!atLeast(version[0], MINIMUM.rust)) {
      throw new SetupError(`mdgl needs Rust ${needed} or newer, and \`${tool}\` is ${version[0]}. ${advice}`)
    }
  }
  return spawnSync('rustc', ['--version', '--verbose'], { encoding: 'utf8' }).stdout.trim()
}
