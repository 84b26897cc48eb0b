import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ExperimentRecords, type ExperimentSettings, runExperiment } from '../../src/app/experimenting.ts'
import { scripted } from '../../src/app/nodes.ts'
import { sqliteStore } from '../../src/app/stores.ts'
import type { CallRequest } from '../../src/core/call.ts'
import { COUNTING } from '../../src/core/counting.ts'
import { CaesuraError } from '../../src/core/errors.ts'
import type { Experiment } from '../../src/core/experiment.ts'
import type { Trial } from '../../src/core/trial.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import type { CallScript } from '../../src/nodes/backends/scripted.ts'
import { experimentOf, pipelineWith } from '../lab/experiment.ts'

let folder: string
let store: ExperimentRecords
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'caesura-experiment-'))
  store = sqliteStore(join(folder, 'runs.sqlite'))
})
afterEach(() => {
  store.close()
  rmSync(folder, { recursive: true })
})

const FIVE_TOKENS: CallScript = { tokens: ['a ', 'b ', 'c ', 'd ', 'e.'], firstTokenMs: 3, tokenMs: 3 }

/** Runs it on one scripted node; what its calls were asked comes back beside the execution. */
async function run(experiment: Experiment, own: Partial<ExperimentSettings> & { script?: CallScript } = {}) {
  const { script = FIVE_TOKENS, ...settings } = own
  const asked: CallRequest[] = []
  const node = scripted({
    name: 'here',
    slots: 4,
    script: (request) => {
      asked.push(request)
      return script
    },
  })
  const execution = await runExperiment(experiment, {
    nodes: [node],
    models: {},
    store,
    keepText: true,
    resume: false,
    signal: new AbortController().signal,
    ...settings,
  })
  return { execution, asked, trials: [...store.trials(execution)] }
}

const measured = (trials: readonly Trial[]) => trials.filter(({ warmUp }) => !warmUp)
const numbers = (trials: readonly Trial[]) => trials.flatMap(({ trial }) => trial ?? []).toSorted((a, b) => a - b)
const range = (to: number) => Array.from({ length: to }, (_, index) => index)

