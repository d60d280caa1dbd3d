// The README's examples in each way that a program can come by the package.

/** The README's examples have types only here. */
const asJavaScript = code => code.replaceAll(' as const', '')

/** CommonJS has no `await` at its top: what follows the import goes into a function. */
function asCommonJs(code) {
  const [line, names] = /^import (\{[^}]+\}) from 'mdgl'$/m.exec(code)
  const rest = asJavaScript(code).replace(line, '').trim()
  return `const ${names} = require('mdgl')

async function main() {
${rest}
}

main().catch(error => {
  console.error(error)
  process.exitCode = 1
})
`
}

const inWorker = file => `import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const [code] = await once(new Worker(new URL('./${file}', import.meta.url)), 'exit')
process.exitCode = code
`

const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    outDir: 'compiled'
  },
  include: ['*.mts']
}

/** An error that what was required has thrown is an instance of the class that was imported. */
const ONE_CLASS = `const required = require('mdgl')

import('mdgl').then(imported => {
  try {
    required.network({ dt: -1 })
  } catch (error) {
    if (error instanceof imported.MdglError && imported.MdglError === required.MdglError) return
  }
  throw new Error('import and require give two classes of errors')
})
`

/** Runs the files one after another; resolves to what they printed. */
async function runAll(project, files) {
  const outputs = []
  for (const file of files) outputs.push(await project.run('node', [file]))
  return outputs.join('')
}

function writeAll(project, examples, extension, change) {
  const names = examples.map((_, i) => `example-${i + 1}`)
  for (const [i, name] of names.entries()) project.write(`${name}.${extension}`, change(examples[i]))
  return names
}

async function fromEsm(project, examples) {
  const names = writeAll(project, examples, 'mjs', asJavaScript)
  return runAll(
    project,
    names.map(name => `${name}.mjs`)
  )
}

async function byRequire(project, examples) {
  const names = writeAll(project, examples, 'cjs', asCommonJs)
  project.write('one-class.cjs', ONE_CLASS)
  return runAll(project, [...names.map(name => `${name}.cjs`), 'one-class.cjs'])
}

/** With a compiler of the project's own, and no look past errors in the package's declarations. */
async function inTypeScript(project, examples) {
  const names = writeAll(project, examples, 'mts', code => code)
  project.write('tsconfig.json', JSON.stringify(TSCONFIG))
  await project.run('node', ['node_modules/typescript/bin/tsc', '--project', '.'])
  return runAll(
    project,
    names.map(name => `compiled/${name}.mjs`)
  )
}

async function inThread(project, examples) {
  const names = writeAll(project, examples, 'mjs', asJavaScript)
  for (const name of names) project.write(`${name}-worker.mjs`, inWorker(`${name}.mjs`))
  return runAll(
    project,
    names.map(name => `${name}-worker.mjs`)
  )
}

const fromCommandLine = project => project.run('npx', ['--no-install', 'mdgl', '--help'])

/** Each: its name, and what runs it in a project. All but the last print the same. */
export const WAYS = [
  ['ESM', fromEsm],
  ['require', byRequire],
  ['TypeScript', inTypeScript],
  ['a worker thread', inThread],
  ['npx mdgl', fromCommandLine]
]
