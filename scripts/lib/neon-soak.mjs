// The engine's tests on NEON under qemu-user: every operation beside the plain twin's, the golden hashes, both layouts, streams.
// Debian, as root: installs qemu-user-static and gcc-aarch64-linux-gnu where they are missing, and the target with rustup.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './run.mjs'

const TARGET = 'aarch64-unknown-linux-gnu'
const PACKAGES = ['qemu-user-static', 'gcc-aarch64-linux-gnu', 'libc6-dev-arm64-cross']
const LIBRARIES = '/usr/aarch64-linux-gnu'

function show(program, args, env = {}) {
  console.log(`$ ${[program, ...args].join(' ')}`)
  execFileSync(program, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } })
}

if (!existsSync('/usr/bin/qemu-aarch64-static') || !existsSync('/usr/bin/aarch64-linux-gnu-gcc')) {
  console.log(`installing ${PACKAGES.join(', ')}`)
  execFileSync('apt-get', ['update'], { stdio: 'ignore' })
  execFileSync('apt-get', ['install', '-y', '--no-install-recommends', ...PACKAGES], {
    stdio: 'ignore',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  })
}
show('rustup', ['target', 'add', TARGET])
const env = {
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: 'aarch64-linux-gnu-gcc',
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER: `qemu-aarch64-static -L ${LIBRARIES}`,
  CARGO_TARGET_DIR: join(ROOT, 'target', 'neon'),
  // Under emulation a case takes tens of times its time.
  PROPTEST_CASES: '4'
}
const tests = ['test', '--target', TARGET, '-p', 'mdgl-core', '--color=never']
show('cargo', [...tests, '--lib', '--', 'lanes::'], env)
show('cargo', [...tests, '--test', 'engine', '--', 'golden', 'single::', 'stream::', 'training::'], env)
