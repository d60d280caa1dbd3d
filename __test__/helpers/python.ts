import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'

const OURS = fileURLToPath(new URL('../../target/python/bin/python', import.meta.url))

/** The Python that has what `fixtures/python-requirements.txt` names: MDGL_PYTHON, or the one that `.ci/run` makes. */
const PYTHON = process.env.MDGL_PYTHON ?? (existsSync(OURS) ? OURS : undefined)

/**
 * A test beside Python's own libraries. Without them it says so and passes; in CI that is a failure. `alone`: no other
 * test of the file runs at the same time.
 */
export function pythonTest(title: string, body: (t: ExecutionContext) => Promise<void>, { alone = false } = {}): void {
  const declare = alone ? test.serial : test
  declare(title, async t => {
    if (PYTHON !== undefined) return await body(t)
    if (process.env.CI) return t.fail('there is no Python for the tests of file formats: .ci/run makes target/python')
    t.log('skipped: no Python; MDGL_PYTHON names one that has __test__/fixtures/python-requirements.txt')
    t.pass()
  })
}

/** Runs a program in Python with arguments in `argv`; gives what it printed, as JSON. */
export async function python(program: string, ...args: readonly string[]): Promise<unknown> {
  const code = `import json, sys\nargv = sys.argv[1:]\n${program}`
  const { stdout } = await promisify(execFile)(PYTHON ?? '', ['-c', code, ...args], { maxBuffer: 2 ** 26 })
  return stdout === '' ? undefined : JSON.parse(stdout)
}
