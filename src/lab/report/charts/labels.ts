interface Box {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}
interface Labelled {
  readonly x: number
  readonly y: number
  readonly text: string
}

const CHARACTER = 7.4
const HEIGHT = 15
const AWAY = 11

/**
 * Where the label of each point stands, px: beside, above or below it, inside the frame, over as little as may be of the points and of
 * the labels before it. `x` is the label's left end, `y` its middle.
 */
export function placeLabels(points: readonly Labelled[], frame: Box): Labelled[] {
  const taken: Box[] = points.map(({ x, y }) => ({ left: x - 7, right: x + 7, top: y - 7, bottom: y + 7 }))
  return points.map(({ x, y, text }) => {
    const width = text.length * CHARACTER
    const places = [1, 2, 3].flatMap((away) => [
      [x + 8 * away, y - 14 * away],
      [x + AWAY * away, y],
      [x - AWAY * away - width, y],
      [x - width / 2, y - 16 * away],
      [x - width / 2, y + 16 * away],
      [x + 8 * away, y + 14 * away],
    ]) as [number, number][]
    const boxes = places.map(
      ([left, middle]): Box => ({ left, right: left + width, top: middle - HEIGHT / 2, bottom: middle + HEIGHT / 2 }),
    )
    const cost = (box: Box) => taken.reduce((sum, other) => sum + overlap(box, other), 0) + outside(box, frame) * 5
    const best = boxes.reduce((least, box) => (cost(box) < cost(least) ? box : least))
    taken.push(best)
    return { x: best.left, y: (best.top + best.bottom) / 2, text }
  })
}

const overlap = (a: Box, b: Box): number =>
  Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
  Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top))

const outside = (box: Box, frame: Box): number => (box.right - box.left) * (box.bottom - box.top) - overlap(box, frame)
