import { describe, expect, it } from 'vitest'
import { withoutText } from '../../src/app/compose.ts'
import { recordSchema } from '../../src/core/record.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { scriptedRun, speak, twoStages } from '../fixtures/scripted-run.ts'

const words = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`).join(' ')

describe('what a record keeps for who asks later what another policy would have done', () => {
  it('is how long the messages were, and when the pieces came', async () => {
    const record = await scriptedRun(twoStages({ trigger: 'never' }), { script: () => speak(words(100)) }).finish()
    const [draft, refine] = record.stages
    expect(recordSchema.parse(record)).toEqual(record)
    expect(draft!.messageLengths).toEqual([{ role: 'user', characters: 'How?'.length }])
    expect(refine!.messageLengths![0]!.characters).toBe(`Draft: ${draft!.text}|Change: |Own: `.length)
    expect(draft!.pieceTimes).toHaveLength(16)
    expect(draft!.pieceTimes![0]).toBe(draft!.firstTokenMs)
    expect(draft!.pieceTimes!.at(-1)).toBe(draft!.lastTokenMs)
    expect(draft!.pieceTimes).toEqual(draft!.pieceTimes!.toSorted((a, b) => a - b))
  })

  it('is every piece where there are few, and every sentence, traced or not', async () => {
    const { stages } = await scriptedRun(twoStages({ trigger: 'never' }), {
      script: () => speak('One. Two. Three.'),
    }).finish()
    expect(stages[0]).toMatchObject({ pieceTimes: [50, 60, 70], sentenceEnds: [60, 70] })
  })

  it('is what a call was doing when it was told to stop', async () => {
    const stop = async (afterMs: number) => {
      const run = scriptedRun(twoStages({ response: 'abort' }), { signals: [{ afterMs }], slots: 1 })
      return (await run.finish()).stages[0]
    }
    expect(await stop(20)).toMatchObject({ settlement: 'aborted', abortedWhile: 'before-first-token' })
    expect(await stop(80)).toMatchObject({ settlement: 'aborted', abortedWhile: 'decoding' })
    expect(await stop(10_000)).not.toHaveProperty('abortedWhile')
  })

  it('is how busy the nodes were when the call was handed to them', async () => {
    const clock = new VirtualClock()
    const backend = scriptedBackend(speak('a b c d'))
    const nodes = [
      { name: 'n', backend, slots: 1, pool: 'default' },
      { name: 'other', backend, slots: 3, pool: 'default', models: ['x'] },
    ]
    const { engine, run, finish } = scriptedRun(twoStages({ trigger: 'never' }), { clock, settings: { nodes } })
    const others = [1, 2].map(() => engine.start(twoStages(), { input: 'x' }))
    expect((await finish()).stages[0]!.atStart).toEqual({ busySlots: 0, slots: 1, waiting: 0 })
    const records = await clock.until(Promise.all(others.map(({ result }) => result)))
    expect(records.map(({ stages }) => stages[0]!.atStart)).toEqual([
      { busySlots: 1, slots: 1, waiting: 0 },
      { busySlots: 1, slots: 1, waiting: 1 },
    ])
    expect(run.runId).not.toBe(records[0]!.runId)
  })

  it('is which planned signals never came, without their input where text is not kept', async () => {
    const late = { stage: 'draft', afterMs: 10_000, input: 'late' }
    const record = await scriptedRun(twoStages(), { signals: [{ afterTokens: 2, input: 'x' }, late] }).finish()
    expect(record.unusedSignals).toEqual([late])
    expect(withoutText(record).unusedSignals).toEqual([{ stage: 'draft', afterMs: 10_000 }])
    expect(await scriptedRun(twoStages()).finish()).not.toHaveProperty('unusedSignals')
  })
})
