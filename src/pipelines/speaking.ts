import { z } from 'zod'
import { durationSchema } from '../core/duration.ts'
import { HEARD_WITHIN_MS, paceSchema, type Speaking } from '../core/speaking.ts'

/** How text is handed to the reader: of a pipeline for all its stages, of a stage for itself. */
export const speakingShape = {
  pace: paceSchema
    .optional()
    .describe('Tokens a second that are handed to the reader. The stage lasts until its text was handed out.'),
  heard: z
    .boolean('true or false')
    .optional()
    .describe('The reader acknowledges what was heard or seen. The stage lasts until all of its text is acknowledged.'),
  heardWithin: durationSchema
    .optional()
    .describe('With `heard`: how long the stage waits for the next acknowledgement; 10s by default.'),
}

export type WrittenSpeaking = Partial<z.output<z.ZodObject<typeof speakingShape>>>

/** What a stage says goes before what its pipeline says. Undefined where text is handed out as it comes. */
export function readSpeaking(ofStage: WrittenSpeaking, ofPipeline: WrittenSpeaking): Speaking | undefined {
  const { pace = ofPipeline.pace, heard = ofPipeline.heard } = ofStage
  const heardWithinMs = ofStage.heardWithin ?? ofPipeline.heardWithin ?? HEARD_WITHIN_MS
  if (pace === undefined && !heard) return undefined
  return { ...(pace !== undefined && { pace }), ...(heard && { heard }), heardWithinMs }
}
