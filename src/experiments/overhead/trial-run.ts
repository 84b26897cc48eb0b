import { msToNs, nsToMs, systemClock } from '../../core/clock.ts'
import type { Engine, RunHandle, StartOptions } from '../../core/engine.ts'
import type { Pipeline } from '../../core/pipeline.ts'
import type { ExperimentArm } from '../../core/record.ts'
import type { CellPlan, OverheadDesign } from './design.ts'
import { FIRST, LONG_TEXT, lateMs, SECOND, signalOf, type TrialPipelines } from './pipelines.ts'

/** A trial with all that was drawn for it. */
export interface TrialPlan {
  readonly cell: CellPlan
  readonly place: Omit<ExperimentArm, 'arm'>
  /** Two texts that no other trial has. */
  readonly nonces: readonly [string, string]
  /** Of a cell `uniform`, ms from the start of the first call. */
  readonly uniformMs: number
}

/** Makes the runs of one trial. Their records go where the engine's go. Never rejects for what becomes of a call. */
export async function runTrial(
  { cell, place, nonces, uniformMs }: TrialPlan,
  engine: Engine,
  pipelines: TrialPipelines,
  design: OverheadDesign,
  signal: AbortSignal,
): Promise<void> {
  const { id, interrupt, handoff, prefix, answer, transport } = cell
  const unique = prefix === 'unique'
  const first = interrupt === 'mid-prefill' ? `${nonces[0]}${LONG_TEXT} ` : unique ? `${nonces[0]} ` : ''
  const vars = { [FIRST]: first, [SECOND]: unique ? `${nonces[1]} ` : '' }
  const start = (pipeline: Pipeline, arm: string, more: Partial<StartOptions> = {}): RunHandle =>
    engine.start(pipeline, { input: '', vars, signal, experiment: { ...place, arm }, ...more })
  const isLate = interrupt === 'uniform' && uniformMs >= (design.firstStageMs[transport] ?? Number.POSITIVE_INFINITY)
  if (interrupt === 'none') {
    await start(pipelines.alone(answer), id).result
  } else if (handoff === 'none' || isLate) {
    // A call of its own: in one run the second stage would follow the first at once.
    const asked = systemClock.now()
    const before = start(pipelines.alone('whole'), `${id} / first stage`)
    const due = asked + msToNs(isLate ? uniformMs : lateMs(cell, design))
    // A slow first stage is waited for: while it runs there would be something to interrupt.
    await Promise.all([until(due, signal), before.result])
    const lagMs = nsToMs(Math.max(0, systemClock.now() - due))
    const control = start(pipelines.alone('short'), id, { experiment: { ...place, arm: id, lagMs } })
    await control.result
  } else {
    const blocker = interrupt === 'queued' ? start(pipelines.alone('whole'), `${id} / call before`) : undefined
    if (blocker !== undefined) await firstTokenOf(blocker)
    await start(pipelines.pair(handoff), id, { signals: [signalOf(cell, design, uniformMs)] }).result
    await blocker?.result
  }
}

async function firstTokenOf(run: RunHandle): Promise<void> {
  for await (const { type } of run.events) if (type === 'token') return
}

/** Until this instant of the system clock, or until the signal is aborted. */
function until(at: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      withdraw()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const withdraw = systemClock.schedule(at, done)
    signal.addEventListener('abort', done, { once: true })
  })
}
