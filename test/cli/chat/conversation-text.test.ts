import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { answerLines, ConversationText } from '../../../src/cli/chat/conversation-text.ts'
import { type Paint, plain } from '../../../src/cli/screen.ts'
import type { RunEvent, RunEventBody } from '../../../src/core/event.ts'

/** Shows what is struck, as `~text~`. */
const struck: Paint = (tone, text) => (tone === 'cut' ? `~${text}~` : text)
const canvas = { width: 60, paint: struck }

function conversation(hasHistory = true) {
  const text = new ConversationText({ hasHistory })
  let seq = 0
  const show = (ms: number, body: RunEventBody) =>
    text.show({ seq: ++seq, runId: 'run', ms, ...body } as unknown as RunEvent)
  const call = (callId: string) => ({ stage: 'answer', callId })
  return {
    text,
    say: (ms: number, callId: string, words: string) => show(ms, { type: 'token', ...call(callId), text: words }),
    interrupt(ms: number, callId: string, { interrupt = 1, decision = 'abort' } = {}) {
      show(ms, { type: 'interrupt-signal', ...call(callId), interrupt, trigger: 'signal', input: 'no' })
      show(ms, { type: 'interrupt-decide', ...call(callId), interrupt, response: 'abort', decision, reason: '' })
    },
    commit: (ms: number, callId: string, characters: number) =>
      show(ms, { type: 'output-commit', ...call(callId), characters }),
    settle: (ms: number, callId: string, settlement: string) =>
      show(ms, { type: 'stage-settle', ...call(callId), settlement }),
    end: (outcome: 'completed' | 'cancelled' = 'completed') => show(999, { type: 'run-end', outcome }),
  }
}

describe('a conversation on the screen', () => {
  it('strikes the sentence that was cut, and tells what was kept and when the next answer began', () => {
    const { text, say, interrupt, settle, end } = conversation()
    text.typed('How?')
    say(10, 'a', 'Fill it. Boil')
    text.typed('No vinegar.')
    interrupt(100, 'a')
    settle(101, 'a', 'aborted')
    say(142, 'b', 'Use citric acid.')
    settle(200, 'b', 'completed')
    end()
    expect(text.lines(canvas)).toEqual([
      '> How?',
      '  Fill it. ~Boil~',
      '> No vinegar.',
      '  abort · kept 13 characters · 42 ms to the first token',
      '  Use citric acid.',
    ])
    expect(text.lines({ width: 60, paint: plain })).toContain('  Fill it. Boil [cut]')
  })

  it('strikes what the policy does not carry, where there is no history', () => {
    const { text, say, interrupt, commit, settle } = conversation(false)
    say(10, 'a', 'Fill it. Boil it. And')
    interrupt(100, 'a')
    commit(101, 'a', 8)
    settle(101, 'a', 'aborted')
    say(142, 'b', 'Then')
    expect(text.lines(canvas)).toEqual([
      '  Fill it. ~Boil it. And~',
      '  abort · kept 8 of 21 characters · 42 ms to the first token',
      '  Then',
    ])
  })

  it('strikes all of what was withdrawn', () => {
    const { text, say, settle } = conversation()
    say(10, 'a', 'Fill it.')
    settle(20, 'a', 'withdrawn')
    expect(text.lines(canvas)).toEqual(['  ~Fill it.~'])
  })

  it('strikes nothing of an answer that went on to its end', () => {
    const { text, say, interrupt, settle } = conversation()
    say(10, 'a', 'Fill')
    interrupt(100, 'a', { decision: 'drain' })
    say(110, 'a', ' it.')
    settle(120, 'a', 'drained')
    say(142, 'b', 'Then')
    expect(text.lines(canvas)).toEqual(['  Fill it.', '  drain · kept all of it · 42 ms to the first token', '  Then'])
  })

  it('gives the time to the newest of several interrupts alone', () => {
    const { text, say, interrupt, settle } = conversation()
    say(10, 'a', 'Fill')
    interrupt(100, 'a')
    interrupt(120, 'a', { interrupt: 2 })
    settle(121, 'a', 'aborted')
    say(140, 'b', 'Then')
    expect(text.lines(canvas).filter((line) => line.includes('abort'))).toEqual([
      '  abort · kept 4 characters',
      '  abort · kept 4 characters · 20 ms to the first token',
    ])
  })

  it('tells an interrupt before the first token, and one that nothing follows', () => {
    const { text, interrupt, settle, end } = conversation()
    interrupt(5, 'a')
    settle(6, 'a', 'aborted')
    end('cancelled')
    expect(text.lines(canvas)).toEqual(['  abort · cut before its first token', '  cancelled'])
  })

  it('shows nothing that a terminal obeys', () => {
    const { text, say } = conversation()
    text.typed('\u001b[2Jx')
    say(1, 'a', '\u001b[31mred\u0007')
    expect(text.lines({ width: 60, paint: plain })).toEqual(['> x', '  red'])
  })
})

describe('the lines of an answer', () => {
  const texts = fc.stringMatching(/^[a-z]{1,12}([ \n][a-z]{1,12}){0,20}$/)

  it('strike exactly what is behind the cut, whatever the width', () => {
    fc.assert(
      fc.property(texts, fc.nat(), fc.integer({ min: 20, max: 80 }), (text, at, width) => {
        const cutFrom = at % (text.length + 1)
        const lines = answerLines({ text, cutFrom }, { width, paint: struck })
        const drawn = lines.join('\n')
        const inside = [...drawn.matchAll(/~([^~]*)~/g)].map(([, part]) => part).join('')
        const letters = (part: string) => part.replace(/\s|~/g, '')
        expect(letters(inside)).toBe(letters(text.slice(cutFrom)))
        expect(letters(drawn)).toBe(letters(text))
        for (const line of lines) expect(line.replaceAll('~', '').length).toBeLessThanOrEqual(width)
      }),
    )
  })
})
