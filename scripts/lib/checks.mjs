// Everything CI holds against the project besides its tests.
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GENERATED_TYPES } from './prepare.mjs'
import { REQUIREMENTS_TABLE, requirementsTable } from './rule-requirements.mjs'
import { ROOT, run } from './run.mjs'
import { UNSAFE_LIST, unsafeTable } from './unsafe-blocks.mjs'

/** The licences that packages and crates may have: one list, which cargo-deny reads too. */
const LICENCE_LIST = '.cargo/deny.toml'
const [, LISTED = ''] = /^allow = \[([^\]]*)\]/m.exec(readFileSync(join(ROOT, LICENCE_LIST), 'utf8')) ?? []
const LICENCES = new Set(Array.from(LISTED.matchAll(/"([^"]+)"/g), ([, name]) => name))

/** Packages that name no licence but ship one: read by hand, and held by the hash of what was read. */
const LICENCE_FILES = {
  // NIST's: use, copy and change with its notice; with HDF5's, BSD-3-Clause.
  'node_modules/h5wasm': {
    file: 'LICENSE.txt',
    sha256: 'f3ba6b8afe2a0d6f482f29a46672f88668ae02b16dfc4a2e878fd50a4f34fa6a'
  }
}

const read = path => readFileSync(join(ROOT, path), 'utf8')

const program = (name, args, env) => async () => {
  const { code, output } = await run(name, args, { output: 'keep', env: { NO_COLOR: '1', ...env } })
  return code === 0 ? [] : [output.trimEnd()]
}

/** `A OR B` needs one side to be allowed, `A AND B` both. */
function isAllowed(expression) {
  return expression
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some(side => side.split(' AND ').every(licence => LICENCES.has(licence.trim())))
}

function isKnownFile(path) {
  const known = LICENCE_FILES[path]
  if (known === undefined) return false
  return (
    createHash('sha256')
      .update(read(join(path, known.file)))
      .digest('hex') === known.sha256
  )
}

function checkLicences() {
  const { packages } = JSON.parse(read('package-lock.json'))
  return Object.entries(packages)
    .filter(([path, { license }]) => path !== '' && !(typeof license === 'string' && isAllowed(license)))
    .filter(([path]) => !isKnownFile(path))
    .map(([path, { license }]) => `${path}: licence ${license ?? 'not stated'} is not on the list in ${LICENCE_LIST}`)
}

function checkDeclarations() {
  if (read('index.d.ts') === read(GENERATED_TYPES)) return []
  return ['index.d.ts differs from what the addon generates: run `npm run build` and commit it']
}

function checkUnsafeList() {
  if (read(UNSAFE_LIST.document).includes(unsafeTable())) return []
  return [`${UNSAFE_LIST.document} lists other unsafe blocks: run \`node scripts/lib/unsafe-blocks.mjs\` and commit it`]
}

function checkRequirements() {
  if (read(REQUIREMENTS_TABLE.document).includes(requirementsTable())) return []
  return [
    `${REQUIREMENTS_TABLE.document} has another table: run \`node scripts/lib/rule-requirements.mjs\` and commit it`
  ]
}

/** The crates that the engine and its bindings are made of, with those of their tests. */
async function checkCrateLicences() {
  const args = ['metadata', '--format-version=1', '--locked', '--filter-platform', 'x86_64-unknown-linux-gnu']
  const { code, output } = await run('cargo', args, { output: 'keep' })
  if (code !== 0) return [output.trimEnd()]
  const { packages } = JSON.parse(output.slice(output.indexOf('{"packages"')))
  return packages
    .filter(({ license }) => !isAllowed((license ?? '').replaceAll('/', ' OR ')))
    .map(({ name, license }) => `${name}: licence ${license ?? 'not stated'} is not on the list in ${LICENCE_LIST}`)
}

/** What others see of the package, by the tools that look at packages. */
async function checkPackage() {
  // Its imports are installed by now.
  const { packInto } = await import('../package/pack.mjs')
  const folder = mkdtempSync(join(tmpdir(), 'mdgl-checks-'))
  try {
    const { library, command, engine } = await packInto(folder)
    const looks = [
      ...[library, command, engine].map(path => program('publint', [path, '--strict'])),
      program('attw', [library, '--profile', 'esm-only'])
    ]
    const problems = []
    for (const look of looks) problems.push(...(await look()))
    return problems
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const CHECKS = [
  ['cargo fmt', program('cargo', ['fmt', '--all', '--', '--check', '-l'])],
  ['clippy', program('cargo', ['clippy', '--workspace', '--all-targets', '--quiet', '--', '-D', 'warnings'])],
  ['cargo doc', program('cargo', ['doc', '--workspace', '--no-deps', '--quiet'], { RUSTDOCFLAGS: '-D warnings' })],
  ['index.d.ts is current', checkDeclarations],
  [
    'index.d.ts alone',
    program('tsc', [
      '--noEmit',
      '--ignoreConfig',
      '--strict',
      '--skipLibCheck',
      'false',
      '--target',
      'es2022',
      '--lib',
      'es2022',
      '--module',
      'nodenext',
      '--types',
      'node',
      'index.d.ts'
    ])
  ],
  ['types', program('tsc', ['--project', '__test__/tsconfig.json'])],
  ["the page's types", program('tsc', ['--project', 'src/dashboard/page/tsconfig.json'])],
  ['lint and format', program('biome', ['check', '--error-on-warnings'])],
  ['typedoc', program('typedoc', ['--emit', 'none'])],
  ['licences of npm packages', checkLicences],
  ['licences of crates', checkCrateLicences],
  ['unsafe blocks are listed', checkUnsafeList],
  ['the table of legal rules is current', checkRequirements],
  ['publint, are-the-types-wrong', checkPackage],
  ['an installation without Rust', program('node', ['scripts/try-package.mjs'])]
]

/** Runs every check, shows each one's result as it ends, and returns the number that failed. */
export async function runChecks() {
  let failures = 0
  for (const [name, check] of CHECKS) {
    const problems = await check()
    console.log(`${problems.length === 0 ? 'ok    ' : 'FAILED'} ${name}`)
    for (const problem of problems) console.log(problem)
    if (problems.length > 0) failures += 1
  }
  return failures
}
