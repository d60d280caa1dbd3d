// `npm run pack -- --out DIR`: the library, the command line and this platform's engine, as `npm install ./*.tgz` takes them,
// and beside them a CycloneDX bill of what is in them. The release workflow publishes exactly these files.
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { guarded, prepare } from './lib/prepare.mjs'

const HELP = `npm run pack -- [options]

Builds what is missing and packs the library (mdgl), the command line (mdgl-cli) and this platform's engine.

  --out DIR         where to write; the default is target/package
  --platform-only   the engine's package alone
  --local           the library names no other platform's engine: \`npm ci\` works with the two tarballs while the
                    other platforms' packages are in no registry (\`npm install\` works either way)
  --glibc VERSION   fails where this platform's engine needs a newer glibc than this one, 2.28 for instance
  --help            this text`

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'target/package' },
    'platform-only': { type: 'boolean' },
    local: { type: 'boolean' },
    glibc: { type: 'string' },
    help: { type: 'boolean', short: 'h' }
  }
})

const kilobytes = path => `${(statSync(path).size / 1000).toFixed(0).padStart(6)} kB  ${path}`

await guarded(async () => {
  if (values.help) {
    console.log(HELP)
    return 0
  }
  await prepare()
  // Its imports are installed by now.
  const { packInto } = await import('./package/pack.mjs')
  const { out, 'platform-only': platformOnly, local, glibc } = values
  const packed = await packInto(resolve(out), { platformOnly, local, glibc })
  for (const path of Object.values(packed).filter(path => path !== undefined)) console.log(kilobytes(path))
  return 0
})
