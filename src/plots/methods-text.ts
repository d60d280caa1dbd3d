/** Numbers and lists in sentences, and equations in two notations. */

/** A formula in plain text and in LaTeX. */
export interface Equation {
  readonly plain: string
  readonly latex: string
}

/** A piece of a methods section: sentences, then the equations that they introduce. */
export interface Paragraph {
  readonly text: string
  readonly equations: readonly Equation[]
}

/** A parameter that is one value, or one per neuron: `20`, or `0 (50 cells), 1.8 (50 cells)`. */
export function parameter(value: unknown, unit = ''): string {
  const withUnit = (each: unknown) => `${each}${unit === '' ? '' : ` ${unit}`}`
  if (!Array.isArray(value)) return withUnit(value)
  const counts = new Map<unknown, number>()
  for (const each of value) counts.set(each, (counts.get(each) ?? 0) + 1)
  if (counts.size === 1) return withUnit(value[0])
  if (counts.size > 4) return `${withUnit(least(value))} to ${withUnit(most(value))}, one per cell`
  return [...counts].map(([each, count]) => `${withUnit(each)} (${count} ${count === 1 ? 'cell' : 'cells'})`).join(', ')
}

const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b))
const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b))

/** `a`, `a and b`, `a, b and c`. */
export function sequence(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}

/** Text as LaTeX has it: symbols with an index, and Greek letters, are mathematics. */
export function latexText(text: string): string {
  const [found, before, symbol = '', index = '', after = ''] =
    /^(.*?)(?<![\w-])([A-Za-zα-ωΓ])_([a-z]+(?:,t)?|p→j)(?![\w])(.*)$/su.exec(text) ?? []
  if (found === undefined)
    return Array.from(text.replaceAll('w̄', 'ẘ').replaceAll(/\bthr\b/g, 'ϑ'), letter => SYMBOLS[letter] ?? letter).join(
      ''
    )
  const [base] = (SYMBOLS[symbol] ?? `$${symbol}$`).split('$').filter(Boolean)
  const sub = index.length > 1 && !index.includes(',') ? `\\mathrm{${index}}` : index
  return `${latexText(before ?? '')}$${base}_{${sub}}$${latexText(after)}`
}

const SYMBOLS: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '&': '\\&',
  '%': '\\%',
  $: '\\$',
  '#': '\\#',
  _: '\\_',
  '{': '\\{',
  '}': '\\}',
  '−': '$-$',
  '·': '$\\cdot$',
  '→': '$\\to$',
  ϑ: '$\\vartheta$',
  ẘ: '$\\bar w$',
  '²': '$^2$',
  π: '$\\pi$',
  '>': '$>$',
  '<': '$<$',
  '|': '$|$',
  '½': '$\\tfrac12$',
  '₁': '$_1$',
  '₂': '$_2$',
  α: '$\\alpha$',
  β: '$\\beta$',
  γ: '$\\gamma$',
  δ: '$\\delta$',
  ε: '$\\varepsilon$',
  ζ: '$\\zeta$',
  θ: '$\\theta$',
  κ: '$\\kappa$',
  λ: '$\\lambda$',
  μ: '$\\mu$',
  ρ: '$\\rho$',
  τ: '$\\tau$',
  ψ: '$\\psi$',
  Γ: '$\\Gamma$',
  Σ: '$\\Sigma$',
  '∂': '$\\partial$'
}
