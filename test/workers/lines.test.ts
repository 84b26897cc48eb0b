import { describe, expect, it } from 'vitest'
import { definePipeline } from '../../src/app/compose.ts'
import { spanIdOf } from '../../src/core/trace.ts'
import { openFleetRedis } from '../../src/workers/redis.ts'
import { TicketQueues } from '../../src/workers/ticket-queues.ts'
import { withFleet } from '../fixtures/fleet.ts'
import { until } from '../fixtures/until.ts'
import { withRedis } from '../fixtures/with-redis.ts'

const pipeline = definePipeline({ name: 'one', stages: [{ id: 'only', model: 'scripted', prompt: '{{ input }}' }] })

const redis = withRedis()
const fleet = withFleet({ redis })

describe('the lines of workers', () => {
  it('tell of a run that changes hands, and of its end', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1', script: { tokens: Array.from({ length: 100 }, () => 'x '), tokenMs: 10 } })
    const first = await fleet.pipelines()
    const { runId, traceId } = await client.submit(pipeline, { input: 'i' })
    const isTold = (sentence: string) => until(() => fleet.logged.includes(sentence))
    await isTold(`run ${runId} claimed`)
    await fleet.pipelines()
    await first.close()
    await isTold(`run ${runId} taken over`)
    await client.ended(runId)
    await until(() => fleet.lines.some(({ fields }) => fields.outcome !== undefined))
    const ofRun = fleet.lines.filter(({ fields }) => fields.run_id === runId && fields.call === undefined)
    expect(ofRun.map(({ level, sentence }) => `${level} ${sentence.replace(/ in \d+ ms/, '')}`)).toEqual([
      `debug run ${runId} claimed`,
      `debug run ${runId} handed back`,
      `info run ${runId} taken over`,
      `debug run ${runId} completed: interrupts 0, tokens 100, wasted 0`,
    ])
    for (const { fields } of ofRun)
      expect(fields).toMatchObject({ trace_id: traceId, span_id: spanIdOf(runId, 'run'), worker: expect.any(String) })
    expect(fleet.logged).toContain('stopping: 1 run goes to other workers')
    expect(fleet.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
  })

  it('hold what was asked and answered apart from sentences and fields', async () => {
    const client = await fleet.client()
    await fleet.node({ name: 'n1' })
    await fleet.pipelines()
    const { runId } = await client.submit(pipeline, { input: 'MARK' })
    await client.ended(runId)
    await until(() => fleet.lines.some(({ fields }) => fields.outcome !== undefined))
    expect(fleet.lines.find(({ fields }) => fields.outcome !== undefined)?.content).toMatchObject({
      input: 'MARK',
      output: 'a b',
    })
    expect(JSON.stringify(fleet.lines.map(({ sentence, fields }) => [sentence, fields]))).not.toContain('MARK')
  })

  it('tell of a job that is put aside, with the code, not with what it holds', async () => {
    const raw = await openFleetRedis({ url: redis.url })
    const tickets = new TicketQueues(raw)
    try {
      await fleet.pipelines()
      await tickets.addRun(3 as unknown as string, 0, 'MARK' as unknown as number)
      await until(() => fleet.lines.some(({ level }) => level === 'error'))
      expect(fleet.lines.find(({ level }) => level === 'error')).toMatchObject({
        sentence: 'a job is put aside: a queue of the fleet holds a job that is no ticket',
        fields: { job: 'run-3', code: 'CAESURA_E_STATE' },
      })
      expect(JSON.stringify(fleet.lines)).not.toContain('MARK')
    } finally {
      await tickets.close()
      raw.close()
    }
  })
})
