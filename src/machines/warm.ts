import type { NodeWish } from '../core/call.ts'
import type { Stage } from '../core/pipeline.ts'
import { placementOf } from '../core/placement.ts'
import type { WarmOutcome } from '../core/ports.ts'
import type { Transcript } from '../core/transcript.ts'
import type { RunEnvironment } from './environment.ts'
import { knownMessages } from './work.ts'

/** What one call has done ahead for the stage after it. */
export interface Warming {
  /** The call has its slot. */
  placed(): void
  /** Its own prompt has been read. */
  firstToken(): void
  /** The call has settled: what is not done by now is given up. */
  stop(): void
}

const endedFirst: WarmOutcome = { outcome: 'skipped', reason: 'the stage ended first' }

/**
 * Does ahead what the stage's policy wants done for the stage after it. Never takes a slot from a call: the executor skips it
 * without a free one, and the transcript says what became of it. A prompt is read ahead from the first token on, because before that
 * it would slow down the reading of the running call's own.
 */
export function warmingOf(environment: RunEnvironment, stage: Stage, transcript: Transcript): Warming {
  const { executor, pipeline, resolveModel } = environment
  const next = pipeline.stages[pipeline.stages.indexOf(stage) + 1]
  const { warm } = stage.policy
  const controller = new AbortController()
  const quiet: Warming = { placed: () => {}, firstToken: () => {}, stop: () => {} }
  const asks = next?.asks
  if (next === undefined || asks === undefined || (warm !== 'load' && warm !== 'prefix')) return quiet

  const model = resolveModel(asks.model)
  let isOpen = true
  const note = (outcome: WarmOutcome) => {
    if (isOpen) transcript.warmed = { model, ...outcome }
  }
  /** As the next stage's call will have it. */
  const wish = (): NodeWish => ({
    model,
    ...placementOf(stage.policy),
    ...(transcript.node !== undefined && { previousNode: transcript.node }),
  })
  const load = () => {
    if (model === transcript.request.model) note({ outcome: 'skipped', reason: 'this stage uses the same model' })
    else void executor.load(wish()).then(note)
  }
  const prefill = () => {
    const { scope } = transcript
    const known = scope && knownMessages(environment, next, scope, stage.id)
    const { messages, isCut } = known ?? { messages: [], isCut: true }
    if (messages.length === 0) note({ outcome: 'skipped', reason: 'nothing of its prompt is known yet' })
    else {
      const request = { ...asks, model, messages, isCut }
      void executor.prefill(wish(), request, controller.signal).then(note)
    }
  }
  return {
    placed: () => {
      note(endedFirst)
      if (warm === 'load') load()
    },
    firstToken: () => {
      if (warm !== 'prefix') return
      try {
        prefill()
      } catch (error) {
        // The stage's own prompt will fail the run if it has to; this is only done ahead.
        note({ outcome: 'failed', reason: error instanceof Error ? error.message : String(error) })
      }
    },
    stop: () => {
      isOpen = false
      controller.abort()
    },
  }
}
