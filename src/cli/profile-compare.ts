import { spawn } from 'node:child_process'
import { type ProfileRun, probeCost, words } from '../profile/figures.js'
import { commandFile } from '../runs/command-file.js'
import { table } from './table.js'

/** A profile as `--json` prints it. */
type Printed = Omit<ProfileRun, 'slices'>

/** Profiles with each instruction set, in a process of its own, and puts them side by side. */
export async function compareSets(sets: readonly string[], args: readonly string[], json: boolean): Promise<number> {
  const profiles: Printed[] = []
  for (const simd of sets) {
    const printed = await runWith(simd, args)
    if (printed === undefined) return 1
    if (json) console.log(JSON.stringify(printed))
    profiles.push(printed)
  }
  if (!json) console.log(sideBySide(profiles))
  return 0
}

/** One run; its error messages go to standard error. */
async function runWith(simd: string, args: readonly string[]): Promise<Printed | undefined> {
  const child = spawn(process.execPath, [commandFile(), ...args], {
    env: { ...process.env, MDGL_SIMD: simd },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return code === 0 ? (JSON.parse(output) as Printed) : undefined
}

function sideBySide(profiles: readonly Printed[]): string {
  const [first] = profiles
  if (first === undefined) return ''
  const ratio = (ms: number, base: number) => (base > 0 ? (ms / base).toFixed(2) : '')
  const columns = (times: readonly number[]) =>
    times.flatMap((ms, i) => (i === 0 ? [ms.toFixed(3)] : [ms.toFixed(3), ratio(ms, times[0] ?? 0)]))
  const header = profiles.flatMap(({ simd }, i) => (i === 0 ? [`${simd}, ms`] : [`${simd}, ms`, `of ${first.simd}`]))
  const rows = first.kernels
    .map(({ kernel }, i) => ({ kernel, times: profiles.map(({ kernels }) => kernels[i]?.ms ?? 0) }))
    .filter(({ times }) => times.some(ms => ms !== 0))
    .map(({ kernel, times }) => [words(kernel), ...columns(times)])
  return [
    `${first.task}, ${first.rule}, ${first.threads} thread${first.threads === 1 ? '' : 's'}, ${first.precision}`,
    '',
    table(
      [
        ['kernel', ...header],
        ...rows,
        ['an iteration, plain', ...columns(profiles.map(printed => probeCost(printed).plain))]
      ],
      1
    )
  ].join('\n')
}
