/** Lines above a prompt that may change after they were written: each frame writes again only what is not as it was. */
export class LiveRegion {
  #shown: readonly string[] = []

  /**
   * What to write so that these lines stand there, each ended. The cursor is in the first column of the line below the region, and is there
   * again afterwards. `rows`: how many lines above the cursor can still be reached; what has left the screen stays as it was.
   */
  frame(lines: readonly string[], rows: number): string {
    const shown = this.#shown
    this.#shown = [...lines]
    let from = shown.findIndex((line, index) => line !== lines[index])
    if (from < 0) from = shown.length
    from = Math.min(Math.max(from, shown.length - rows), lines.length)
    const up = Math.min(shown.length - from, rows)
    const written = lines.slice(from).map((line) => `${line}\n`)
    return `${up > 0 ? `\u001b[${up}A` : ''}\r\u001b[J${written.join('')}`
  }

  /** What was written stays as it is; the next frame begins below it. */
  settle(): void {
    this.#shown = []
  }
}
