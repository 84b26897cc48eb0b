import { describe, expect, it } from 'vitest'
import { clockErrorsOf } from '../../../src/records/explaining/clock-errors.ts'
import { explain } from '../../../src/records/explaining/explanation.ts'
import { abortInterrupt, draftAborted, interruptedRun, plainRun, refineCompleted } from '../../records.ts'

describe('explain', () => {
  it('finds the calls around each interrupt, and what the first was doing', () => {
    expect(explain(interruptedRun, { records: [] }).interrupts).toEqual([
      {
        interrupt: abortInterrupt,
        from: draftAborted,
        during: 'decoding',
        to: refineCompleted,
        alternatives: [{ kind: 'free-slot', phase: 'slot', savedMs: 1, atMost: true }],
        unknown: [],
      },
    ])
    const early = { ...interruptedRun, interrupts: [{ ...abortInterrupt, at: 10 }] }
    expect(explain(early, { records: [] }).interrupts[0]).toMatchObject({ during: 'before-first-token' })
  })

  it('leaves out what the record does not hold', () => {
    const orphan = { ...plainRun, interrupts: [{ ...abortInterrupt, fromCall: 'gone', toCall: 'gone' }] }
    expect(explain(orphan, { records: [] }).interrupts).toEqual([
      { interrupt: orphan.interrupts[0], alternatives: [], unknown: [] },
    ])
  })
})

describe('clock errors', () => {
  it('are those of each process once, and none where the record has none', () => {
    const clocked = (instance: string, errorMs: number) => ({
      service: `caesura-${instance}`,
      instance,
      clock: { offsetMs: 3, errorMs },
    })
    const record = {
      ...interruptedRun,
      owners: [{ ...clocked('pipelines', 0.2), fromMs: 0 }],
      stages: interruptedRun.stages.map((call) => ({ ...call, process: clocked('stages', 0.4) })),
    }
    expect(clockErrorsOf(record)).toEqual([
      { process: 'caesura-pipelines', errorMs: 0.2 },
      { stage: 'draft', process: 'caesura-stages', errorMs: 0.4 },
    ])
    expect(clockErrorsOf(interruptedRun)).toEqual([])
  })
})
