import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import type { Telemetry } from '../../src/core/ports.ts'
import type { RunRecord } from '../../src/core/record.ts'
import { newTraceId, spanIdOf } from '../../src/core/trace.ts'
import { UntoldRuns } from '../../src/workers/untold-runs.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'

const pipeline = definePipeline({ name: 'one', stages: [{ id: 'only', model: 'scripted', prompt: '{{ input }}' }] })

const fleet = withFleet({ isEmpty: true })

/** Telemetry whose collector answers when it is told to. */
function collecting(sampled = true) {
  const heard: { record: RunRecord; sent: () => void }[] = []
  const again: { record: RunRecord; sent: () => void }[] = []
  let decisions = 0
  const telemetry: Telemetry = {
    process: { service: 'test', instance: 'test' },
    begin: (trace = { traceId: newTraceId() }) => {
      decisions += 1
      return { ...trace, sampled }
    },
    runEnded: (record, sent = () => undefined) => heard.push({ record, sent }),
    sendAgain: (record, sent = () => undefined) => again.push({ record, sent }),
    close: async () => undefined,
  }
  return { telemetry, heard, again, decisions: () => decisions }
}

describe('the trace of a run', () => {
  it('is that of who submitted it, goes on to the model server, and names who made its call', async () => {
    const { telemetry, heard, decisions } = collecting()
    await fleet.node({ name: 'n' })
    await fleet.pipelines({ telemetry })
    const client = await fleet.client()
    const trace = {
      traceId: newTraceId(),
      parentSpanId: 'b7ad6b7169203331',
      sampled: true,
      state: 'a=1',
      baggage: 'b=2',
    }
    const { runId, traceId } = await client.submit(pipeline, { input: 'i', trace, experiment: { name: 'e', arm: 'x' } })
    expect(traceId).toBe(trace.traceId)
    await client.ended(runId)
    await until(() => heard.length === 1)
    expect(decisions()).toBe(0)
    expect(fleet.asked[0]?.trace).toEqual({
      traceparent: `00-${trace.traceId}-${spanIdOf(runId, 'call only.1')}-01`,
      tracestate: 'a=1',
      baggage: 'b=2',
    })
    expect(heard[0]!.record).toMatchObject({
      traceId,
      parentSpanId: trace.parentSpanId,
      sampled: true,
      experiment: { name: 'e', arm: 'x' },
      owners: [{ service: 'caesura-pipelines', clock: {} }],
      stages: [{ process: { service: 'caesura-stages', clock: {} } }],
    })
  })

  it('is decided once where nobody who submits traces, whatever owners it has', async () => {
    const first = collecting(false)
    const second = collecting(true)
    await fleet.node({ name: 'n', script: { tokens: Array(40).fill('w '), tokenMs: 20 } })
    const worker = await fleet.pipelines({ telemetry: first.telemetry })
    const client = await fleet.client()
    const { runId } = await client.submit(pipeline, { input: 'i' })
    await until(() => first.decisions() === 1)
    await until(async () => (await client.read(runId)).seq > 1)
    await worker.close()
    await fleet.pipelines({ telemetry: second.telemetry })
    await client.ended(runId)
    expect((await client.read(runId)).record?.sampled).toBe(false)
    expect(second.decisions()).toBe(0)
  })

  it('is told again by another worker where the one that ended the run never got to it, and once it has arrived no more', async () => {
    const { telemetry, heard } = collecting()
    await fleet.node({ name: 'n' })
    const worker = await fleet.pipelines({ telemetry })
    const client = await fleet.client()
    const { runId } = await client.submit(pipeline, { input: 'i' })
    await client.ended(runId)
    await until(() => heard.length === 1)
    // The first worker is gone before a collector has answered.
    await worker.close()
    const { client: raw, keys } = client.redis
    expect(await raw.zrange(keys.untold, '0', '-1')).toEqual([runId])
    const other = collecting()
    const untold = new UntoldRuns(client.redis, Date.now, other.telemetry)
    await untold.tellLate(60_000)
    expect(other.again).toEqual([])
    await untold.tellLate(-1000)
    expect(other.again.map(({ record }) => record)).toEqual([heard[0]!.record])
    // Its figures were counted where it ended.
    expect(other.heard).toEqual([])
    other.again[0]!.sent()
    await until(async () => (await raw.zcard(keys.untold)) === 0)
  })

  it('is forgotten where its record is kept no more', async () => {
    const client = await fleet.client()
    const { client: raw, keys } = client.redis
    await raw.zadd(keys.untold, '1', 'gone')
    const { telemetry, heard } = collecting()
    await new UntoldRuns(client.redis, Date.now, telemetry).tellLate()
    expect(heard).toEqual([])
    expect(await raw.zcard(keys.untold)).toBe(0)
  })
})
