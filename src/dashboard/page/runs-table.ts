import { final } from '../../compare/curve.js'
import { ofRule } from './colours.js'
import { create, element, setText } from './elements.js'
import type { Group } from './groups.js'
import type { KnownRun } from './store.js'
import type { View } from './view.js'

/** A column of the table: what it shows, and what it is sorted by. */
interface Column {
  readonly name: string
  readonly title: string
  /** Whether narrow screens leave it out. */
  readonly wide?: boolean
  readonly number?: boolean
  text(run: KnownRun): string
  key(run: KnownRun): string | number
}

const COLUMNS: readonly Column[] = [
  { name: 'run', title: 'Run', text: ({ info }) => info.id, key: ({ info }) => info.id },
  { name: 'task', title: 'Task', wide: true, text: ({ info }) => info.task, key: ({ info }) => info.task },
  {
    name: 'rule',
    title: 'Rule',
    text: ({ info }) => ofRule(info.rule).label,
    key: ({ info }) => ofRule(info.rule).label
  },
  {
    name: 'seed',
    title: 'Seed',
    number: true,
    wide: true,
    text: ({ info }) => String(info.seed),
    key: ({ info }) => info.seed
  },
  { name: 'state', title: 'State', text: ({ info }) => info.state, key: ({ info }) => info.state },
  {
    name: 'iteration',
    title: 'Iteration',
    number: true,
    wide: true,
    text: run => `${iterationOf(run)}/${run.info.iterations}`,
    key: run => iterationOf(run)
  },
  {
    name: 'loss',
    title: 'Final loss',
    number: true,
    text: run => figure(finalOf(run)?.loss, 4),
    key: run => finalOf(run)?.loss ?? Number.POSITIVE_INFINITY
  },
  {
    name: 'accuracy',
    title: 'Accuracy',
    number: true,
    wide: true,
    text: run => figure(finalOf(run)?.accuracy, 3),
    key: run => -(finalOf(run)?.accuracy || 0)
  },
  {
    name: 'synapses',
    title: 'Living synapses',
    number: true,
    wide: true,
    text: run => figure(livingOf(run), 0),
    key: run => livingOf(run) ?? Number.POSITIVE_INFINITY
  },
  {
    name: 'speed',
    title: 'ms/iteration',
    number: true,
    wide: true,
    text: run => figure(speedOf(run), 1),
    key: run => speedOf(run)
  }
]

/** The last iteration that a run has told. */
export const iterationOf = ({ train, validation }: KnownRun): number =>
  Math.max(train.at(-1)?.iteration ?? 0, validation.at(-1)?.iteration ?? 0)

/** Means over a run's last validations, as `mdgl compare` has them. */
function finalOf({ train, validation }: KnownRun) {
  const lines = validation.length > 0 ? validation : train
  if (lines.length === 0) return undefined
  return final({
    iterations: lines.map(({ iteration }) => iteration),
    loss: lines.map(({ loss }) => loss),
    accuracy: lines.map(({ accuracy }) => accuracy ?? Number.NaN)
  })
}

/** Weights other than 0 of all projections together. */
function livingOf({ train }: KnownRun): number | undefined {
  const counts = Object.values(train.at(-1)?.living ?? {})
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0)
}

function speedOf({ train }: KnownRun): number {
  const times = train
    .slice(-50)
    .map(({ msPerIteration }) => msPerIteration)
    .sort((a, b) => a - b)
  return times[Math.floor(times.length / 2)] ?? Number.NaN
}

const figure = (value: number | undefined, digits: number) =>
  value === undefined || !Number.isFinite(value) ? '–' : value.toFixed(digits)

/** One run's row; its cells are changed in place, so that a focus in them survives. */
interface Row {
  readonly row: HTMLTableRowElement
  readonly show: HTMLInputElement
  readonly choose: HTMLButtonElement
  readonly overlay: HTMLButtonElement
  readonly cells: readonly HTMLTableCellElement[]
}

/** The legend of rules, and the table of runs: shown and hidden, chosen, laid over one another, sorted. */
export class RunsTable {
  readonly #view: View
  readonly #body = create('tbody')
  readonly #heads: HTMLTableCellElement[]
  readonly #rows = new Map<string, Row>()
  #order = ''
  #legend = ''

