import * as fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import type { RunFilter } from '../../src/core/fleet.ts'
import type { RunRecord } from '../../src/core/record.ts'
import type { FleetClient } from '../../src/workers/fleet-client.ts'
import { OldRuns } from '../../src/workers/old-runs.ts'
import { lineText } from '../../src/workers/run-list.ts'
import { each, withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'

const pipeline = definePipeline({ name: 'one', stages: [{ id: 'only', model: 'scripted', prompt: '{{ input }}' }] })

const fleet = withFleet({ isEmpty: true })
let client: FleetClient
beforeEach(async () => {
  client = await fleet.client()
})

interface Kept {
  readonly runId: string
  readonly tenant: string
  readonly pipeline: string
  /** Absent: it has not ended. */
  readonly outcome?: RunRecord['outcome']
  /** By a process of an older version. */
  readonly isOld?: boolean
}

const recordOf = ({ runId, pipeline: name, outcome = 'completed' }: Kept): RunRecord => ({
  ...{ schema: 'caesura.record/1', runId, pipeline: name, traceId: '0'.repeat(32), outcome },
  ...{ startedAt: '2026-11-30T00:00:00.000Z', durationMs: 5, stages: [], interrupts: [] },
  cost: { generatedTokens: 0, wastedTokens: 3, slotMs: 0, wastedSlotMs: 0 },
})

let at = 0
async function keep(run: Kept, keepMost = 100_000): Promise<void> {
  const { runId, tenant, pipeline: name, outcome, isOld } = run
  const { call, client: raw, keys } = client.redis
  const now = Date.now() + at++
  const spec = JSON.stringify({ pipeline: { name } })
  if (isOld) await call('submit', runId, spec, now, tenant)
  else await call('submit', runId, spec, now, tenant, name, '', '')
  if (isOld && tenant !== '') await raw.zrem(keys.liveOf(tenant), runId)
  if (outcome === undefined) return
  const record = JSON.stringify(recordOf(run))
  if (!isOld) {
    const submitted = { pipeline: name, submittedAt: now, tenant }
    const line = ['line', lineText(submitted, 0, recordOf(run)), outcome, name, '', '']
    await each(client, 'appendAll', [runId, 0, 0, '', 0, ...line, 'end', record, 60_000, now, keepMost])
    return
  }
  await raw
    .multi()
    .hset(keys.run(runId), { status: 'ended', record })
    .zrem(keys.live, runId)
    .hincrby(keys.tenants, tenant, -1)
    .zadd(keys.finished, now, runId)
    .exec()
}
const shown = { startedAt: '2026-11-30T00:00:00.000Z', durationMs: 5, interrupts: 0, wastedTokens: 3 }

async function all(filter: RunFilter): Promise<string[]> {
  const found: string[] = []
  let cursor: string | undefined
  do {
    const page = await client.list({ ...filter, ...(cursor !== undefined && { cursor }) })
    expect(page.runs.length).toBeLessThanOrEqual(filter.limit ?? 50)
    found.push(...page.runs.map(({ runId }) => runId))
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

/** Newest first: what has not ended, then what has. */
const expected = (runs: readonly Kept[], filter: RunFilter) =>
  [...runs]
    .reverse()
    .sort((a, b) => Number(a.outcome !== undefined) - Number(b.outcome !== undefined))
    .filter(
      ({ tenant, pipeline: name, outcome }) =>
        (filter.tenant === undefined || filter.tenant === tenant) &&
        (filter.pipeline === undefined || filter.pipeline === name) &&
        (filter.outcome === undefined || filter.outcome === outcome) &&
        (filter.status === undefined || (filter.status === 'live') === (outcome === undefined)),
    )
    .map(({ runId }) => runId)

describe('a list', () => {
  const kept = fc.record(
    {
      tenant: fc.constantFrom('', 'a', 'b'),
      pipeline: fc.constantFrom('p', 'q'),
      outcome: fc.constantFrom<RunRecord['outcome'][]>('completed', 'cancelled', 'failed'),
      isOld: fc.boolean(),
    },
    { requiredKeys: ['tenant', 'pipeline'] },
  )
  const filters = fc.record(
    {
      tenant: fc.constantFrom('', 'a', 'b', 'nobody'),
      pipeline: fc.constantFrom('p', 'q', 'none'),
      outcome: fc.constantFrom<RunRecord['outcome'][]>('completed', 'cancelled', 'failed'),
      status: fc.constantFrom<('live' | 'ended')[]>('live', 'ended'),
      limit: fc.integer({ min: 1, max: 5 }),
    },
    { requiredKeys: [] },
  )

  it('tells every run that is wanted once and in order, whoever wrote it, whatever the page', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(kept, { maxLength: 12 }), fc.array(filters, { maxLength: 4 }), async (made, asked) => {
        await client.redis.client.flushall()
        const runs = made.map((run, index): Kept => ({ ...run, runId: `r${index}` }))
        for (const run of runs) await keep(run)
        for (const filter of asked) expect(await all(filter)).toEqual(expected(runs, filter))
        const old = new OldRuns(client.redis, 60_000)
        await old.enlist()
        old.close()
        for (const filter of asked) expect(await all(filter)).toEqual(expected(runs, filter))
      }),
      { numRuns: 25 },
    )
  }, 60_000)

  it('reads neither what a run was asked nor its record', async () => {
    await fleet.pipelines()
    await fleet.node({ name: 'n1' })
    const { runId } = await client.submit(pipeline, { input: 'i', tenant: 'a', submittedBy: 'ci' })
    await client.ended(runId)
    const { client: raw, keys } = client.redis
    await raw.hdel(keys.run(runId), 'spec', 'record')
    const line = { runId, pipeline: 'one', status: 'ended', tenant: 'a', submittedBy: 'ci' }
    expect((await client.list({ tenant: 'a' })).runs).toMatchObject([{ ...line, ended: { outcome: 'completed' } }])
    expect(await client.look(runId)).toMatchObject(line)
  })

  it('looks at a bounded number of runs a page, and says where it goes on', async () => {
    for (let run = 0; run < 2100; run++) {
      await keep({
        runId: `m${run}`,
        tenant: run % 2 === 0 ? 'a' : 'b',
        pipeline: run % 2 === 0 ? 'q' : 'p',
        outcome: 'completed',
      })
    }
    const page = await client.list({ tenant: 'a', pipeline: 'p' })
    expect(page.runs).toEqual([])
    expect(page.cursor).toBeDefined()
    expect(await all({ tenant: 'a', pipeline: 'p' })).toEqual([])
    expect(await all({ tenant: 'a', pipeline: 'q', limit: 500 })).toHaveLength(1050)
  }, 60_000)

  it('goes on where it was, when the run that a page ended with is gone', async () => {
    for (let run = 0; run < 6; run++) await keep({ runId: `g${run}`, tenant: '', pipeline: 'p' })
    const { client: raw, keys } = client.redis
    // All of one moment.
    for (let run = 0; run < 6; run++) await raw.zadd(keys.live, 7, `g${run}`)
    const first = await client.list({ limit: 2 })
    expect(first.runs.map(({ runId }) => runId)).toEqual(['g5', 'g4'])
    await raw.zrem(keys.live, 'g4')
    const { runs } = await client.list({ limit: 10, cursor: first.cursor! })
    expect(runs.map(({ runId }) => runId)).toEqual(['g3', 'g2', 'g1', 'g0'])
  })
})

