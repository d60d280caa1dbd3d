/** A point of the picture. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** A disc of dots. */
export interface Disc extends Point {
  readonly radius: number
  readonly dots: readonly Point[]
}

const DOT_SPACING = 6.2
/** Discs of very many dots are no larger than this. */
const MOST_RADIUS = 95
const DISC_MARGIN = 9
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5))

const spacingOf = (count: number) => Math.min(DOT_SPACING, MOST_RADIUS / Math.sqrt(count))

/** The radius of a disc of so many dots. */
export const radiusOf = (count: number): number => spacingOf(count) * Math.sqrt(count) + DISC_MARGIN

/** So many dots, evenly spread over a disc. */
export function disc(count: number, { x, y }: Point): Disc {
  const spacing = spacingOf(count)
  const dots = Array.from({ length: count }, (_, i) => {
    const distance = spacing * Math.sqrt(i + 0.5)
    return { x: x + distance * Math.cos(i * GOLDEN_ANGLE), y: y + distance * Math.sin(i * GOLDEN_ANGLE) }
  })
  return { x, y, radius: radiusOf(count), dots }
}

/** So many dots in a column around a point. */
export function column(count: number, { x, y }: Point, height: number): Point[] {
  const spacing = Math.min(18, height / Math.max(1, count - 1))
  return Array.from({ length: count }, (_, i) => ({ x, y: y + (i - (count - 1) / 2) * spacing }))
}

/** So many points around a centre, from the left upwards; a single one is the centre. */
export function ring(count: number, centre: Point, radius: Point): Point[] {
  if (count === 1) return [centre]
  return Array.from({ length: count }, (_, i) => {
    const angle = Math.PI + (2 * Math.PI * (i + 0.5)) / count
    return { x: centre.x + radius.x * Math.cos(angle), y: centre.y + radius.y * Math.sin(angle) }
  })
}

const BEND = 0.16
const LOOP = 42
/** How far a loop reaches beyond its disc. */
export const LOOP_REACH = 0.75 * LOOP + 4

/** A bent path from the rim of one disc to the rim of another; two in opposite directions lie side by side. */
export function arc(from: Disc, to: Disc): string {
  const control = {
    x: (from.x + to.x) / 2 - BEND * (to.y - from.y),
    y: (from.y + to.y) / 2 + BEND * (to.x - from.x)
  }
  return `M${text(rim(from, control))} Q${text(control)} ${text(rim(to, control))}`
}

/** A loop from a disc to itself, on the side that faces away from the centre. */
export function loop(at: Disc, centre: Point): string {
  const away = Math.atan2(at.y - centre.y, at.x - centre.x)
  const towards = (turn: number, distance: number) => ({
    x: at.x + distance * Math.cos(away + turn),
    y: at.y + distance * Math.sin(away + turn)
  })
  const controls = [towards(-0.5, at.radius + LOOP), towards(0.5, at.radius + LOOP)]
  return `M${text(towards(-0.35, at.radius))} C${controls.map(text).join(' ')} ${text(towards(0.35, at.radius))}`
}

/** Where the line from a disc's middle to a point crosses its rim. */
function rim({ x, y, radius }: Disc, point: Point): Point {
  const distance = Math.hypot(point.x - x, point.y - y) || 1
  return { x: x + (radius * (point.x - x)) / distance, y: y + (radius * (point.y - y)) / distance }
}

const text = ({ x, y }: Point) => `${x.toFixed(1)} ${y.toFixed(1)}`
