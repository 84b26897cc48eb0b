import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { correctTurn, type SessionStore } from '../../src/core/session.ts'
import { type Turn, turnEnds, withTurn } from '../../src/core/turn.ts'

const session = { id: 's', tenant: '' }
const begun = (runId: string, number = 1, input = `${runId} ${number}`): Turn => ({ runId, number, input, at: 1.5 })
const ended = (runId: string, number = 1): Turn => ({ ...begun(runId, number), text: 'Said.', end: 'answered' })

/** What every store of sessions keeps to. `open`: an empty one. */
export function describeSessionStore(name: string, open: () => SessionStore): void {
  describe(`a session store: ${name}`, () => {
    it('knows no session that nobody wrote', () => {
      const store = open()
      expect([store.read('s'), store.tenant('s')]).toEqual([undefined, undefined])
    })

    it('keeps turns in the order in which they began, whoever writes them again', () => {
      const store = open()
      expect(store.write(session, begun('a'))).toBe(true)
      store.write(session, begun('b'))
      store.write(session, begun('a', 2))
      store.write(session, ended('a'))
      store.write(session, { ...ended('b'), cut: true, end: 'interrupted' })
      expect(store.read('s')).toEqual({
        tenant: '',
        turns: [ended('a'), { ...ended('b'), cut: true, end: 'interrupted' }, begun('a', 2)],
      })
    })

    it('keeps what a turn is, of any text', () => {
      const turn = fc.record(
        {
          runId: fc.constantFrom('a', 'b', '1b671a64-40d5-491e-99b0-da01ff1f3341', '×'),
          number: fc.integer({ min: 1, max: 4 }),
          input: fc.string({ unit: 'grapheme' }),
          at: fc.double({ min: 0, max: 4e12, noNaN: true }).map(Math.abs),
          text: fc.string({ unit: 'grapheme' }),
          cut: fc.constant(true as const),
          end: fc.constantFrom(...turnEnds),
        },
        { requiredKeys: ['runId', 'number', 'input', 'at'] },
      ) as fc.Arbitrary<Turn>
      const cases = fc.property(fc.array(turn, { maxLength: 12 }), (turns) => {
        const store = open()
        let expected: Turn[] = []
        for (const each of turns) {
          const isFirst = each.number === 1 && each.end === undefined
          const isTaken = isFirst || expected.some(({ runId }) => runId === each.runId)
          expect(store.write(session, each)).toBe(isTaken)
          if (isTaken) expected = withTurn(expected, each)
        }
        expect(store.read('s')?.turns ?? []).toEqual(expected)
      })
      fc.assert(cases, { numRuns: 50 })
    })

    it('takes back what was not heard of the last answer, until the next turn', () => {
      const store = open()
      store.write(session, begun('a'))
      store.write(session, ended('a'))
      expect(correctTurn(store, 's', { runId: 'b', text: 'Sa' })).toBe(false)
      expect(correctTurn(store, 's', { runId: 'a', text: 'So' })).toBe(false)
      expect(correctTurn(store, 's', { runId: 'a', text: 'Sa' })).toBe(true)
      expect(store.read('s')?.turns).toEqual([{ ...ended('a'), text: 'Sa', cut: true }])
      expect(correctTurn(store, 's', { runId: 'a', text: 'Said' })).toBe(false)
      store.write(session, begun('b'))
      expect(correctTurn(store, 's', { runId: 'a', text: '' })).toBe(false)
    })

    it('takes nothing for another tenant', () => {
      const store = open()
      store.write({ id: 's', tenant: 'one' }, begun('a'))
      expect(store.write({ id: 's', tenant: 'two' }, begun('b'))).toBe(false)
      expect(store.read('s')).toEqual({ tenant: 'one', turns: [begun('a')] })
      expect(store.tenant('s')).toBe('one')
    })

    it('takes nothing of a run whose session was deleted meanwhile, and begins anew with the next run', () => {
      const store = open()
      store.write(session, begun('a'))
      expect(store.delete('s')).toBe(true)
      expect(store.write(session, ended('a'))).toBe(false)
      expect(store.write(session, begun('a', 2))).toBe(false)
      expect(store.read('s')).toBeUndefined()
      expect(store.delete('s')).toBe(false)
      store.write({ id: 's', tenant: 'two' }, begun('b'))
      expect(store.read('s')).toEqual({ tenant: 'two', turns: [begun('b')] })
    })
  })
}
