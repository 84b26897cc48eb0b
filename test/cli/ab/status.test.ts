import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createEngine } from '../../../src/app/compose.ts'
import { connectFleet } from '../../../src/app/fleet.ts'
import { scripted } from '../../../src/app/nodes.ts'
import { sqliteStore } from '../../../src/app/stores.ts'
import { abStatusCommand } from '../../../src/cli/ab/status.ts'
import type { LiveStatus } from '../../../src/cli/ab/status-words.ts'
import { abStopCommand } from '../../../src/cli/ab/stop.ts'
import { assign } from '../../../src/core/assignment.ts'
import { COUNTING } from '../../../src/core/counting.ts'
import { CaesuraError } from '../../../src/core/errors.ts'
import type { RunEvent } from '../../../src/core/event.ts'
import type { RunRecord } from '../../../src/core/record.ts'
import { liveDesignOf, planOfLive } from '../../../src/lab/design/live-design.ts'
import { withFleetProcesses } from '../../fixtures/fleet-processes.ts'
import { pipelineFrom } from '../../fixtures/pipeline.ts'
import { until } from '../../fixtures/until.ts'
import { capture } from '../capture.ts'

// Some steps are processes.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const written = {
  name: 'chat',
  stages: [
    { id: 'draft', model: 'm', prompt: '{{ input }}', policy: { response: 'drain' } },
    { id: 'refine', model: 'm', prompt: '{{ draft.output }} {{ interrupt.input }}' },
  ],
  experiment: {
    name: 'x',
    arms: [{ name: 'drain' }, { name: 'abort', weight: 2, policy: { response: 'abort' } }],
    metrics: ['wastedTokens'],
  },
}
const pipeline = pipelineFrom(written)
const armOf = (session: string) => assign(pipeline, { runId: 'r', session }).experiment!.arm
const sessions = Array.from({ length: 8 }, (_, index) => `s${index}`)
const inArm = (arm: string) => sessions.filter((session) => armOf(session) === arm)

const fleet = withFleetProcesses()

/** A new file in the folder, and what the command says of it. */
let file = ''
let files = 0
beforeEach(() => {
  file = join(fleet.folder, `runs-${++files}.sqlite`)
  vi.stubEnv('CAESURA_RECORDS', file)
})
afterEach(() => vi.unstubAllEnvs())
const status = async (name = 'x') => {
  const { stdout, error } = await capture(abStatusCommand(), name, '--json')
  if (error !== undefined) throw error
  return JSON.parse(stdout) as LiveStatus
}

/** One run of each session in this process, interrupted or not. */
async function record(runs: readonly (readonly [session: string, isInterrupted: boolean])[], of = pipeline) {
  const node = scripted({ name: 'n', script: { tokens: ['a ', 'b ', 'c '], firstTokenMs: 1, tokenMs: 1 } })
  await using engine = createEngine({ nodes: [node], store: sqliteStore(file) })
  const records: RunRecord[] = []
  for (const [session, isInterrupted] of runs) {
    const signals = isInterrupted ? [{ afterTokens: 1 }] : []
    records.push(await engine.start(of, { input: 'i', session, signals }).result)
  }
  return records
}

