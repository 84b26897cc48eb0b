import stringWidth from 'string-width'
import { oneLine, type Screen } from '../screen.ts'

export interface TableLook extends Pick<Screen, 'width' | 'paint'> {
  /** Columns that end on one edge: figures. */
  readonly right?: readonly number[]
  /** The widest that the first column may be; 24 by default. */
  readonly firstAtMost?: number
}

const GAP = '  '

/** A table, lines unended; a line that is too long loses its end. `heads` may be empty. */
export function tableLines(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  { width, paint, right = [], firstAtMost = 24 }: TableLook,
): string[] {
  const cut = (cells: readonly string[]) =>
    cells.map((cell, column) => oneLine(cell, column === 0 ? firstAtMost : width))
  const lines = rows.map(cut)
  const widths = [heads, ...lines].reduce<number[]>(
    (widest, cells) => cells.map((cell, column) => Math.max(widest[column] ?? 0, stringWidth(cell))),
    [],
  )
  const line = (cells: readonly string[]) =>
    fitting(
      cells
        .map((cell, column) => {
          const blanks = ' '.repeat((widths[column] ?? 0) - stringWidth(cell))
          return right.includes(column) ? blanks + cell : cell + blanks
        })
        .join(GAP)
        .trimEnd(),
      width,
    )
  return [...(heads.length > 0 ? [paint('quiet', line(heads))] : []), ...lines.map(line)]
}

/** Cut where the screen ends; blanks inside are left as they are. */
function fitting(text: string, width: number): string {
  if (stringWidth(text) <= width) return text
  let kept = ''
  for (const character of text) {
    if (stringWidth(kept + character) > width - 1) break
    kept += character
  }
  return `${kept}…`
}
