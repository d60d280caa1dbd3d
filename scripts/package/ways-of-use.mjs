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

/** `npx mdgl` of the library alone fails with the name of the package that has the command line. */
export async function namesCommandLine(project) {
  const output = await project.run('npx', ['--no-install', 'mdgl', '--help']).then(
    printed => printed,
    error => error.message
  )
  if (!output.includes('npm install mdgl-cli@')) throw new Error(`npx mdgl does not name mdgl-cli:\n${output}`)
}

/** The command line trains a task of a file that imports the library. */
export async function runCommandLine(project) {
  project.write(
    'own-task.mjs',
    "import { delayedXor } from 'mdgl'\n\nexport default { ...delayedXor(), name: 'own' }\n"
  )
  await project.run('npx', ['--no-install', 'mdgl', 'train', './own-task.mjs', '--iterations', '2', '--out', 'own-run'])
  const shown = await project.run('npx', ['--no-install', 'mdgl', 'show', 'own-run'])
  if (!shown.includes('finished')) throw new Error(`the run is not finished:\n${shown}`)
}

/** Each: its name, and what runs it in a project. All print the same. */
export const WAYS = [
  ['ESM', fromEsm],
  ['require', byRequire],
  ['TypeScript', inTypeScript],
  ['a worker thread', inThread]
]