describe('ab status', () => {
  it('counts assigned and exposed sessions by arm, from the records file alone', async () => {
    await record([...sessions, 's0'].map((session) => [session, session === 's0' || session === 's3'] as const))
    const copy = join(fleet.folder, 'copy.sqlite')
    copyFileSync(file, copy)
    const { arms, analysis, ...more } = await status()
    const exposedIn = (arm: string) => inArm(arm).filter((session) => session === 's0' || session === 's3').length
    expect(arms).toEqual(
      [
        { name: 'drain', policy: 'signal drain all', weight: 1 },
        { name: 'abort', policy: 'signal abort all', weight: 2 },
      ].map((arm) => ({
        ...arm,
        sessions: inArm(arm.name).length,
        exposed: exposedIn(arm.name),
        runs: inArm(arm.name).length + (armOf('s0') === arm.name ? 1 : 0),
      })),
    )
    expect(more).toMatchObject({ experiment: 'x', pipeline: 'chat', coverage: 1, mixedSessions: 0 })
    expect(more).not.toHaveProperty('changedAt')
    expect(analysis).toMatchObject({ schema: 'caesura.analysis/1', experiment: 'x', kind: 'live' })
    vi.stubEnv('CAESURA_RECORDS', copy)
    expect(await status()).toEqual({ arms, analysis, ...more })
  })

  it('keeps what analysis needs to know beside the runs', async () => {
    await record([['s0', false]])
    const store = sqliteStore(file)
    try {
      const kept = store.readExecution('x')!
      expect(planOfLive(kept)).toEqual({
        ...{ experiment: 'x', kind: 'live', baseline: 'drain', unit: 'session', seed: expect.any(Number) },
        arms: [
          { name: 'drain', policy: 'signal drain all', weight: 1 },
          { name: 'abort', policy: 'signal abort all', weight: 2 },
        ],
        metrics: [{ metric: 'wastedTokens', statistics: ['mean'] }],
      })
      expect(store.experiments()).toEqual([{ experiment: 'x', startedAt: expect.any(String), trials: 1 }])
      expect(liveDesignOf({ ...kept, execution: 'an execution of ab' })).toBeUndefined()
    } finally {
      store.close()
    }
  })

  it('tells a ramp from a change of the arms, and sessions that changed arms', async () => {
    const changed = (experiment: object) =>
      pipelineFrom({ ...written, experiment: { ...written.experiment, ...experiment } })
    await record(sessions.map((session) => [session, false]))
    await record(
      sessions.map((session) => [session, false]),
      changed({ coverage: 0.5 }),
    )
    expect(await status()).toMatchObject({ coverage: 0.5, mixedSessions: 0 })
    expect(await status()).not.toHaveProperty('changedAt')
    const other = changed({ seed: 'another' })
    const [first] = await record(
      sessions.map((session) => [session, false]),
      other,
    )
    const moved = sessions.filter(
      (each) => assign(other, { runId: 'r', session: each }).experiment!.arm !== armOf(each),
    )
    expect(moved.length).toBeGreaterThan(0)
    expect(await status()).toMatchObject({ changedAt: first!.startedAt, mixedSessions: moved.length })
    const { stdout } = await capture(abStatusCommand(), 'x')
    expect(stdout).toContain('start anew under another name')
    expect(stdout).toContain(`${moved.length} session${moved.length === 1 ? '' : 's'} had runs of more than one arm`)
  })

  it('says in words who takes part and how it is stopped', async () => {
    await record(
      sessions.map((session) => [session, true]),
      pipelineFrom({ ...written, experiment: { ...written.experiment, coverage: 0.9 } }),
    )
    const { stdout, error } = await capture(abStatusCommand(), 'x')
    expect(error).toBeUndefined()
    expect(stdout).toContain('x, on live traffic of chat')
    expect(stdout).toMatch(/^abort {2}signal abort all +\d+ +\d+ +\d+$/m)
    expect(stdout).toContain('90 % of the sessions take part')
    expect(stdout).toContain('CAESURA_EXPERIMENTS=off')
  })

  it('refuses a name that is not there, and says which are', async () => {
    expect((await capture(abStatusCommand(), 'x', '--json')).error).toMatchObject({
      code: 'CAESURA_E_EXPERIMENT_UNKNOWN',
    })
    await record([['s0', false]])
    const { error } = await capture(abStatusCommand(), 'y', '--json')
    expect(error).toBeInstanceOf(CaesuraError)
    expect(error).toMatchObject({ code: 'CAESURA_E_EXPERIMENT_UNKNOWN', place: { received: 'y', expected: 'x', file } })
    const both = await capture(abStatusCommand(), 'x', '--json', '--watch')
    expect(both.error).toMatchObject({ code: 'CAESURA_E_USAGE' })
  })
})

describe('an experiment on a fleet of processes', () => {
  it('is seen in the file of its pipeline workers, each run and each exposure once, also after one was killed', async () => {
    await fleet.scripted('n', 12, 20, '--slots', '4')
    const first = await fleet.worker('pipelines', '--records', file)
    const session = inArm('drain')[0]!
    const chat = fleet.file('chat.yaml', JSON.stringify(written))
    const flags = ['--session', session, '--interrupt', 'tokens=5']
    const runId = (await fleet.run('run', chat, '--redis', '--detach', '--input', 'hello', ...flags)).stdout.trim()
    const client = await connectFleet({ url: fleet.redis.url })
    const events: RunEvent[] = []
    for await (const event of client.events(runId)) {
      events.push(event)
      if (event.type !== 'experiment-exposure') continue
      first.child.kill('SIGKILL')
      break
    }
    await fleet.worker('pipelines', '--records', file)
    for await (const event of client.events(runId, events.at(-1)!.seq)) events.push(event)
    const shown = (await client.read(runId)).record!
    expect(events.filter(({ type }) => type === 'experiment-exposure')).toHaveLength(1)
    expect(shown.owners).toHaveLength(2)
    expect(shown.experiment).toEqual({
      ...{ name: 'x', arm: 'drain', session },
      exposedMs: shown.interrupts[0]!.at,
      counting: COUNTING,
    })
    const { arms } = await until(async () => {
      const found = await status().catch(() => undefined)
      return found?.arms.some(({ runs }) => runs > 0) ? found : undefined
    })
    expect(arms.find(({ name }) => name === 'drain')).toMatchObject({ sessions: 1, exposed: 1, runs: 1 })

    vi.stubEnv('REDIS_URL', fleet.redis.url)
    expect((await capture(abStopCommand(), 'x')).stdout).toContain('is stopped')
    expect(JSON.parse((await capture(abStopCommand(), 'x', '--json')).stdout)).toEqual({
      ...{ experiment: 'x', stopped: true, changed: false, allStopped: ['x'] },
    })
    const armNow = async () => {
      const { runId } = await client.submit(pipeline, { input: 'i', session })
      await client.cancel(runId)
      for await (const event of client.events(runId)) if (event.type === 'run-end') break
      return (await client.read(runId)).record!.experiment?.arm
    }
    expect(await armNow()).toBeUndefined()
    expect((await capture(abStopCommand(), 'x', '--resume')).stdout).toContain('goes on')
    expect(await armNow()).toBe('drain')
    await client.close()
  })
})
