// Joins the modules that `import 'mdgl'` loads into one file, dist/library.js: Node spends about a millisecond on each module,
// and there are more than fifty. Every module stays where it was, as one line that passes on what it exported, so that the
// command line and the library still share them.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { rolldown } from 'rolldown'

const NAME = 'library'
/** Node's own modules, the addon, dependencies: names, not paths; the bundler's own modules begin with a zero. */
const isOutside = id => /^[a-z@#]/i.test(id) && !isAbsolute(id) && !id.startsWith('rolldown/')

/** So that the maps of what is joined lead back to the TypeScript. */
const compilersMaps = {
  name: 'compilers-maps',
  load: id => (isAbsolute(id) ? { code: readFileSync(id, 'utf8'), map: readFileSync(`${id}.map`, 'utf8') } : null)
}

async function bundle(input, output) {
  const build = await rolldown({
    input,
    platform: 'node',
    external: isOutside,
    plugins: [compilersMaps],
    preserveEntrySignatures: 'strict'
  })
  const { output: files } = await build.generate({ format: 'esm', sourcemap: true, ...output })
  await build.close()
  return files.filter(({ type }) => type === 'chunk')
}

/** The modules that are reached from the entry, by their names below `dist` without `.js`. */
async function reached(dist) {
  const [{ moduleIds }] = await bundle(join(dist, 'index.js'))
  return Object.fromEntries(moduleIds.map(id => [relative(dist, id).replaceAll('\\', '/').replace(/\.js$/, ''), id]))
}

/** Rewrites what the compiler has left in `dist`. */
export async function joinLibrary(dist) {
  const modules = await reached(dist)
  const ids = new Set(Object.values(modules))
  const files = await bundle(modules, {
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    codeSplitting: { groups: [{ name: NAME, test: id => ids.has(id) || id.startsWith('\0') }] }
  })
  for (const { fileName, code, map } of files) {
    const path = join(dist, fileName)
    const joined = fileName === `${NAME}.js`
    writeFileSync(path, joined ? code : code.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'))
    if (joined) writeFileSync(`${path}.map`, JSON.stringify(map))
    else rmSync(`${path}.map`)
  }
}
