// The other libraries, in a virtual environment of their own under target/peers.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, run } from '../lib/run.mjs'
import { SetupError } from '../lib/toolchain.mjs'

const HOME = process.env.MDGL_PEERS ?? join(ROOT, 'target', 'peers')
const BIN = process.platform === 'win32' ? 'Scripts' : 'bin'

/** The environment's Python. */
export const PYTHON = join(HOME, BIN, 'python')

/** What pip installs, and how Python imports it. NEST has wheels for Linux only. */
const PACKAGES = {
  numpy: 'numpy',
  jax: 'jax',
  torch: 'torch',
  nest: 'nest-simulator',
  spyx: 'spyx==1.0.0',
  braintrace: 'braintrace==0.2.8'
}
/** braintrace needs 3.12; an environment of an older one goes on without it. */
const PYTHONS = process.platform === 'win32' ? ['python'] : ['python3.12', 'python3.13', 'python3']

const imports = async name => (await run(PYTHON, ['-c', `import ${name}`], { output: 'keep' })).code === 0

/** PyTorch's own index has a wheel for CPUs alone, which is far smaller; not every machine reaches it. */
async function pip(name) {
  if (name === 'torch') {
    const index = ['--index-url', 'https://download.pytorch.org/whl/cpu']
    const small = await run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--retries', '0', 'torch', ...index], {
      output: 'keep'
    })
    if (small.code === 0) return true
  }
  const { code } = await run(PYTHON, ['-m', 'pip', 'install', '--quiet', PACKAGES[name]], { output: 'keep' })
  return code === 0
}

/** An environment of the first Python that makes one. */
async function makeEnvironment() {
  for (const python of PYTHONS) {
    const made = await run(python, ['-m', 'venv', HOME], { output: 'keep' })
    if (made.code === 0) return true
  }
  return false
}

/** braintrace comes for Python 3.12 and later alone. */
const hint = name =>
  name === 'braintrace' ? ` (it needs Python 3.12; remove ${HOME} for an environment of the newest that is there)` : ''

/** Installs what is missing and gives the names of the libraries that are there; NumPy and JAX must be. */
export async function setUpPeers(wanted) {
  if (!existsSync(PYTHON)) {
    console.error(`mdgl: making a Python environment in ${HOME}`)
    if (!(await makeEnvironment())) throw new SetupError('`npm run bench:peers` needs Python 3.10 or newer with venv.')
  }
  const there = []
  for (const name of ['numpy', ...wanted]) {
    if (await imports(name)) {
      there.push(name)
      continue
    }
    console.error(`mdgl: installing ${PACKAGES[name]}`)
    if ((await pip(name)) && (await imports(name))) there.push(name)
    else if (name === 'numpy' || name === 'jax') throw new SetupError(`pip could not install ${PACKAGES[name]}.`)
    else console.error(`mdgl: ${PACKAGES[name]} could not be installed; going on without it${hint(name)}`)
  }
  return there
}