describe('running an experiment', () => {
  it('makes every trial an ordinary run, with its place in the design', async () => {
    const { execution, trials } = await run(experimentOf({ aa: true, sessions: 3, blocks: 3, turns: 2 }))
    expect(execution.ended?.how).toBe('complete')
    expect(store.readExecution('trial-run')).toEqual(execution)
    expect(trials.filter(({ warmUp }) => warmUp)).toHaveLength(3)
    expect(numbers(measured(trials))).toEqual(range(18))
    for (const { runId, arm, session, block, trial } of measured(trials)) {
      const { experiment, outcome, pipeline } = store.read(runId)
      expect({ outcome, pipeline }).toEqual({ outcome: 'completed', pipeline: 'two' })
      expect(experiment).toEqual({
        name: 'trial-run',
        execution: execution.execution,
        arm,
        session,
        block,
        trial,
        counting: COUNTING,
      })
    }
  })

  it('interrupts at the planned time of the first call, with the input', async () => {
    const { trials } = await run(experimentOf({ sessions: 3, blocks: 3 }))
    const interrupts = measured(trials).flatMap(({ arm, interrupts }) => interrupts.map((each) => ({ arm, ...each })))
    expect(interrupts.length).toBeGreaterThan(0)
    for (const { arm, sinceCallMs, settlement } of interrupts) {
      expect(sinceCallMs).toBeGreaterThanOrEqual(5)
      expect(settlement).toBe(arm === 'drain' ? 'drained' : 'aborted')
    }
    const run1 = store.read(measured(trials).find(({ interrupts }) => interrupts.length > 0)?.runId ?? '')
    expect(run1.interrupts[0]).toMatchObject({ trigger: 'signal', input: 'other' })
  })

  it('gives stages that sample the same seed in all arms, and leaves the others as they are', async () => {
    const pipeline = pipelineWith('abort')
    const [first, second] = pipeline.stages
    const stages = [first!, { ...second!, asks: { ...second!.asks!, options: { temperature: 0, seed: 7 } } }]
    const arm = (name: string) => ({ name, policy: name, pipeline: { ...pipeline, stages } })
    const { asked } = await run(
      experimentOf({
        arms: [arm('a'), arm('b')],
        baseline: 'a',
        warmUp: 0,
        workload: { prompts: ['x'], interrupts: { kind: 'none' }, vars: {} },
      }),
    )
    const seeds = asked.filter(({ stage }) => stage === 'first').map(({ options }) => options.seed)
    expect(seeds).toHaveLength(12)
    expect(new Set(seeds).size).toBe(6)
    expect(asked.filter(({ stage }) => stage === 'second').every(({ options }) => options.seed === 7)).toBe(true)
  })

  it('takes shares of the length that the warm-up measured, and keeps the times', async () => {
    const experiment = experimentOf({
      sessions: 4,
      blocks: 4,
      workload: { prompts: ['x'], interrupts: { kind: 'share', of: [0.5] }, vars: {} },
    })
    const { execution, trials } = await run(experiment)
    const warm = trials.filter(({ warmUp }) => warmUp)
    expect(warm.every(({ interrupts }) => interrupts.length === 0)).toBe(true)
    const [at] = (execution.design as Experiment & { workload: { interrupts: { atMs: number[] } } }).workload.interrupts
      .atMs
    // Five tokens of 3 ms each; timers are late, never early.
    expect(at).toBeGreaterThanOrEqual(7.5)
    for (const { interrupts } of measured(trials))
      for (const { sinceCallMs } of interrupts) expect(sinceCallMs).toBeGreaterThanOrEqual(at ?? 0)
  })

  it('takes its time from the clock that it is given', async () => {
    const clock = new VirtualClock()
    const script = { tokens: ['a ', 'b ', 'c ', 'd ', 'e.'], firstTokenMs: 60_000, tokenMs: 1_000 }
    const workload = { prompts: ['x'], interrupts: { kind: 'list', atMs: [62_500] }, vars: {} } as const
    const load = { kind: 'closed', users: 1, thinkMs: 3_600_000 } as const
    const experiment = experimentOf({ sessions: 3, blocks: 3, workload, load, budget: { timeMs: 2 * 3_600_000 } })
    const { execution, trials } = await clock.until(run(experiment, { clock, script }))
    // Warm-ups, then a block of two trials with a pause before the second: after the second block two hours are over.
    expect(measured(trials)).toHaveLength(4)
    expect(execution).toMatchObject({ startedAt: '2026-01-01T00:00:00.000Z', ended: { how: 'time' } })
    expect(execution.ended?.at.slice(0, 13)).toBe('2026-01-01T03')
    for (const { interrupts, arm } of measured(trials))
      expect(interrupts[0]).toMatchObject({
        ...{ sinceCallMs: 62_500, toFirstTokenMs: arm === 'drain' ? 61_500 : 60_000 },
      })
  })

  it('says that a first stage has no length where no warm-up ended', async () => {
    const script = { tokens: [], fail: { code: 'CAESURA_E_REFUSED', message: 'gone', afterTokens: 0 } } as const
    const workload = { prompts: ['x'], interrupts: { kind: 'share', of: [0.5] }, vars: {} } as const
    const work = run(experimentOf({ workload }), { script })
    await expect(work).rejects.toMatchObject({ code: 'CAESURA_E_MODEL_ERROR', exitCode: 1 })
    expect(store.experiments()[0]?.ended?.how).toBe('failed')
  })

  it('repeats the interrupt times of records', async () => {
    await run(experimentOf({ sessions: 2, blocks: 2 }))
    const repeat = (of: object) =>
      experimentOf({
        name: 'again',
        workload: { prompts: ['x'], interrupts: { kind: 'recorded', ...of }, vars: {} },
      })
    for (const of of [{ pipeline: 'two' }, { experiment: 'trial-run' }]) {
      const { execution, trials } = await run(repeat(of))
      const { kind, atMs } = (execution.design as { workload: { interrupts: { kind: string; atMs: number[] } } })
        .workload.interrupts
      expect(kind).toBe('list')
      expect(Math.min(...atMs)).toBeGreaterThanOrEqual(5)
      expect(measured(trials)).toHaveLength(12)
    }
    await expect(run(repeat({ pipeline: 'none' }))).rejects.toMatchObject({ code: 'CAESURA_E_EXPERIMENT' })
  })

  it('keeps what was measured when it is stopped, and goes on with what is missing', async () => {
    const stop = new AbortController()
    const experiment = experimentOf({ sessions: 5, blocks: 5 })
    const first = await run(experiment, {
      signal: stop.signal,
      tell: ({ done }) => {
        // In the middle of the next run.
        if (done === 4) setTimeout(() => stop.abort(), 5)
      },
    })
    expect(first.execution.ended?.how).toBe('stopped')
    expect(numbers(first.trials)).toEqual(range(4))
    expect(first.trials.every(({ outcome }) => outcome === 'completed')).toBe(true)

    const second = await run({ ...experiment, budget: { timeMs: 600_000 } }, { resume: true })
    expect(second.execution).toMatchObject({ execution: first.execution.execution, ended: { how: 'complete' } })
    expect(numbers(measured(second.trials))).toEqual(range(10))
  })

  it('refuses to go on with another design, or with nothing', async () => {
    const code = (work: Promise<unknown>) =>
      work.then(
        () => 'done',
        (error: unknown) => (error instanceof CaesuraError ? error.code : error),
      )
    expect(await code(run(experimentOf(), { resume: true }))).toBe('CAESURA_E_EXPERIMENT_UNKNOWN')
    await run(experimentOf())
    expect(await code(run(experimentOf(), { resume: true }))).toBe('CAESURA_E_EXPERIMENT_UNKNOWN')
    const stop = AbortSignal.abort()
    await run(experimentOf(), { signal: stop })
    expect(await code(run(experimentOf({ seed: 2 }), { resume: true }))).toBe('CAESURA_E_EXPERIMENT_CHANGED')
    expect(await code(run(experimentOf(), { resume: true, models: { m: 'other' } }))).toBe(
      'CAESURA_E_EXPERIMENT_CHANGED',
    )
    expect(await code(run(experimentOf(), { resume: true }))).toBe('done')
  })

  it('says of each run of an open load how late it began', async () => {
    const { trials } = await run(
      experimentOf({
        sessions: 8,
        blocks: 2,
        warmUp: 0,
        load: { kind: 'open', perSecond: 200 },
        workload: { prompts: ['x'], interrupts: { kind: 'none' }, vars: {} },
      }),
    )
    expect(trials).toHaveLength(16)
    expect(trials.every(({ lagMs }) => lagMs !== undefined && lagMs >= 0)).toBe(true)
  })

  it('writes nothing while runs are made at once, and loses none of them to a stop', async () => {
    const stop = new AbortController()
    const seen: number[] = []
    const load = { kind: 'closed', users: 3, thinkMs: 0 } as const
    const { trials, execution } = await run(experimentOf({ sessions: 6, blocks: 2, warmUp: 0, load }), {
      signal: stop.signal,
      tell: ({ done, execution }) => {
        seen.push([...store.trials({ experiment: 'trial-run', execution })].length)
        if (done === 5) stop.abort()
      },
    })
    expect(execution.ended?.how).toBe('stopped')
    expect(seen.slice(0, 5)).toEqual([0, 0, 0, 3, 3])
    expect(trials.length).toBeGreaterThanOrEqual(5)
  })

  it('counts runs that fail as what they are', async () => {
    const script = { tokens: ['a'], fail: { code: 'CAESURA_E_REFUSED', message: 'gone', afterTokens: 0 } } as const
    const { execution, trials } = await run(experimentOf(), { script })
    expect(execution.ended?.how).toBe('complete')
    expect(measured(trials).map(({ outcome, errorCode }) => [outcome, errorCode])).toEqual(
      Array(12).fill(['failed', 'CAESURA_E_REFUSED']),
    )
  })
})

