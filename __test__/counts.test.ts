import test from 'ava'
import { readCargo, readTap } from '../scripts/lib/counts.mjs'

const CARGO = `     Running unittests src/lib.rs (target/debug/deps/mdgl_core-1)

running 3 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/rtrl.rs (target/debug/deps/rtrl-1)
test result: FAILED. 4 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
`

test('cargo: the counts of all binaries are added up', t => {
  t.deepEqual(readCargo(CARGO, 101), { passed: 6, failed: 3 })
})

test('cargo: a binary that crashed counts as a failure beside the failed tests', t => {
  t.deepEqual(readCargo(`${CARGO}     Running tests/crash.rs (target/debug/deps/crash-1)\nrunning 2 tests\n`, 101), {
    passed: 6,
    failed: 4
  })
})

test('cargo: a build that failed counts as a failure', t => {
  t.deepEqual(readCargo('error[E0425]: cannot find value `x`\n', 101), { passed: 0, failed: 1 })
})

test('ava: passed and failed lines are counted, skipped and planned tests are not', t => {
  const tap =
    'TAP version 13\nok 1 - a › ok 7\nnot ok 2 - b\n  ---\n  ok 3\n  ...\nok 3 - c # SKIP\nnot ok 4 - d # TODO\n1..4\n'
  t.deepEqual(readTap(tap, 1), { passed: 1, failed: 1 })
})

test('ava: an exception outside the tests counts once', t => {
  const tap = 'ok 1 - b\nnot ok 2 - Error: boom\nnot ok 3 - __test__/x.test.ts exited with a non-zero exit code: 1\n'
  t.deepEqual(readTap(tap, 1), { passed: 1, failed: 1 })
})

test('ava: a process that only ended badly, or said nothing, has failed', t => {
  t.deepEqual(readTap('ok 1 - b\nnot ok 2 - __test__/x.test.ts exited with a non-zero exit code: 1\n', 1), {
    passed: 1,
    failed: 1
  })
  t.deepEqual(readTap('', 127), { passed: 0, failed: 1 })
})
