import { beforeAll, beforeEach, expect, it, vi } from 'vitest'
import type { RunRecord } from '../../src/core/record.ts'
import { withFleetProcesses } from '../fixtures/fleet-processes.ts'
import { until } from '../fixtures/until.ts'

// Each step is a process.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const fleet = withFleetProcesses()
beforeAll(async () => {
  await fleet.worker('pipelines')
  // A draft of a minute that is cut at once, or never ends in a test.
  await fleet.scripted('n', 1200, 50, '--slots', '8')
})

let runId: string
beforeEach(async () => {
  runId = await fleet.detached()
  await until(async () => (await statusOf(runId)) === 'running')
})

const statusOf = async (id: string) => {
  const { runs } = await fleet.json<{ runs: { runId: string; status: string }[] }>('runs', '--redis')
  return runs.find((run) => run.runId === id)?.status
}

const recordOf = (id: string): Promise<RunRecord> =>
  until(async () => {
    const { status, stdout } = await fleet.run('runs', 'show', id, '--redis', '--json')
    return status === 0 ? (JSON.parse(stdout) as RunRecord) : undefined
  })

it('interrupts a run of another process, says what was decided, and cancels it', async () => {
  const decided = await fleet.json('interrupt', runId, 'no vinegar')
  expect(decided).toEqual({ runId, accepted: true, decision: 'abort', reason: expect.any(String), superseded: false })
  const { status, stdout } = await fleet.run('cancel', runId.slice(0, 8), '--reason', 'enough')
  expect(status).toBe(0)
  expect(stdout).toContain(runId)
  const record = await recordOf(runId)
  expect(record).toMatchObject({ outcome: 'cancelled', cancelReason: 'enough' })
  expect(record.interrupts).toMatchObject([{ from: 'draft', decision: 'abort', input: 'no vinegar' }])
  expect(record.stages.map(({ id, settlement }) => [id, settlement])).toEqual([
    ['draft', 'aborted'],
    ['refine', 'aborted'],
  ])

  // After its end there is nothing to interrupt and nothing to cancel.
  for (const verb of ['interrupt', 'cancel']) {
    const late = await fleet.run(verb, runId, '--json')
    expect(late.status).toBe(2)
    expect(JSON.parse(late.stdout).error.code).toBe('CAESURA_E_RUN_ENDED')
  }
})

it('says in words what was decided, and takes `last`', async () => {
  const { status, stdout } = await fleet.run('interrupt', 'last', 'no vinegar')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^abort: .+\.\n$/)
  expect(await fleet.json('cancel', 'last')).toEqual({ runId, cancelled: true })
  expect(await recordOf(runId)).toMatchObject({ outcome: 'cancelled' })
})

it('knows no run that there is not, and takes no empty input', async () => {
  for (const verb of ['interrupt', 'cancel']) {
    const { status, stdout } = await fleet.run(verb, 'nobody', '--json')
    expect(status).toBe(2)
    expect(JSON.parse(stdout).error.code).toBe('CAESURA_E_RUN_UNKNOWN')
  }
  expect((await fleet.run('interrupt', runId, ' ', '--json')).status).toBe(2)
  await fleet.run('cancel', runId)
})

it('says with exit code 1 that a policy ignores signals', async () => {
  const deaf = await fleet.detached('--policy', '{ trigger: { tokens: 1000, signals: ignore }, response: abort }')
  await until(async () => (await statusOf(deaf)) === 'running')
  const answer = await fleet.run('interrupt', deaf, 'no vinegar', '--json')
  expect(answer.status).toBe(1)
  expect(JSON.parse(answer.stdout)).toEqual({ runId: deaf, accepted: false, reason: expect.any(String) })
  await fleet.run('cancel', deaf)
})
