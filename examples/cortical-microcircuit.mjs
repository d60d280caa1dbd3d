// The cortical microcircuit of Potjans and Diesmann (2014, Cerebral Cortex 24:785), at a fiftieth of its size, built from its published
// tables: eight populations, connection probabilities, delays. Prints each population's firing rate beside the full-scale one, and draws both.
//   node cortical-microcircuit.mjs [ms [how many times smaller [picture.svg]]]
import { writeFile } from 'node:fs/promises'
import { cubaLif, firingRates, Model, network, simulate } from 'mdgl'

const dt = 0.1 // ms
const [warmUp, duration] = [200, Number(process.argv[2] ?? 1000)] // ms
const scale = 1 / Number(process.argv[3] ?? 50)
const picture = process.argv[4] ?? 'cortical-microcircuit.svg'

// Table 5 of the paper: sizes, and the probability of a synapse from each source (columns) to each target (rows); external in-degrees.
const names = ['L23E', 'L23I', 'L4E', 'L4I', 'L5E', 'L5I', 'L6E', 'L6I']
const sizes = [20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948]
const probabilities = [
  [0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0, 0.0076, 0],
  [0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0, 0.0042, 0],
  [0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0],
  [0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0, 0.1057, 0],
  [0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0],
  [0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0],
  [0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252],
  [0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443]
]
// C is the probability of at least one synapse; pairs may have several there. Here a pair has one, with the expected number as probability.
const synapsesPerPair = probabilities.map(row => row.map(probability => -Math.log1p(-probability)))
const externalInDegree = [1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100]
const externalRate = 8 // Hz
// Hz: what the reference implementation in NEST keeps of its own run at full scale, to be scaled with.
const fullScaleRates = [0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829]

// Voltages in units of the 15 mV from rest to threshold; a weight is scaled so that one spike deflects the membrane by as many mV.
const [tauMembrane, tauSynapse] = [10, 0.5] // ms
const weightOf = millivolts => millivolts / 15 / peakDeflection()
const isExcitatory = source => source % 2 === 0
const meanWeight = (target, source) => {
  if (!isExcitatory(source)) return weightOf(-4 * 0.15)
  return weightOf(target === 0 && source === 2 ? 0.3 : 0.15)
}

/** The largest deflection after one spike of weight 1, by the equations of `cubaLif`. */
function peakDeflection() {
  const [alpha, alphaSynapse] = [tauMembrane, tauSynapse].map(tau => Math.exp(-dt / tau))
  let [current, voltage, peak] = [1, 0, 0]
  for (let t = 0; t < 100 / dt; t++) {
    voltage = alpha * voltage + (1 - alpha) * current
    current *= alphaSynapse
    peak = Math.max(peak, voltage)
  }
  return peak
}

const cells = sizes.map(size => Math.round(size * scale))
const first = cells.map((_, i) => cells.slice(0, i).reduce((sum, size) => sum + size, 0))
const total = cells.reduce((sum, size) => sum + size, 0)

// In-degrees shrink with the network: weights grow by 1/√scale, which keeps the input's variance, and a constant current gives what is
// missing of its mean (van Albada, Helias and Diesmann 2015, PLOS Computational Biology 11:e1004490).
const growth = 1 / Math.sqrt(scale)
const missingCurrent = names.map((_, target) => {
  const recurrent = sizes.map(
    (size, source) => synapsesPerPair[target][source] * size * meanWeight(target, source) * fullScaleRates[source]
  )
  const external = externalInDegree[target] * weightOf(0.15) * externalRate
  const perSecond = recurrent.reduce((sum, current) => sum + current, external)
  return (1 - Math.sqrt(scale)) * perSecond * (dt / 1000)
})

