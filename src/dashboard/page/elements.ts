/** The page's elements by id, and new ones. */

export const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T

/** A new element with attributes and children. */
export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}

/** Sets an element's text where it differs, so that a selection or a focus in it survives. */
export function setText(at: Element, text: string): void {
  if (at.textContent !== text) at.textContent = text
}

/** Sets the options of a select where they differ. */
export function setOptions(select: HTMLSelectElement, values: readonly string[], chosen: string | undefined): void {
  if ([...select.options].map(({ value }) => value).join('\n') !== values.join('\n')) {
    select.replaceChildren(...values.map(value => new Option(value, value)))
  }
  if (chosen !== undefined && select.value !== chosen) select.value = chosen
}
