import { describe, expect, it } from 'vitest'
import { refusalOf } from '../../src/machines/signal-filter.ts'
import { scriptedRun, twoStages } from '../fixtures/scripted-run.ts'

describe('signal filters', () => {
  const heed = { signals: 'heed' } as const
  it.each([
    [heed, undefined, undefined, undefined],
    [{ signals: 'ignore' as const }, 'x', undefined, 'the policy ignores signals'],
    [{ ...heed, minimum: { words: 3 } }, 'I see', undefined, '2 words, and the policy wants 3 or more'],
    [{ ...heed, minimum: { words: 3 } }, 'I see it now', undefined, undefined],
    [{ ...heed, minimum: { words: 2 } }, '你好世界', undefined, undefined],
    [{ ...heed, minimum: { words: 1 } }, ' … !', undefined, '0 words, and the policy wants 1 or more'],
    [{ ...heed, minimum: { characters: 2 } }, ' 👩‍🔬', undefined, undefined],
    [{ ...heed, minimum: { characters: 2 } }, ' a ', undefined, '1 character, and the policy wants 2 or more'],
    [{ ...heed, minimum: { characters: 1 } }, undefined, undefined, '0 characters, and the policy wants 1 or more'],
    [{ ...heed, cooldown: 100 }, 'x', 99.6, '100 ms after the one before, within the cooldown of 100 ms'],
    [{ ...heed, cooldown: 100 }, 'x', 100, undefined],
  ])('%j on %j, %j ms after the last', (filter, input, since, reason) => {
    expect(refusalOf(filter, input, since)).toBe(reason)
  })

  const script = (r: { stage: string }) =>
    r.stage === 'draft'
      ? { tokens: Array(60).fill('w '), firstTokenMs: 10, tokenMs: 10 }
      : { tokens: ['done'], firstTokenMs: 10 }
  const at = (...times: [number, string][]) => times.map(([afterMs, input]) => ({ afterMs, input }))
  const run = async (trigger: object, signals: { afterMs: number; input: string }[], more: object = {}) => {
    const started = scriptedRun(twoStages({ trigger: { signal: null, ...trigger }, ...more }), { script, signals })
    const record = await started.finish()
    return {
      record,
      prompts: started.prompts,
      interrupts: record.interrupts.map(({ at, input, suppressed, decision, reason }) => [
        at,
        input,
        suppressed ? reason : decision,
      ]),
    }
  }

  it('a signal that is refused is recorded with the reason, and interrupts nothing', async () => {
    const { record, interrupts } = await run({ minimum: { words: 3 } }, at([50, 'mhm'], [80, 'I have no vinegar']))
    expect(interrupts).toEqual([
      [50, 'mhm', '1 word, and the policy wants 3 or more'],
      [80, 'I have no vinegar', 'abort'],
    ])
    expect(record.stages.map(({ settlement }) => settlement)).toEqual(['aborted', 'completed'])
    expect(record.interrupts[0]).toMatchObject({ decision: 'suppressed', phases: [] })
  })

  it('debounce: the newest of several signals counts, when no newer one came for so long', async () => {
    const { prompts, interrupts } = await run({ debounce: 40 }, at([50, 'one'], [70, 'two'], [100, 'three']))
    expect(interrupts).toEqual([
      [50, 'one', 'a newer signal came within the debounce of 40 ms'],
      [70, 'two', 'a newer signal came within the debounce of 40 ms'],
      [140, 'three', 'abort'],
    ])
    expect(prompts.get('refine.1')).toContain('Change: three')
  })

  it('debounce: the wait of whoever sent them begins with the first of the signals', async () => {
    const { record } = await run({ debounce: 40 }, at([50, 'one'], [70, 'two'], [100, 'three']))
    const [one, two, three] = record.interrupts
    expect([one, two].map((each) => each!.firstSignalAt)).toEqual([undefined, undefined])
    expect(three).toMatchObject({ at: 140, firstSignalAt: 50, toFirstTokenMs: 10, toFirstTokenFromSignalMs: 100 })
    expect(three!.phases.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(10, 6)
  })

  it('debounce: one signal is a gesture too', async () => {
    const { record } = await run({ debounce: 40 }, at([50, 'one']))
    expect(record.interrupts).toMatchObject([{ at: 90, firstSignalAt: 50, toFirstTokenFromSignalMs: 50 }])
  })

  it('hold: the wait begins with the signal that paused delivery', async () => {
    const response = { response: { hold: { confirm: 200 } } }
    const { record } = await run({}, at([50, 'hm'], [120, 'stop']), response)
    const [first, second] = record.interrupts
    expect(first).toMatchObject({ at: 50, superseded: true })
    expect(first).not.toHaveProperty('firstSignalAt')
    expect(second).toMatchObject({ at: 120, firstSignalAt: 50, toFirstTokenMs: 10, toFirstTokenFromSignalMs: 80 })
  })

  it('a signal that takes another one’s place goes on with its wait; one that a trigger brought has none', async () => {
    const { record } = await run({}, at([50, 'one'], [60, 'two']), { response: 'drain' })
    expect(record.interrupts[1]).toMatchObject({ at: 60, firstSignalAt: 50 })
    const started = scriptedRun(twoStages({ trigger: { after: 55 }, response: 'drain' }), {
      script,
      signals: at([60, 'two']),
    })
    const triggered = await started.finish()
    expect(triggered.interrupts.map(({ trigger }) => trigger)).toEqual(['after', 'signal'])
    for (const interrupt of triggered.interrupts) expect(interrupt).not.toHaveProperty('firstSignalAt')
  })

  it('a signal that interrupts at once has one instant', async () => {
    const { record } = await run({}, at([50, 'one']))
    expect(record.interrupts[0]).not.toHaveProperty('firstSignalAt')
    expect(record.interrupts[0]).not.toHaveProperty('toFirstTokenFromSignalMs')
  })

  it('debounce: a stage that ends meanwhile leaves the signal to the next one', async () => {
    const { record } = await run({ debounce: 300 }, at([500, 'late']))
    expect(record.interrupts).toEqual([])
    expect(record.outcome).toBe('completed')
  })

  it('cooldown: after a signal that interrupted, others are refused for so long', async () => {
    const { interrupts } = await run({ cooldown: 100 }, at([50, 'one'], [90, 'two'], [155, 'three']), { then: 'again' })
    expect(interrupts).toEqual([
      [50, 'one', 'abort'],
      [90, 'two', '40 ms after the one before, within the cooldown of 100 ms'],
      [155, 'three', 'abort'],
    ])
  })

  it('tell who sent a refused signal why', async () => {
    const {
      run: handle,
      clock,
      finish,
    } = scriptedRun(twoStages({ trigger: { signal: null, minimum: { words: 2 } } }), { script })
    await clock.advance(20_000_000)
    expect(await handle.interrupt({ input: 'mhm' })).toEqual({
      accepted: false,
      reason: '1 word, and the policy wants 2 or more',
    })
    await finish()
  })
})