let builder = network({ dt, seed: 1 }).input('background', total).input('constant', names.length)
for (const [i, name] of names.entries()) {
  const sign = isExcitatory(i) ? 'excitatory' : 'inhibitory'
  const options = {
    membraneTimeConstant: tauMembrane,
    synapticTimeConstant: tauSynapse,
    threshold: 1,
    refractoryPeriod: 2,
    sign
  }
  builder = builder.population(name, cells[i], cubaLif(options))
}
for (const [target, to] of names.entries()) {
  for (const [source, from] of names.entries()) {
    const probability = synapsesPerPair[target][source]
    if (probability === 0) continue
    const mean = Math.abs(meanWeight(target, source)) * growth
    const initialise = { scheme: 'normal', mean, standardDeviation: 0.1 * mean }
    builder = builder.project(from, to, { probability, initialise, delay: isExcitatory(source) ? 1.5 : 0.8 })
  }
  const post = Uint32Array.from({ length: cells[target] }, (_, i) => i)
  const own = post.map(i => first[target] + i)
  builder = builder
    .project('background', to, {
      connections: { pre: own, post, values: Array(own.length).fill(weightOf(0.15) * growth) }
    })
    .project('constant', to, { connections: { pre: post.map(() => target), post, values: Array(post.length).fill(1) } })
}
const model = Model.create(builder.build())

const steps = Math.round((warmUp + duration) / dt)
const batch = {
  length: warmUp + duration,
  trials: 1,
  inputs: {
    background: {
      rates: names.map((_, i) => ({
        trial: 0,
        units: [first[i], first[i] + cells[i]],
        from: 0,
        to: warmUp + duration,
        rate: externalInDegree[i] * scale * externalRate
      }))
    },
    constant: {
      analogue: Float32Array.from({ length: steps * names.length }, (_, i) => missingCurrent[i % names.length])
    }
  }
}
const begun = performance.now()
const recording = await simulate(model, batch, { seed: 1 })
console.log(
  `${total} cells, ${duration} ms after ${warmUp} ms of warm-up, simulated in ${((performance.now() - begun) / 1000).toFixed(1)} s`
)
const { populations } = firingRates(recording, { from: warmUp })
console.log('population  cells   rate  full scale (Hz)')
for (const [i, name] of names.entries()) {
  const columns = [
    String(cells[i]).padStart(6),
    populations[name].toFixed(2).padStart(6),
    fullScaleRates[i].toFixed(2).padStart(11)
  ]
  console.log(`${name.padEnd(10)} ${columns.join(' ')}`)
}
await writeFile(picture, raster(recording))
console.log(picture)

/** Spikes of the last 500 ms beside each population's rate (bar) and that at full scale (line). */
function raster({ spikes, shape }) {
  const [width, height, left, gap] = [700, 480, 60, 720]
  const from = Math.max(0, shape.steps - Math.round(500 / dt))
  const x = step => left + ((step - from) / (shape.steps - from)) * (width - left - 10)
  const y = cell => 20 + (cell / total) * (height - 60)
  const marks = []
  for (let i = 0; i < spikes.length; i += 3) {
    const [step, cell] = [spikes[i + 1], spikes[i + 2]]
    if (step < from) continue
    const source = first.findLastIndex(start => start <= cell)
    marks.push(
      `<path d="M${x(step).toFixed(1)} ${y(cell).toFixed(1)}h1.2" stroke="${isExcitatory(source) ? '#0072b2' : '#d55e00'}"/>`
    )
  }
  const bars = names.map((name, i) => {
    const [top, thick] = [y(first[i]), Math.max(3, y(first[i] + cells[i]) - y(first[i]) - 2)]
    const at = rate => gap + 12 * rate
    return `<text x="${left - 6}" y="${top + thick / 2 + 4}" text-anchor="end">${name}</text>
<rect x="${gap}" y="${top}" width="${12 * populations[name]}" height="${thick}" fill="${isExcitatory(i) ? '#0072b2' : '#d55e00'}"/>
<path d="M${at(fullScaleRates[i])} ${top - 1}v${thick + 2}" stroke="#000" stroke-width="2"/>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${gap + 200} ${height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
${marks.join('')}
${bars.join('\n')}
<text x="${left}" y="${height - 22}">last ${((shape.steps - from) * dt).toFixed(0)} ms</text>
${[0, 5, 10].map(rate => `<path d="M${gap + 12 * rate} ${height - 38}v5" stroke="#000"/><text x="${gap + 12 * rate}" y="${height - 20}" text-anchor="middle">${rate}</text>`).join('')}
<text x="${gap}" y="${height - 5}">Hz; line: at full scale</text>
</svg>
`
}
