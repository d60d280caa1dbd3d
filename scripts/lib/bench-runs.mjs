// Runs of `mdgl bench`, each in a process of its own.
import { run } from './run.mjs'

/** The result of one run as `mdgl bench --json` prints it; null where the processor lacks the instruction set. */
export async function bench(workload, options) {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  const { code, output } = await run('node', ['dist/cli/main.js', 'bench', workload, '--json', ...args], {
    output: 'keep'
  })
  if (code === 0) return JSON.parse(output.split('\n').find(line => line.startsWith('{')))
  if (/MDGL_SIMD is .*; allowed: /.test(output)) return null
  throw new Error(`\`mdgl bench ${workload} ${args.join(' ')}\` failed:\n${output}`)
}

/** The slope of y over x, both logarithmic: the exponent of a power law, by least squares. */
export function exponent(points) {
  const logs = points.map(({ x, ms }) => [Math.log(x), Math.log(ms)])
  const [mx, my] = [0, 1].map(i => logs.reduce((sum, log) => sum + log[i], 0) / logs.length)
  const above = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0)
  return above / logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
}

/** The factor k of y ≈ k x, by least squares. */
export function factor(pairs) {
  return pairs.reduce((sum, [x, y]) => sum + x * y, 0) / pairs.reduce((sum, [x]) => sum + x * x, 0)
}
