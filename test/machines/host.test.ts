import { describe, expect, it } from 'vitest'
import { catalogue } from '../../src/app/compose.ts'
import { systemClock } from '../../src/core/clock.ts'
import { Estimates } from '../../src/core/estimates.ts'
import type { ProcessRecord } from '../../src/core/record.ts'
import { aliasesOf, composeRun, type HostParts, type RunOrder } from '../../src/machines/host.ts'
import { scriptedBackend } from '../../src/nodes/backends/scripted.ts'
import { inProcessExecutor } from '../../src/nodes/in-process.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'

const pipeline = pipelineFrom({
  name: 'two',
  stages: [
    { id: 'a', model: 'small', prompt: 'a {{ input }}{{ vars.tone }}' },
    { id: 'b', model: 'exact', prompt: 'b {{ a.output }}' },
  ],
})
const host: HostParts = {
  ...{ clock: systemClock, catalogue, random: Math.random, estimates: new Estimates() },
  nodeNames: () => new Set(['n']),
}
const order: RunOrder = {
  ...{ runId: 'r', pipeline, input: 'i', vars: { tone: '!' }, planned: new Set(), submittedBy: 'me' },
  trace: { traceId: '0'.repeat(32) },
  resolveModel: aliasesOf({ small: 'tiny:1b' }),
}

/** The record of the run, and what the models were asked. */
async function run(how: Partial<HostParts> = {}) {
  const asked: string[] = []
  const backend = scriptedBackend((request) => {
    asked.push(`${request.model}: ${request.messages.at(-1)!.content}`)
    return { tokens: ['x ', 'y'] }
  })
  const { journal, start } = composeRun({ ...host, ...how }, order)
  const record = await start(inProcessExecutor([{ name: 'n', slots: 1, pool: 'p', backend }])).result
  return { record, asked, journal }
}

describe('a composed run', () => {
  it('has its identity, its rendered prompts and its aliases from the order', async () => {
    const { record, asked, journal } = await run()
    expect(record).toMatchObject({
      runId: 'r',
      pipeline: 'two',
      outcome: 'completed',
      output: 'x y',
      submittedBy: 'me',
    })
    expect(record).not.toHaveProperty('experiment')
    expect(asked).toEqual(['tiny:1b: a i!', 'exact: b x y'])
    expect(journal.owners).toEqual([])
  })

  it('names the process and keeps the limits of its host', async () => {
    const process = { service: 'here', instance: '1', host: 'h', pid: 1 } as unknown as ProcessRecord
    const { record, journal } = await run({ process: () => process, outputLimits: { tokens: 1 } })
    expect(journal.owners).toMatchObject([process])
    expect(record).toMatchObject({ outcome: 'failed', error: { code: 'CAESURA_E_OUTPUT_LIMIT' } })
  })
})