  constructor(view: View) {
    this.#view = view
    this.#heads = COLUMNS.map(column => {
      const button = create('button', { type: 'button' }, column.title)
      button.addEventListener('click', () => this.#sort(column.name))
      return create('th', { scope: 'col', ...classesOf(column) }, button)
    })
    const shown = create('th', { scope: 'col' }, create('span', { class: 'unseen' }, 'Shown'))
    const overlay = create('th', { scope: 'col', class: 'wide-only' }, create('span', { class: 'unseen' }, 'Overlay'))
    element('runs').replaceChildren(create('thead', {}, create('tr', {}, shown, ...this.#heads, overlay)), this.#body)
  }

  show(runs: readonly KnownRun[], groups: readonly Group[], chosen: KnownRun): void {
    element('runs-panel').hidden = runs.length < 2
    if (runs.length < 2) return
    const hidden = this.#view.all('hidden')
    this.#showLegend(groups, hidden)
    const tasks = new Set(runs.map(({ info }) => info.task))
    element('runs').classList.toggle('one-task', tasks.size < 2)
    const sorted = this.#sorted(runs)
    for (const run of sorted) this.#fill(this.#rowOf(run), run, hidden.has(run.info.id), run === chosen)
    const order = sorted.map(({ info }) => info.id).join('\n')
    if (order === this.#order) return
    this.#order = order
    this.#body.replaceChildren(...sorted.map(run => this.#rowOf(run).row))
  }

  /** Of each group a button that hides its runs, or shows them again. */
  #showLegend(groups: readonly Group[], hidden: ReadonlySet<string>): void {
    const isHidden = ({ members }: Group) => members.every(({ info }) => hidden.has(info.id))
    const key = JSON.stringify(
      groups.map(group => [group.label, group.colour, group.place, group.members.length, isHidden(group)])
    )
    if (key === this.#legend) return
    this.#legend = key
    const buttons = groups.map(group => {
      const line = `border-top: 3px ${group.place === 0 ? 'solid' : 'dashed'} ${group.colour}`
      const swatch = create('span', { class: 'stroke', style: line, 'aria-hidden': 'true' })
      const text = `${group.label} (${group.members.length})`
      const button = create(
        'button',
        { type: 'button', class: 'chip', 'aria-pressed': String(!isHidden(group)) },
        swatch,
        text
      )
      button.addEventListener('click', () => {
        const ids = group.members.map(({ info }) => info.id)
        const before = this.#view.all('hidden')
        this.#view.setAll(
          'hidden',
          isHidden(group) ? [...before].filter(id => !ids.includes(id)) : new Set([...before, ...ids])
        )
      })
      return button
    })
    element('rules').replaceChildren(
      create('legend', { class: 'unseen' }, 'Rules: show or hide their runs'),
      ...buttons
    )
  }

  #sorted(runs: readonly KnownRun[]): KnownRun[] {
    const [name = '', direction] = (this.#view.text('sort') ?? '').split('.')
    const column = COLUMNS.find(each => each.name === name)
    for (const [i, head] of this.#heads.entries()) {
      const sort = COLUMNS[i] === column ? (direction === 'down' ? 'descending' : 'ascending') : 'none'
      head.setAttribute('aria-sort', sort)
    }
    if (column === undefined) return [...runs]
    const sign = direction === 'down' ? -1 : 1
    return [...runs].sort((a, b) => sign * compare(column.key(a), column.key(b)))
  }

  #sort(name: string): void {
    const now = this.#view.text('sort')
    this.#view.set({ sort: now === name ? `${name}.down` : now === `${name}.down` ? undefined : name })
  }

  #rowOf({ info: { id } }: KnownRun): Row {
    const known = this.#rows.get(id)
    if (known !== undefined) return known
    const show = create('input', { type: 'checkbox', 'aria-label': `Show ${id}` })
    show.addEventListener('change', () => {
      const hidden = new Set(this.#view.all('hidden'))
      if (show.checked) hidden.delete(id)
      else hidden.add(id)
      this.#view.setAll('hidden', hidden)
    })
    const choose = create('button', { type: 'button', class: 'link' }, id)
    choose.addEventListener('click', () => this.#view.set({ run: id }))
    const overlay = create('button', { type: 'button', class: 'small' }, 'Overlay')
    overlay.setAttribute('aria-label', `Overlay: lay ${id} over the chosen run`)
    overlay.addEventListener('click', () =>
      this.#view.set({ overlay: this.#view.text('overlay') === id ? undefined : id })
    )
    const cells = COLUMNS.map(column => create('td', classesOf(column)))
    cells[0]?.append(choose)
    const row = create('tr', {}, create('td', {}, show), ...cells, create('td', { class: 'wide-only' }, overlay))
    const made = { row, show, choose, overlay, cells }
    this.#rows.set(id, made)
    return made
  }

  #fill({ row, show, overlay, cells }: Row, run: KnownRun, hidden: boolean, chosen: boolean): void {
    row.classList.toggle('chosen', chosen)
    row.setAttribute('aria-current', String(chosen))
    show.checked = !hidden
    show.style.accentColor = ofRule(run.info.rule).colour
    overlay.disabled = chosen
    overlay.setAttribute('aria-pressed', String(this.#view.text('overlay') === run.info.id))
    for (const [i, column] of COLUMNS.entries()) {
      const cell = cells[i]
      if (cell === undefined || i === 0) continue
      setText(cell, column.text(run))
      if (column.name === 'state') cell.className = `state ${run.info.state}`
    }
  }
}

const classesOf = ({ name, wide = false, number = false }: Column) => ({
  class: [name, ...(wide ? ['wide-only'] : []), ...(number ? ['number'] : [])].join(' ')
})

const compare = (a: string | number, b: string | number): number =>
  typeof a === 'number' && typeof b === 'number'
    ? (Number.isNaN(a) ? 1 : 0) - (Number.isNaN(b) ? 1 : 0) || a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true })
