/** For each point whether it is on the front: no other is at least as low in every figure and lower in one. */
export function paretoFront(points: readonly (readonly number[])[]): boolean[] {
  const dominates = (a: readonly number[], b: readonly number[]) =>
    a.every((figure, index) => figure <= b[index]!) && a.some((figure, index) => figure < b[index]!)
  return points.map((point) => !points.some((other) => dominates(other, point)))
}
