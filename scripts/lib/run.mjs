// Runs programs from the project's root.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** The programs of node_modules, run through Node itself so that they work alike on every system. */
const BINARIES = {
  attw: '@arethetypeswrong/cli/dist/index.js',
  ava: 'ava/entrypoints/cli.mjs',
  biome: '@biomejs/biome/bin/biome',
  napi: '@napi-rs/cli/dist/cli.js',
  publint: 'publint/src/cli.js',
  tsc: 'typescript/bin/tsc',
  typedoc: 'typedoc/bin/typedoc',
  vite: 'vite/bin/vite.js'
}

function command(program) {
  if (program === 'npm' && process.env.npm_execpath) {
    return [process.execPath, process.env.npm_execpath]
  }
  if (program === 'node') {
    return [process.execPath]
  }
  return program in BINARIES ? [process.execPath, join(ROOT, 'node_modules', BINARIES[program])] : [program]
}

/**
 * Runs a program and resolves to `{ code, output }`. Its output is shown (`'show'`), kept (`'keep'`) or both (`'both'`).
 * A program that cannot start or is ended by a signal has a code other than 0.
 */
export function run(program, args, { env, output: mode = 'show' } = {}) {
  const [file, ...first] = command(program)
  const stream = mode === 'show' ? 'inherit' : 'pipe'
  return new Promise(resolve => {
    const child = spawn(file, [...first, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      shell: process.platform === 'win32' && file === 'npm',
      stdio: ['ignore', stream, stream]
    })
    let output = ''
    const listen = (source, target) =>
      source?.setEncoding('utf8').on('data', text => {
        output += text
        if (mode === 'both') target.write(text)
      })
    listen(child.stdout, process.stdout)
    listen(child.stderr, process.stderr)
    child.on('error', error => resolve({ code: 127, output: `${output}${error.message}\n` }))
    child.on('close', code => resolve({ code: code ?? 1, output }))
  })
}
