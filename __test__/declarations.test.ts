import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import ts from 'typescript'
import { scratch } from './helpers/scratch.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = scratch('declarations', { inCheckout: true })
mkdirSync(join(folder, 'node_modules'))
symlinkSync(root, join(folder, 'node_modules/mdgl'), 'junction')

/** A program that imports the package, whose declarations are checked too. */
function compile(options: ts.CompilerOptions): { problems: string[]; files: string[] } {
  const file = join(folder, 'program.mts')
  writeFileSync(file, "import { Model, train } from 'mdgl'\nexport const all = [Model, train]\n")
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2022,
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    typeRoots: [join(root, 'node_modules/@types')],
    ...options
  })
  const files = program.getSourceFiles().map(({ fileName }) => relative(root, fileName).replaceAll('\\', '/'))
  const problems = ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`)
  return { problems, files: files.filter(name => !name.startsWith('node_modules/')) }
}

/** Each resolution, and each source of the global types once; `npm run try-package` has all pairs, and older compilers. */
const WAYS: Record<string, ts.CompilerOptions> = {
  'nodenext, types of Node': { module: ts.ModuleKind.NodeNext, lib: ['lib.es2022.d.ts'], types: ['node'] },
  'node10, DOM': {
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Node10,
    ignoreDeprecations: '6.0',
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: []
  }
}

for (const [name, options] of Object.entries(WAYS)) {
  test(`the declarations are whole without those of the addon: ${name}`, t => {
    const { problems, files } = compile(options)
    t.deepEqual(problems, [])
    const own = files.filter(file => !file.startsWith('target/'))
    t.true(own.includes('dist/index.d.ts'))
    t.deepEqual(
      own.filter(file => !file.startsWith('dist/') || file.startsWith('dist/native/')),
      []
    )
  })
}
