import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { sqliteStore } from '../../../src/app/stores.ts'
import type { RunRecord } from '../../../src/core/record.ts'
import { liveDesignOf, recordKeeper } from '../../../src/lab/design/live-design.ts'
import { pipelineFrom } from '../../fixtures/pipeline.ts'
import { interruptedRun } from '../../records.ts'

const folder = mkdtempSync(join(tmpdir(), 'caesura-design-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const pipelineWith = (experiment: object = {}, own = 'drain') =>
  pipelineFrom({
    name: 'p',
    stages: [{ id: 'a', model: 'm', prompt: '{{ input }}', policy: { response: own } }],
    experiment: { name: 'x', arms: [{ name: 'own' }, { name: 'abort', policy: { response: 'abort' } }], ...experiment },
  })
const run = (runId: string, startedAt = '2026-11-25T10:00:00.000Z'): RunRecord => ({
  ...{ ...interruptedRun, runId, startedAt },
  experiment: { name: 'x', arm: 'own', session: 's' },
})

let files = 0
function kept(work: (keep: ReturnType<typeof recordKeeper>) => void, settings: { isShared?: boolean } = {}) {
  const store = sqliteStore(join(folder, `${++files}.sqlite`))
  try {
    work(recordKeeper(store, settings))
    const execution = store.readExecution('x', '')
    return { runs: store.list().length, design: execution && liveDesignOf(execution), execution }
  } finally {
    store.close()
  }
}

describe('what an experiment on live traffic is, beside its runs', () => {
  it('is written with the first run that takes part, and with no other', () => {
    const { experiment: _, ...apart } = run('apart')
    expect(kept((keep) => keep(apart, pipelineWith())).design).toBeUndefined()
    const offline = { ...run('offline'), experiment: { name: 'x', arm: 'own', execution: 'e' } }
    expect(kept((keep) => keep(offline, pipelineWith())).design).toBeUndefined()
    expect(kept((keep) => keep(run('one'), pipelineWith()))).toMatchObject({
      runs: 1,
      execution: { experiment: 'x', execution: '', startedAt: '2026-11-25T10:00:00.000Z' },
      design: { kind: 'live', pipeline: 'p', coverage: 1, arms: [{ name: 'own' }, { name: 'abort' }] },
    })
  })

  it.each([
    [
      'another weight',
      pipelineWith({
        arms: [
          { name: 'own', weight: 3 },
          { name: 'abort', policy: { response: 'abort' } },
        ],
      }),
    ],
    ['another seed', pipelineWith({ seed: 'y' })],
    ['another policy of an arm', pipelineWith({ arms: [{ name: 'own' }, { name: 'abort', policy: 'cut-in' }] })],
    ['another policy of the stage, which is an arm’s', pipelineWith({}, 'overlap')],
  ])('says when it became another one: %s', (_, changed) => {
    const { design, execution } = kept((keep) => {
      keep(run('one'), pipelineWith())
      keep(run('two', '2026-11-25T11:00:00.000Z'), changed)
      keep(run('three', '2026-11-25T12:00:00.000Z'), changed)
    })
    expect(design!.changedAt).toBe('2026-11-25T11:00:00.000Z')
    expect(execution!.startedAt).toBe('2026-11-25T10:00:00.000Z')
  })

  it('follows coverage and metrics, which change nobody’s arm', () => {
    const { design } = kept((keep) => {
      keep(run('one'), pipelineWith({ coverage: 0.1 }))
      keep(run('two'), pipelineWith({ coverage: 0.5, metrics: ['runMs'] }))
    })
    expect(design).toMatchObject({ coverage: 0.5, metrics: [{ metric: 'runMs', statistics: ['p50', 'p95'] }] })
    expect(design).not.toHaveProperty('changedAt')
  })
})

it('a run that another process of a fleet has written already is no fault; in one process it is', () => {
  const twice = (keep: ReturnType<typeof recordKeeper>) => {
    keep(run('one'), pipelineWith())
    keep(run('one'), pipelineWith())
  }
  expect(kept(twice, { isShared: true }).runs).toBe(1)
  expect(() => kept(twice)).toThrow(expect.objectContaining({ code: 'CAESURA_E_RECORDS' }))
})
