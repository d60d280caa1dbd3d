// How many cell types does it take? MDGL with the same network divided into 1 to 100 types.
import { functionalTypes, Model } from 'mdgl'

const CELLS = 100

const typeOf = (name, units) => ({ name, members: [{ population: 'cells', units }] })

const everyCell = () => Array.from({ length: CELLS }, (_, cell) => cell)

/** A generator of numbers from 0 to 1 (mulberry32), so that a partition follows from the seed alone. */
function randomOf(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

function shuffled(list, random) {
  const copy = [...list]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[copy[i], copy[j]] = [copy[j], copy[i]]
  }
  return copy
}

/** The six types of Fig. 1: sign, adaptation, output. */
const six = description =>
  functionalTypes(description).types.map(({ name, members }) => typeOf(name, [...members[0].units]))

/** Sign and output alone. */
function four(description) {
  const groups = new Map()
  for (const { name, members } of six(description)) {
    const [sign, , role] = name.split('-')
    const key = `${sign}-${role}`
    groups.set(key, [...(groups.get(key) ?? []), ...members[0].units])
  }
  return [...groups].map(([name, units]) => typeOf(name, units))
}

/** The six types, the largest halved at random until there are so many. */
const divided = count => (description, seed) => {
  const random = randomOf(seed)
  const parts = six(description).map(({ members }) => shuffled(members[0].units, random))
  while (parts.length < count) {
    const largest = parts.reduce((a, b) => (b.length > a.length ? b : a))
    parts.splice(parts.indexOf(largest), 1, largest.slice(0, largest.length >> 1), largest.slice(largest.length >> 1))
  }
  return parts.map((units, i) => typeOf(`part-${i}`, units))
}

/** So many clusters of the cells' initial outgoing weights (Lloyd's k-means, started from cells drawn at random). */
const clustered = count => (description, seed) => {
  const model = Model.create(description)
  const { pre, post, values } = model.weights.get('cells->cells')
  model.dispose()
  const rows = everyCell().map(() => new Float64Array(CELLS))
  pre.forEach((cell, i) => {
    rows[cell][post[i]] += values[i]
  })
  const distance = (a, b) => a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0)
  let centres = shuffled(everyCell(), randomOf(seed))
    .slice(0, count)
    .map(cell => rows[cell])
  let nearest = []
  for (let round = 0; round < 50; round++) {
    nearest = rows.map(row =>
      centres.reduce((best, centre, i) => (distance(row, centre) < distance(row, centres[best]) ? i : best), 0)
    )
    centres = centres.map((centre, i) => {
      const own = rows.filter((_, cell) => nearest[cell] === i)
      return own.length === 0 ? centre : centre.map((_, k) => own.reduce((sum, row) => sum + row[k], 0) / own.length)
    })
  }
  const groups = centres.map((_, i) => everyCell().filter(cell => nearest[cell] === i))
  return groups.filter(units => units.length > 0).map((units, i) => typeOf(`cluster-${i}`, units))
}

const PARTITIONS = [
  { key: '1', label: '1 type', types: () => [typeOf('all', everyCell())] },
  { key: '2', label: '2: sign', types: undefined },
  { key: '4', label: '4: sign, output', types: four },
  { key: '6', label: '6: sign, adaptation, output', types: six },
  ...[10, 25, 50].map(count => ({
    key: `${count}`,
    label: `${count}: the six divided at random`,
    types: divided(count)
  })),
  ...[10, 25, 50].map(count => ({
    key: `k${count}`,
    label: `${count}: k-means of outgoing weights`,
    types: clustered(count)
  })),
  { key: '100', label: '100: one per cell', types: () => everyCell().map(cell => typeOf(`cell-${cell}`, [cell])) }
]

const RULES = [
  { series: 'MDGL', rule: 'mdgl' },
  { series: 'MDGL, membrane kernel', rule: 'mdgl-membrane' }
]

const grid = (task, partitions, more = {}) =>
  RULES.flatMap(({ series, rule }) =>
    partitions.map(({ key, label, types }) => ({
      id: `${task}-${rule}-${key}`,
      label,
      series,
      task,
      rule,
      types,
      ...more
    }))
  )

export default {
  name: 'cell-types',
  title: 'How many cell types does it take?',
  about:
    'Fig. 3C; the network, its weights and its batches are the same for every partition. The gain of a channel is the mean weight between two types, so that more types come nearer to the true weights; one type per cell is cell-specific MDGL.',
  tasks: ['evidence-accumulation'],
  minutes: 60,
  seeds: [1, 2, 3, 4, 5],
  columns: ['accuracy', 'early', 'late'],
  conditions: grid('evidence-accumulation', PARTITIONS)
}

/** The same on delayed match to sample, on fewer seeds. */
export const onDelayedMatch = {
  name: 'cell-types-match',
  title: 'How many cell types does it take? Delayed match',
  about:
    'The same on delayed match to sample, with the partitions that follow from what a cell is, and random ones; three seeds.',
  tasks: ['delayed-match'],
  minutes: 90,
  seeds: [1, 2, 3],
  columns: ['accuracy', 'early', 'late'],
  conditions: grid(
    'delayed-match',
    PARTITIONS.filter(({ key }) => !key.startsWith('k'))
  )
}
