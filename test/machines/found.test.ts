import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { scriptedRun, speak, twoStages } from '../fixtures/scripted-run.ts'

/** Small cases of what the random interleavings found. */
describe('hold, once a second signal has confirmed the interrupt', () => {
  const slowAbort = speak('one two three four five six seven eight nine ten.', { abortMs: 100 })
  const play = async (signals: number[]) => {
    const run = scriptedRun(twoStages({ response: { hold: { confirm: 50 } }, carry: 'delivered' }), {
      signals: signals.map((afterMs) => ({ afterMs, input: String(afterMs) })),
      script: ({ stage }) => (stage === 'draft' ? slowAbort : speak('done')),
    })
    const record = await run.finish()
    const told = run.events.flatMap((event) => (event.type === 'token' && event.stage === 'draft' ? event.text : []))
    const decided = run.events.flatMap((event) =>
      event.type === 'interrupt-decide' ? [[event.interrupt, event.decision]] : [],
    )
    return { record, told: told.join(''), decided }
  }

  it('never tells what was held, though the abort takes longer than confirm', async () => {
    const { record, told } = await play([75, 105])
    expect(told).toBe('one two three')
    expect(record.interrupts.map(({ decision }) => decision)).toEqual(['superseded', 'abort'])
  })

  it('decides each signal once, a third one too', async () => {
    const { decided } = await play([75, 105, 115])
    expect(decided).toEqual([
      [2, 'abort'],
      [3, 'abort'],
    ])
  })
})

describe('race', () => {
  it('goes where the older signal sent it when a newer one without input takes its place', async () => {
    const pipeline = definePipeline({
      name: 'p',
      stages: [{ id: 'a', model: 'm', prompt: '{{ input }} {{ interrupt.input }}', policy: { response: 'race' } }],
    })
    const run = scriptedRun(pipeline, {
      signals: [{ afterMs: 10, input: 'x' }, { afterMs: 30 }],
      slots: 3,
      script: speak('one two three four five six seven eight nine ten.'),
    })
    const record = await run.finish()
    expect(record.stages.map(({ callId, settlement }) => [callId, settlement])).toEqual([
      ['a.1', 'withdrawn'],
      ['a.2', 'withdrawn'],
      ['a.3', 'completed'],
    ])
    expect(run.prompts.get('a.3')).toBe('How? x')
  })
})
