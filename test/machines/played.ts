import { msToNs } from '../../src/core/clock.ts'
import type { Engine, SignalAnswer } from '../../src/core/engine.ts'
import type { RunEvent } from '../../src/core/event.ts'
import type { RunRecord } from '../../src/core/record.ts'
import { VirtualClock } from '../../src/lab/simulation/virtual-clock.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'
import { type Fleet, type Reader, scriptedRun, watchedFleet } from '../fixtures/scripted-run.ts'
import type { Scenario } from './scenario.ts'

/** A scenario and all that can be seen of it afterwards. */
export interface Played {
  readonly scenario: Scenario
  readonly record: RunRecord
  /** What the reader was handed. */
  readonly events: readonly RunEvent[]
  readonly fleet: Fleet
  /** Has nothing to do any more. */
  readonly engine: Engine
  readonly clock: VirtualClock
}

/** Cheaper than `expect`, which would take longer than the runs: there are hundreds of these a run. */
export function must(holds: unknown, ...what: readonly unknown[]): void {
  if (!holds) throw new Error(what.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' '))
}

export const eventsOf = (events: readonly RunEvent[], callId: string) =>
  events.filter((event) => 'callId' in event && event.callId === callId)

/** The outputs of all stages and the newest input are in every prompt, so that what a call sees can be told from outside. */
const pipelineOf = ({ stages, pace }: Scenario) =>
  pipelineFrom({
    ...(pace !== undefined && { pace }),
    name: 'p',
    maxInterrupts: 6,
    stages: stages.map((stage) => ({
      ...stage,
      model: 'm',
      prompt: `${stage.id}: ${stages.map(({ id }) => `${id}=[{{ ${id}.output }}]`).join(' ')} in=[{{ interrupt.input }}]`,
    })),
  })

/** Plays a scenario to its end in virtual time, and then makes sure that nothing of it is left. */
export async function play(scenario: Scenario, reader: Reader = scenario.reader): Promise<Played> {
  const clock = new VirtualClock()
  const { scripts, slots, signals, asked, cancelAtMs, prefillMs } = scenario
  let sent = 0
  const fleet = watchedFleet(clock, slots, () => scripts[sent++ % scripts.length]!, prefillMs)
  const cancelled = new AbortController()
  const read = new Map<string, number>()
  const { engine, run, events, finish } = scriptedRun(pipelineOf(scenario), {
    clock,
    signals,
    reader,
    signal: cancelled.signal,
    settings: { nodes: fleet.nodes, random: () => 0.5 },
    onRead: (event) => {
      if (event.type !== 'token') return
      const count = (read.get(event.callId) ?? 0) + 1
      read.set(event.callId, count)
      must(count <= fleet.sights.get(event.callId)!.said, event.callId, 'is delivered before it is generated')
    },
  })
  const answers: SignalAnswer[] = []
  let questions = 0
  const own = asked.map(({ atMs, input }) =>
    clock.schedule(msToNs(atMs), () => {
      questions += 1
      void run.interrupt(input === undefined ? {} : { input }).then((answer) => answers.push(answer))
    }),
  )
  if (cancelAtMs !== undefined) {
    own.push(clock.schedule(msToNs(cancelAtMs), () => cancelled.abort(new Error('enough'))))
  }
  const record = await finish()
  for (const withdraw of own) withdraw()
  must(clock.pending === 0, clock.pending, 'timers are left')
  must(
    [...fleet.running.values()].every((count) => count === 0),
    'calls are left',
    [...fleet.running],
  )
  must(answers.length === questions, answers.length, 'answers for', questions, 'signals')
  const late = await run.interrupt({ input: 'late' })
  must(!late.accepted && late.code === 'CAESURA_E_RUN_ENDED', 'a late signal is answered', late)
  run.cancel('late')
  must(clock.pending === 0, 'something is done after the end')
  return { scenario, record, events, fleet, engine, clock }
}

/** Every slot is free again: as many calls as there are slots start at once. */
export async function checkSlots({ engine, clock, fleet, scenario: { slots } }: Played): Promise<void> {
  const total = slots.reduce((sum, count) => sum + count, 0)
  const runs = Array.from({ length: total }, (_, index) =>
    engine.start(pipelineFrom({ name: 'p', stages: [{ id: `slot${index}`, model: 'm', prompt: 'x' }] }), {
      input: '',
    }),
  )
  const taken = [...fleet.running.values()].reduce((sum, count) => sum + count, 0)
  must(taken === total, 'of', total, 'slots', taken, 'are free')
  for (const run of runs) run.cancel()
  await clock.until(Promise.all(runs.map(({ result }) => result)))
  must(fleet.offences.length === 0, fleet.offences)
}
