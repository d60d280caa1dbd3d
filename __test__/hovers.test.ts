import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import ts from 'typescript'
import { scratch } from './helpers/scratch.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = scratch('hovers', { inCheckout: true })
mkdirSync(join(folder, 'node_modules'))
symlinkSync(root, join(folder, 'node_modules/mdgl'), 'junction')

const PROGRAM = `import { evidenceAccumulation, fit, gradients, makeBatch, Model, network, predict } from 'mdgl'
const description = network({ seed: 1 })
  .input('cues', 40).alif('cells', 100).readout('choice', 2)
  .project('cues', 'cells', { density: 0.1 })
  .project('cells', 'cells', { density: 0.1 })
  .project('cells', 'choice', { density: 0.1 })
  .build()
const model = Model.create(description)
const task = evidenceAccumulation()
const batch = await makeBatch(task, { size: 2 })
const { history } = await fit(model, task, { rule: 'mdgl', iterations: 2 })
const { choice } = await predict(model, batch)
const found = await gradients(model, batch, { rule: 'mdgl' })
const values = model.weights.get('cells->cells')
`

/** What an editor shows of a name of the program. */
function hover(name: string): string {
  const file = join(folder, 'program.mts')
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    strict: true,
    types: []
  }
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [file],
    getScriptVersion: () => '1',
    getScriptSnapshot: path => {
      const text = path === file ? PROGRAM : ts.sys.readFile(path)
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
    },
    getCurrentDirectory: () => folder,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: path => path === file || ts.sys.fileExists(path),
    readFile: ts.sys.readFile,
    directoryExists: ts.sys.directoryExists
  })
  const at = new RegExp(`(?<=const \\{? ?)${name}\\b`).exec(PROGRAM)?.index ?? 0
  return ts.displayPartsToString(service.getQuickInfoAtPosition(file, at)?.displayParts)
}

for (const name of ['description', 'model', 'task', 'batch', 'history', 'choice', 'found', 'values']) {
  test(`an editor shows a type that can be read: ${name}`, t => {
    const shown = hover(name)
    t.regex(shown, new RegExp(`^const ${name}: `))
    t.true(shown.length < 600, shown)
    // Cut short, or no type at all.
    t.notRegex(shown, /\.\.\.|: any$|: unknown$/)
  })
}
