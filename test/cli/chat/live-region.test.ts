import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LiveRegion } from '../../../src/cli/chat/live-region.ts'

/** A terminal that knows what frames are made of: up, to the first column, clear below, text. Its top cannot be passed. */
class Terminal {
  readonly lines: string[] = ['']
  readonly #rows: number
  #row = 0

  constructor(rows: number) {
    this.#rows = rows
  }

  write(text: string): void {
    for (const [, up, clear, letter] of text.replaceAll('\u001b[', '^').matchAll(/\^(\d+)A|\r(\^J)|([^^\r])/g)) {
      if (up !== undefined) this.#row = Math.max(this.lines.length - this.#rows, 0, this.#row - Number(up))
      else if (clear !== undefined) this.lines.splice(this.#row, this.lines.length, '')
      else if (letter === '\n') {
        this.#row += 1
        if (this.#row === this.lines.length) this.lines.push('')
      } else this.lines[this.#row] += letter ?? ''
    }
  }
}

const line = fc.stringMatching(/^[a-z]{0,8}$/)

describe('a live region', () => {
  it('stands on the screen as its last frame has it, while all of it can be reached', () => {
    fc.assert(
      fc.property(fc.array(fc.array(line, { maxLength: 9 }), { minLength: 1, maxLength: 8 }), (frames) => {
        const terminal = new Terminal(10)
        const region = new LiveRegion()
        terminal.write('above\n')
        for (const frame of frames) terminal.write(region.frame(frame, 9))
        expect(terminal.lines).toEqual(['above', ...frames.at(-1)!, ''])
      }),
    )
  })

  it('leaves what has left the screen as it was, and loses no line that is added', () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 40 }), fc.integer({ min: 2, max: 6 }), (all, rows) => {
        const terminal = new Terminal(rows)
        const region = new LiveRegion()
        for (let length = 1; length <= all.length; length += 1)
          terminal.write(region.frame(all.slice(0, length), rows - 1))
        const changed = all.map((each) => `${each}!`)
        terminal.write(region.frame(changed, rows - 1))
        const reached = Math.min(all.length, rows - 1)
        expect(terminal.lines).toEqual([...all.slice(0, -reached), ...changed.slice(-reached), ''])
      }),
    )
  })

  it('writes nothing again that is as it was', () => {
    const region = new LiveRegion()
    region.frame(['one', 'two'], 9)
    expect(region.frame(['one', 'two', 'three'], 9)).toBe('\r\u001b[Jthree\n')
  })

  it('begins below what was settled', () => {
    const region = new LiveRegion()
    region.frame(['one'], 9)
    region.settle()
    expect(region.frame(['two'], 9)).toBe('\r\u001b[Jtwo\n')
  })
})
