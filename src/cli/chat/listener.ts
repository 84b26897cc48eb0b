import type { RunHandle } from '../../core/engine.ts'
import type { RunEvent } from '../../core/event.ts'
import { type Pipeline, withPace } from '../../core/pipeline.ts'
import { HEARD_WITHIN_MS } from '../../core/speaking.ts'

/** The pipeline, at this pace where one is given, whose stages last until their text was acknowledged. */
export function heardPipeline(pipeline: Pipeline, pace: number | undefined): Pipeline {
  const paced = withPace(pipeline, pace)
  return {
    ...paced,
    stages: paced.stages.map((stage) =>
      // What nobody is handed is never acknowledged.
      stage.deliver === 'off'
        ? stage
        : { ...stage, speaking: { heardWithinMs: HEARD_WITHIN_MS, ...stage.speaking, heard: true } },
    ),
  }
}

/** Acknowledges the text of a run as it is written. */
export class Listener {
  readonly #run: RunHandle
  readonly #lengths = new Map<string, number>()

  constructor(run: RunHandle) {
    this.#run = run
  }

  /** Call it when the event has been shown. */
  heard(event: RunEvent): void {
    if (event.type !== 'token') return
    const characters = (this.#lengths.get(event.callId) ?? 0) + event.text.length
    this.#lengths.set(event.callId, characters)
    // An acknowledgement that comes too late is no fault.
    void this.#run.heard({ callId: event.callId, characters }).catch(() => undefined)
  }
}
