// Joins the modules that `import 'mdgl'` loads into one file, dist/joined/library.js, and those that the command line loads besides into
// another, dist/joined/command-line.js: Node spends about half a millisecond on each module, and there are more than a hundred. Every
// module stays where it was, as one line that passes on what it exported, so that the command line and the library share them.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { rolldown } from 'rolldown'
import { ROOT } from './run.mjs'

/** The entry points of the package. */
const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const ENTRIES = Object.values(exports).flatMap(entry =>
  typeof entry === 'object' ? [entry.default.replace(/^\.\/dist\//, '')] : []
)
/** Files in `dist`, and the entries whose modules each has; a module is in the first that reaches it. */
const JOINED = [
  { name: 'joined/library', entries: ENTRIES },
  { name: 'joined/command-line', entries: ['cli/main.js'] }
]
/** Node's own modules, the addon, dependencies: names, not paths; the bundler's own modules begin with a zero. */
const isOutside = id => /^[a-z@#]/i.test(id) && !isAbsolute(id) && !id.startsWith('rolldown/')

/** So that the maps of what is joined lead back to the TypeScript. */
const compilersMaps = {
  name: 'compilers-maps',
  load: id => (isAbsolute(id) ? { code: readFileSync(id, 'utf8'), map: readFileSync(`${id}.map`, 'utf8') } : null)
}

async function bundle(input, external, output) {
  const build = await rolldown({
    input,
    platform: 'node',
    external,
    plugins: [compilersMaps],
    preserveEntrySignatures: 'strict'
  })
  const { output: files } = await build.generate({ format: 'esm', sourcemap: true, ...output })
  await build.close()
  return files.filter(({ type }) => type === 'chunk')
}

/** The modules that some entries import before they run. */
async function reached(entries) {
  const chunks = new Map((await bundle(entries, isOutside)).map(chunk => [chunk.fileName, chunk]))
  const names = new Set([...chunks.values()].filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName))
  // What is added while the set is walked is walked, too.
  for (const name of names) for (const imported of chunks.get(name)?.imports ?? []) names.add(imported)
  return [...names].flatMap(name => chunks.get(name)?.moduleIds ?? [])
}

/** Rewrites what the compiler has left in `dist`. */
export async function joinLibrary(dist) {
  const joinedBy = new Map([['\0', JOINED[0].name]])
  for (const { name, entries } of JOINED) {
    for (const id of await reached(entries.map(entry => join(dist, entry))))
      if (!joinedBy.has(id)) joinedBy.set(id, name)
  }
  // The command's own file keeps its first line, by which a shell starts it.
  joinedBy.delete(join(dist, 'cli/main.js'))
  const modules = [...joinedBy.keys()].filter(isAbsolute)
  const named = modules.map(id => [relative(dist, id).replaceAll('\\', '/').replace(/\.js$/, ''), id])
  // What is imported later stays a file.
  const external = (id, _, isResolved) => isOutside(id) || (isResolved && isAbsolute(id) && !joinedBy.has(id))
  const files = await bundle(Object.fromEntries(named), external, {
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    codeSplitting: {
      groups: JOINED.map(({ name }) => ({ name, test: id => joinedBy.get(id.startsWith('\0') ? '\0' : id) === name }))
    }
  })
  mkdirSync(join(dist, 'joined'), { recursive: true })
  for (const { fileName, code, map } of files) {
    const path = join(dist, fileName)
    const isJoined = JOINED.some(({ name }) => fileName === `${name}.js`)
    writeFileSync(path, isJoined ? code : code.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'))
    if (isJoined) writeFileSync(`${path}.map`, JSON.stringify(map))
    else rmSync(`${path}.map`)
  }
}
