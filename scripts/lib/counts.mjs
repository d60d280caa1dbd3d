// Reads the true counts from what the two test runners print.

const sum = (output, pattern) => [...output.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0)

/** A runner that says it failed, with no failed test to show for it, has failed once. */
const withExitCode = (passed, failed, code) => ({ passed, failed: code !== 0 && failed === 0 ? 1 : failed })

/** A test binary that crashed has been started and has no result line: it counts as one failure. */
export function readCargo(output, code) {
  const started = [...output.matchAll(/^ +(?:Running|Doc-tests) /gm)].length
  const finished = [...output.matchAll(/^test result: /gm)].length
  const passed = sum(output, /^test result: .*?(\d+) passed/gm)
  const failed = sum(output, /^test result: .*?(\d+) failed/gm)
  return withExitCode(passed, failed + Math.max(0, started - finished), code)
}

/**
 * A file that crashed, or in which nothing ran, has a `not ok` line of its own. That a process ended with an exit code
 * is the consequence of a failure listed before it, and no failure more.
 */
export function readTap(output, code) {
  const results = [...output.matchAll(/^(not )?ok \d+(.*)$/gm)].filter(([line]) => !/ # (?:SKIP|TODO)$/.test(line))
  const failed = results.filter(
    ([line, not]) => not !== undefined && !/ exited with a non-zero exit code: \d+$/.test(line)
  )
  const passed = results.filter(([, not]) => not === undefined)
  return withExitCode(passed.length, failed.length, code)
}
