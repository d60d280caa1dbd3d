import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { Metrics } from '../src/operations/train.js'
import { cellColours } from '../src/plots/colours.js'
import { drawNetwork } from '../src/plots/network-graph.js'
import { layoutWidth, namedStyle, STYLE_NAMES, styled, styleOf } from '../src/plots/picture-style.js'
import { toOutlines, toPng } from '../src/plots/png.js'
import { runCurves } from '../src/plots/run-curves.js'
import { delayedMatch } from '../src/tasks/index.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'

const METRICS: Metrics[] = [1, 2, 3].map(iteration => ({
  iteration,
  split: 'validation',
  loss: 1 / iteration,
  accuracy: null,
  spikeRate: 10,
  learningRate: 0.01,
  ms: 1
})) as unknown as Metrics[]

const numberOf = (svg: string, pattern: RegExp) => Number(pattern.exec(svg)?.[1])

for (const name of STYLE_NAMES)
  test(`${name}: text and curves have their size in print`, t => {
    const style = namedStyle(name)
    const svg = styled(runCurves(METRICS, layoutWidth(style)), style)
    const width = numberOf(svg, /^<svg [^>]*width="([\d.]+)mm"/)
    const pointsPerUnit = ((width / 25.4) * 72) / numberOf(svg, /viewBox="0 0 ([\d.]+) /)
    t.is(width, style.width)
    t.true(Math.abs(numberOf(svg, /font-size="([\d.]+)px"/) * pointsPerUnit - 7) < 0.01)
    const strokes = [...svg.matchAll(/stroke-width="([\d.]+)"/g)].map(found => Number(found[1]) * pointsPerUnit)
    t.true(Math.abs(Math.max(...strokes) - 1) < 0.01)
    t.true(Math.min(...strokes) >= 0.249)
    t.true(svg.includes("font-family=\"'Arial', 'Helvetica', sans-serif\""))
  })

test("a style's colours replace those of the same meaning", t => {
  const description = delayedMatch().network({ seed: 1 })
  const [excitatory = '', inhibitory = ''] = cellColours([{ sign: 'excitatory' }, { sign: 'inhibitory' }])
  const plain = drawNetwork(description, 1)
  const svg = styled(plain, styleOf({ colours: { excitatory: ['#123456'] } }))
  const times = (text: string, colour: string) => text.split(colour).length - 1
  t.true(times(plain, excitatory) > 0)
  t.is(times(svg, excitatory), 0)
  t.is(times(svg, '#123456'), times(plain, excitatory))
  t.is(times(svg, inhibitory), times(plain, inhibitory))
})

test("a network's text has its size in print, and its legend stands above it", t => {
  const style = namedStyle('nature-column')
  const svg = styled(drawNetwork(delayedMatch().network({ seed: 1 }), 960 / layoutWidth(style)), style)
  const points = (numberOf(svg, /font-size="([\d.]+)px"/) / 960) * (89 / 25.4) * 72
  t.true(Math.abs(points - 7) < 0.05, String(points))
  const top = numberOf(svg, /viewBox="0 -([\d.]+) /)
  const rows = [...svg.matchAll(/<text x="[\d.]+" y="(-?[\d.]+)"/g)].map(found => Number(found[1]))
  t.true(Math.min(...rows) > -top)
})

test('a PNG has the resolution, outlines have no text', t => {
  const style = styleOf({ width: 50, resolution: 300, fontSize: 6 })
  const svg = styled(runCurves(METRICS, layoutWidth(style)), style)
  const png = Buffer.from(toPng(svg, style))
  t.is(png.readUInt32BE(16), Math.round((50 / 25.4) * 300))
  t.is(png.indexOf('pHYs'), 37)
  t.is(png.readUInt32BE(41), Math.round(300 / 0.0254))
  const outlines = toOutlines(svg, style)
  t.true(svg.includes('<text'))
  t.false(outlines.includes('<text'))
  t.regex(outlines, /^<svg width="50mm" height="[\d.]+mm" viewBox="0 0 /)
  t.true(outlines.length > svg.length)
})

for (const [given, says] of [
  [{ widht: 3 }, /style\.widht is 3; allowed: only 'base', 'width'/],
  [{ base: 'nature' }, /style\.base is 'nature'; allowed: 'nature-column'/],
  [{ width: 5 }, /style\.width is 5; allowed: from 20 to 500 mm/],
  [{ width: 40, fontSize: 12 }, /style\.fontSize is 12; allowed: at most 5\.0 pt where the width is 40 mm/],
  [{ font: "x'; fill: red" }, /style\.font is .*families separated by commas/],
  [{ lineWidth: 0.1 }, /style\.lineWidth is 0\.1; allowed: from 0\.25 to 10 pt/],
  [{ text: 'paths' }, /style\.text is 'paths'; allowed: 'font' or 'outlines'/],
  [{ resolution: 10 }, /style\.resolution is 10; allowed: from 72/],
  [{ colours: { cells: [] } }, /style\.colours\.cells is/],
  [{ colours: { ligands: ['red'] } }, /style\.colours\.ligands\[0\] is 'red'; allowed: a colour as '#RRGGBB'/],
  [{ colours: { ligands: Array(5).fill('#000000') } }, /style\.colours\.ligands\.length is 5; allowed: at most 4/],
  [{ colours: { rules: { mgdl: '#000000' } } }, /style\.colours\.rules\.mgdl is/],
  [{ colours: { rules: { mdgl: 7 } } }, /style\.colours\.rules\.mdgl is 7/],
  [null, /style is null/]
] as const)
  test(`a style is refused: ${JSON.stringify(given)}`, t => {
    t.throws(() => styleOf(given), { message: says })
  })

test('mdgl plot --style takes a name or a file', async t => {
  const folder = await temporaryFolder(t)
  const [file, out] = [join(folder, 'style.json'), join(folder, 'network.svg')]
  await writeFile(file, JSON.stringify({ base: 'cell-page', text: 'outlines', font: 'Source Sans 3' }))
  t.is((await mdgl('plot', 'network', 'delayed-match', '--style', file, '--out', out)).code, 0)
  const outlines = await readFile(out, 'utf8')
  t.regex(outlines, /^<svg width="174mm"/)
  t.false(outlines.includes('<text'))
  t.is((await mdgl('plot', 'network', 'delayed-match', '--style', 'pnas-column', '--out', out)).code, 0)
  t.regex(await readFile(out, 'utf8'), /^<svg [^>]*width="87mm"/)
  await writeFile(file, '{')
  t.regex((await mdgl('plot', 'network', 'delayed-match', '--style', file)).stderr, /style\.json is no JSON/)
  const wrong = await mdgl('plot', 'network', 'delayed-match', '--style', 'science')
  t.is(wrong.code, 2)
  t.regex(wrong.stderr, /--style is 'science'; it must be one of nature-column.*or a \.json file/)
})
