import { object } from './check.js'

const told = new Set<string>()

/** Tells of a way to call the library that goes with the next version, once per process and way. */
export function deprecated(old: string, now: string): void {
  if (told.has(old)) return
  told.add(old)
  process.emitWarning(`${old} is deprecated and goes with mdgl 0.3; use ${now}.`, {
    type: 'DeprecationWarning',
    code: 'MDGL_DEPRECATED'
  })
}

/** The options of a call, of which the rule was once an argument by itself. */
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
