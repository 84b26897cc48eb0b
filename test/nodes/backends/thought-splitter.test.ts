import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ThoughtMarks, ThoughtSplitter } from '../../../src/nodes/backends/thought-splitter.ts'

const marks: ThoughtMarks = { prefix: '<think>', suffix: '</think>', isOpen: false }
function split(pieces: readonly string[], more: Partial<ThoughtMarks> = {}) {
  const splitter = new ThoughtSplitter({ ...marks, ...more })
  const parts = [...pieces.map((piece) => splitter.push(piece)), splitter.end()]
  return { thinking: parts.map(({ thinking }) => thinking).join(''), text: parts.map(({ text }) => text).join('') }
}

describe('thinking and text', () => {
  it.each([
    ['<think>a b</think>c d', {}, 'a b', 'c d'],
    ['\n<think>\na\n</think>\n\nc', {}, 'a', 'c'],
    ['no thinking', {}, '', 'no thinking'],
    ['<thin', {}, '', '<thin'],
    ['<think>cut in the mid', {}, 'cut in the mid', ''],
    ['<think>a</thin', {}, 'a</thin', ''],
    ['a</think>b', { isOpen: true }, 'a', 'b'],
    ['a<think>b</think>c', {}, '', 'a<think>b</think>c'],
    ['', {}, '', ''],
  ])('%j', (whole, more, thinking, text) => {
    expect(split([whole], more)).toEqual({ thinking, text })
  })

  it('are told apart alike, wherever the pieces are cut', () => {
    const part = fc.string({ unit: fc.constantFrom('a', '<', '/', 'think', '>', ' ', '\n') })
    fc.assert(
      fc.property(part, part, fc.array(fc.nat(20)), (thought, text, cuts) => {
        const whole = `<think>${thought}</think>${text}`
        const pieces: string[] = []
        let rest = whole
        for (const cut of cuts) {
          pieces.push(rest.slice(0, cut))
          rest = rest.slice(cut)
        }
        expect(split([...pieces, rest])).toEqual(split([whole]))
      }),
    )
  })
})
