import { object } from './check.js'

const warned = new Set<string>()

/** Warns once per process and subject. */
export function warnOnce(
  subject: string,
  text: string,
  options: { readonly type: string; readonly code: string }
): void {
  if (warned.has(subject)) return
  warned.add(subject)
  process.emitWarning(text, options)
}

/** Warns that a call is deprecated, once per process and call. */
export function deprecated(old: string, now: string): void {
  warnOnce(old, `${old} is deprecated and goes with mdgl 0.3; use ${now}.`, {
    type: 'DeprecationWarning',
    code: 'MDGL_DEPRECATED'
  })
}

/** The options of a call; in the deprecated form the rule is an argument of its own. */
export function withRule<O extends object>(
  call: string,
  key: keyof O & string,
  given: unknown,
  options: object | undefined
): O {
  if (options === undefined) return given as O
  deprecated(`${call}(model, batch, ${key}, options)`, `${call}(model, batch, { ${key}, … })`)
  return { ...object(options, 'options'), [key]: given } as O
}
