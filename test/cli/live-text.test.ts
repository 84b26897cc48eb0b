import fc from 'fast-check'
import stringWidth from 'string-width'
import { describe, expect, it } from 'vitest'
import { Flow } from '../../src/cli/flow.ts'
import { LiveText } from '../../src/cli/live-text.ts'
import { plain, type Screen } from '../../src/cli/screen.ts'
import type { RunEvent, RunEventBody } from '../../src/core/event.ts'

function shown(bodies: readonly RunEventBody[], screen: Partial<Screen> = {}): string {
  let output = ''
  const live = new LiveText({
    width: 40,
    paint: plain,
    ...screen,
    write: (text) => {
      output += text
    },
  })
  for (const [index, body] of bodies.entries())
    live.show({ ...body, seq: index + 1, runId: 'r', ms: index } as RunEvent)
  return output
}

const start = (stage: string, attempt = 1, visit = 1): RunEventBody => ({
  type: 'stage-start',
  stage,
  callId: `${stage}.${visit}.${attempt}`,
  visit,
  attempt,
  model: 'm',
})
const tokens = (stage: string, text: string, callId = `${stage}.1.1`): RunEventBody[] =>
  text.split(/(?= )/).map((piece) => ({ type: 'token', stage, callId, text: piece }))
const signal = (stage: string, input?: string, interrupt = 1): RunEventBody => ({
  type: 'interrupt-signal',
  stage,
  callId: `${stage}.1.1`,
  interrupt,
  trigger: 'signal',
  ...(input !== undefined && { input }),
})
const decided = (stage: string, decision: string, interrupt = 1): RunEventBody => ({
  type: 'interrupt-decide',
  stage,
  callId: `${stage}.1.1`,
  interrupt,
  response: decision,
  decision,
  reason: 'said so',
})
const settled = (stage: string, settlement: string, callId = `${stage}.1.1`): RunEventBody => ({
  type: 'stage-settle',
  stage,
  callId,
  settlement,
})
const commit = (stage: string, characters: number): RunEventBody => ({
  type: 'output-commit',
  stage,
  callId: `${stage}.1.1`,
  characters,
})
const end: RunEventBody = { type: 'run-end', outcome: 'completed' }

