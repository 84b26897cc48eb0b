import type { Stage } from '../core/pipeline.ts'
import type { Transcript } from '../core/transcript.ts'
import type { RunEnvironment } from './environment.ts'

/**
 * Does ahead what the stage's policy wants done for the stage after it. Never delays a call: the executor skips it without a free
 * slot, and the transcript says what became of it.
 */
export function warmNext(
  { executor, pipeline, resolveModel }: RunEnvironment,
  stage: Stage,
  transcript: Transcript,
): void {
  const next = pipeline.stages[pipeline.stages.indexOf(stage) + 1]
  if (stage.policy.warm !== 'load' || next === undefined) return
  const model = resolveModel(next.model)
  if (model === transcript.request.model)
    transcript.warmed = { model, outcome: 'skipped', reason: 'this stage uses the same model' }
  else void executor.load(model).then((outcome) => Object.assign(transcript, { warmed: { model, ...outcome } }))
}
