import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/core/event-log.ts'

const token = (text: string, callId = 'a.1') => ({ type: 'token' as const, stage: 'a', callId, text })

describe('the events of a run', () => {
  it('are numbered from 1 and the same for every reader, from any number on, early or late', async () => {
    const log = new EventLog('r')
    const early = Array.fromAsync(log.after(0))
    for (const text of ['x', 'y', 'z']) log.append(1, token(text))
    const middle = Array.fromAsync(log.after(2))
    log.append(2, token('w'))
    log.end()
    expect((await early).map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    expect((await middle).map(({ seq }) => seq)).toEqual([3, 4])
    expect(await Array.fromAsync(log.after(0))).toEqual(await early)
    expect(await Array.fromAsync(log.after(9))).toEqual([])
  })

  it('count as delivered when a reader was handed them, not when they lie here', async () => {
    const log = new EventLog('r')
    log.append(1, token('one '))
    log.append(1, token('other', 'b.1'))
    log.append(1, token('two '))
    log.append(1, token('three'))
    expect(log.deliveredText('a.1')).toEqual({ text: '', tokens: 0 })
    const reader = log.after(0)
    for (let count = 0; count < 3; count++) await reader.next()
    expect(log.deliveredText('a.1')).toEqual({ text: 'one two ', tokens: 2 })
    expect(log.deliveredSeq).toBe(3)
  })

  it('that come after a reader has left are delivered to nobody', async () => {
    const log = new EventLog('r')
    const leaving = new AbortController()
    const reading = Array.fromAsync(log.after(0, leaving.signal))
    log.append(1, token('one'))
    await Promise.resolve()
    leaving.abort()
    log.append(1, token('two'))
    expect((await reading).length).toBeLessThan(2)
    log.append(1, token('three'))
    await Promise.resolve()
    expect(log.deliveredSeq).toBeLessThan(2)
  })
})
