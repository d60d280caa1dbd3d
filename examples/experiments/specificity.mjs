// How specific must neuromodulation be? One broadcast modulator, one per cell type, one per cell, and BPTT, on the same axes.

/** One modulator for the whole network: a single type whose ligand reaches every cell with one gain. */
const oneType = ({ populations }) => [{ name: 'all', members: populations.map(({ name }) => ({ population: name })) }]

const ladder = task => [
  { id: `${task}-none`, label: 'no modulation', series: 'e-prop', task, rule: 'eprop' },
  {
    id: `${task}-broadcast`,
    label: 'one broadcast modulator',
    series: 'NL-MDGL, one type',
    task,
    types: oneType,
    rule: 'nl-mdgl'
  },
  { id: `${task}-type-nonlocal`, label: 'type-specific, diffuse', series: 'NL-MDGL', task, rule: 'nl-mdgl' },
  { id: `${task}-type`, label: 'type-specific, along synapses', series: 'MDGL', task, rule: 'mdgl' },
  { id: `${task}-cell`, label: 'cell-specific', series: 'MDGL, true weights', task, rule: 'mdgl-cell' },
  { id: `${task}-bptt`, label: 'exact gradient', series: 'BPTT', task, rule: 'bptt' }
]

export default {
  name: 'specificity',
  title: 'Nonspecific against specific modulation',
  about:
    'Fig. 3C with the same network, batches and optimiser throughout; only what a cell learns of the errors of others differs. The broadcast modulator is nonlocal MDGL with a single cell type: every cell receives the same sum.',
  tasks: ['evidence-accumulation'],
  minutes: 20,
  seeds: [1, 2, 3, 4, 5],
  columns: ['accuracy', 'early', 'late'],
  conditions: ladder('evidence-accumulation')
}