describe('LiveText without a terminal', () => {
  it('shows stages under their names, wrapped at words', () => {
    const text = 'Fill the kettle with equal parts water and vinegar.\n1. Boil it.'
    expect(
      shown([
        start('draft'),
        ...tokens('draft', text),
        settled('draft', 'completed'),
        commit('draft', text.length),
        start('refine'),
        ...tokens('refine', 'Done.'),
        settled('refine', 'completed'),
        commit('refine', 5),
        end,
      ]),
    ).toBe(`draft
  Fill the kettle with equal parts water
  and vinegar.
  1. Boil it.

refine
  Done.
`)
  })

  it('marks where a call was cut, and says what became of its text', () => {
    expect(
      shown([
        start('draft'),
        ...tokens('draft', 'Fill the kettle'),
        signal('draft', 'I have no vinegar.'),
        decided('draft', 'abort'),
        settled('draft', 'aborted'),
        { type: 'output-withdraw', stage: 'draft', callId: 'draft.1.1' },
        start('refine'),
        ...tokens('refine', 'Without vinegar.'),
        settled('refine', 'completed'),
        commit('refine', 16),
        end,
      ]),
    ).toBe(`draft
  Fill the kettle ✂
  interrupt: I have no vinegar. → abort
  kept: nothing of it

refine
  Without vinegar.
`)
  })

  it('says how much of a cut text is kept', () => {
    expect(
      shown([
        start('draft'),
        ...tokens('draft', 'One. Two'),
        signal('draft'),
        decided('draft', 'abort'),
        settled('draft', 'aborted'),
        commit('draft', 4),
        end,
      ]),
    ).toBe(`draft
  One. Two ✂
  interrupt (signal) → abort
  kept: the first 4 of 8 characters
`)
  })

  it('says when all of a cut text is kept: all that had come, for the server may have generated more', () => {
    expect(
      shown([start('draft'), ...tokens('draft', 'One.'), settled('draft', 'aborted'), commit('draft', 4), end]),
    ).toBe('draft\n  One. ✂\n  kept: all that had come\n')
  })

  it('says when a call was cut before its first token', () => {
    expect(shown([start('draft'), settled('draft', 'aborted'), commit('draft', 0), end])).toBe(
      'draft\n  ✂\n  cut before its first token\n',
    )
  })

  it('says why a call failed, and tells attempts and visits apart', () => {
    const failed: RunEventBody = {
      type: 'stage-settle',
      stage: 'draft',
      callId: 'draft.1.1',
      settlement: 'failed',
      error: { code: 'CAESURA_E_REFUSED', message: 'refused' },
    }
    expect(shown([start('draft'), failed, start('draft', 2), start('draft', 1, 2), start('draft', 3, 2), end])).toBe(
      'draft\n  failed: refused (CAESURA_E_REFUSED)\n\ndraft, attempt 2\n\ndraft, visit 2\n\ndraft, visit 2, attempt 3\n',
    )
  })

  it('lets a drained call go on below the interrupt', () => {
    expect(
      shown([
        start('draft'),
        ...tokens('draft', 'One two'),
        signal('draft', 'Change'),
        decided('draft', 'drain'),
        ...tokens('draft', ' three.'),
        settled('draft', 'drained'),
        commit('draft', 14),
        end,
      ]),
    ).toBe(`draft
  One two
  interrupt: Change → drain
  three.
`)
  })

  it('keeps the text of two calls apart that answer at the same time', () => {
    expect(
      shown([
        start('draft'),
        ...tokens('draft', 'One'),
        signal('draft', 'Change'),
        decided('draft', 'race'),
        start('refine'),
        ...tokens('draft', ' two'),
        ...tokens('refine', 'New'),
        settled('draft', 'withdrawn'),
        end,
      ]),
    ).toBe(`draft
  One
  interrupt: Change → race

refine

draft, going on
  two

refine, going on
  New
  draft: withdrawn ✂
`)
  })
})

describe('LiveText on a terminal', () => {
  it('draws a cut text again, with what does not stand struck out', () => {
    const output = shown(
      [
        start('draft'),
        ...tokens('draft', 'One. Two three'),
        signal('draft', 'Change'),
        decided('draft', 'abort'),
        settled('draft', 'aborted'),
        commit('draft', 4),
        end,
      ],
      { rows: 24, paint: (tone, text) => (tone === 'cut' ? `~${text}~` : text) },
    )
    expect(output).toBe(
      [
        'draft\n  One. Two three\n  interrupt: Change → abort\n',
        '\u001b[2A\r\u001b[J  One. Two three ✂\n  interrupt: Change → abort\n',
        '\u001b[2A\r\u001b[J  One.~ Two~~ three~ ✂\n  interrupt: Change → abort\n',
        '  kept: the first 4 of 14 characters\n',
      ].join(''),
    )
  })

  it('does not draw what has left the screen', () => {
    const output = shown(
      [start('draft'), ...tokens('draft', 'a\nb\nc\nd\ne'), settled('draft', 'aborted'), commit('draft', 4), end],
      { rows: 3 },
    )
    expect(output).not.toContain('\u001b')
    expect(output).toContain('kept: the first 4 of 9 characters')
  })

  it('shows no escape sequence that a model wrote', () => {
    const output = shown([
      start('a'),
      { type: 'token', stage: 'a', callId: 'a.1.1', text: 'x\u001b[2Jy\u0007\u202ez' },
      end,
    ])
    expect(output).toBe('a\n  xyz\n')
  })
})

describe('Flow', () => {
  it('never writes a line wider than the screen, and loses nothing but blanks', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.integer({ min: 10, max: 60 }), (pieces, width) => {
        let output = ''
        const flow = new Flow({
          width,
          paint: plain,
          write: (text) => {
            output += text
          },
        })
        for (const piece of pieces) flow.add(piece)
        flow.close()
        for (const line of output.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(width)
      }),
    )
  })
})
