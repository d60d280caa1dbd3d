/** What a view can say: the chosen run, the one laid over it, neuron, type, channel, projection; hidden runs; how it is shown. */
export type ViewKey =
  | 'run'
  | 'overlay'
  | 'neuron'
  | 'type'
  | 'channel'
  | 'projection'
  | 'hidden'
  | 'smoothing'
  | 'sort'
  | 'counts'

/** The view: what is chosen and how it is shown. All of it stands in the address, which shows the same view again. */
export class View {
  #values = new URLSearchParams(location.hash.slice(1))
  readonly #changed: () => void

  constructor(changed: () => void) {
    this.#changed = changed
    window.addEventListener('hashchange', () => {
      this.#values = new URLSearchParams(location.hash.slice(1))
      changed()
    })
  }

  /** The whole view as text: equal texts show the same. */
  get key(): string {
    return String(this.#values)
  }

  text(key: ViewKey): string | undefined {
    return this.#values.get(key) ?? undefined
  }

  /** A number of at least 0; nothing where none is said. */
  number(key: ViewKey): number | undefined {
    const value = Number.parseFloat(this.#values.get(key) ?? '')
    return Number.isFinite(value) ? Math.max(0, value) : undefined
  }

  all(key: ViewKey): ReadonlySet<string> {
    return new Set(this.#values.getAll(key))
  }

  set(changes: { readonly [Key in ViewKey]?: string | undefined }): void {
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined || value === '') this.#values.delete(key)
      else this.#values.set(key, value)
    }
    this.#keep()
  }

  setAll(key: ViewKey, values: Iterable<string>): void {
    this.#values.delete(key)
    for (const value of values) this.#values.append(key, value)
    this.#keep()
  }

  #keep(): void {
    history.replaceState(null, '', `#${this.#values}`)
    this.#changed()
  }
}