describe('the conductor of an execution', () => {
  /** Another process takes over, as it may when this one gave no heartbeat for long. */
  const takeOver = (execution: string) =>
    store.claim(
      { experiment: 'trial-run', execution },
      { owner: 'other', host: 'elsewhere', pid: 1, processes: 'theirs', sinceUnixMs: 0, beatUnixMs: Date.now() },
      () => true,
    )
  const kept = () => store.list().map(({ runId }) => runId)

  it.each([
    ['one run after the other', {}],
    ['several users at once, whose runs are written later', { load: { kind: 'closed', users: 4, thinkMs: 0 } }],
    ['an open load', { load: { kind: 'open', perSecond: 200 } }],
  ] as const)('writes nothing more once another one has the execution: %s', async (_, more) => {
    let atTakeover: string[] | undefined
    const work = run(experimentOf({ sessions: 12, blocks: 3, ...more }), {
      tell({ execution, done }) {
        if (done < 5 || atTakeover !== undefined) return
        takeOver(execution)
        atTakeover = kept()
      },
    })
    await expect(work).rejects.toMatchObject({
      code: 'CAESURA_E_EXPERIMENT_LOST',
      exitCode: 1,
      message: expect.stringContaining('process 1 on elsewhere'),
    })
    expect(atTakeover).toBeDefined()
    expect(kept()).toEqual(atTakeover)
    const { execution, ended } = store.readExecution('trial-run')!
    expect(ended).toBeUndefined()
    expect(store.conductor({ experiment: 'trial-run', execution })).toMatchObject({ owner: 'other' })
  })

  it('is none any more when it has ended, however it did', async () => {
    const { execution } = await run(experimentOf({ sessions: 3, blocks: 3 }))
    expect(store.conductor(execution)).toBeUndefined()
    const broken = experimentOf({ workload: { prompts: ['x'], interrupts: { kind: 'share', of: [0.5] }, vars: {} } })
    const script: CallScript = { tokens: [], fail: { code: 'CAESURA_E_REFUSED', message: 'gone', afterTokens: 0 } }
    await expect(run(broken, { script })).rejects.toMatchObject({ code: 'CAESURA_E_MODEL_ERROR' })
    expect(store.experiments().every(({ conductor }) => conductor === undefined)).toBe(true)
  })

  it('keeps out who resumes meanwhile', async () => {
    const experiment = experimentOf({ sessions: 6, blocks: 6 })
    let second: Promise<unknown> | undefined
    await run(experiment, {
      tell: () => {
        second ??= run(experiment, { resume: true }).catch((error: unknown) => error)
      },
    })
    expect(await second).toMatchObject({ code: 'CAESURA_E_EXPERIMENT_TAKEN', exitCode: 2 })
  })
})