describe('the sets that lists are read from', () => {
  const sets = async () => {
    const { client: raw, keys } = client.redis
    const found: Record<string, string[]> = {}
    for (const key of await raw.keys(`${keys.prefix}:*`)) {
      if (/:(live|ended)-/.test(key)) found[key.slice(keys.prefix.length + 1)] = await raw.zrange(key, '0', '-1')
    }
    return found
  }

  it('lose a run with the run: at its end, and when it is one too many', async () => {
    for (let run = 0; run < 4; run++) {
      const [tenant, outcome] = run % 2 === 0 ? (['a', 'completed'] as const) : (['b', 'failed'] as const)
      await keep({ runId: `s${run}`, tenant, pipeline: 'p', outcome }, 2)
    }
    await keep({ runId: 's4', tenant: 'a', pipeline: 'q' })
    expect(await sets()).toEqual({
      'live-tenant:a': ['s4'],
      'ended-outcome:completed': ['s2'],
      'ended-outcome:failed': ['s3'],
      'ended-tenant:a': ['s2'],
      'ended-tenant:b': ['s3'],
      'ended-pipeline:p': ['s2', 's3'],
    })
    const { client: raw, keys } = client.redis
    expect(await raw.pttl(keys.endedOf('tenant', 'a'))).toBeGreaterThan(60_000)
  })

  it('take runs of an older version in as soon as a worker is there', async () => {
    for (let run = 0; run < 3; run++)
      await keep({ runId: `o${run}`, tenant: 'a', pipeline: 'p', outcome: 'failed', isOld: true })
    await fleet.pipelines()
    await until(async () => (await sets())['ended-tenant:a']?.length === 3)
    expect((await sets())['ended-outcome:failed']).toEqual(['o0', 'o1', 'o2'])
    expect((await client.list({ outcome: 'failed' })).runs[0]!.ended).toEqual({ outcome: 'failed', ...shown })
  })
})
