import { z } from 'zod'
import type { ChoiceDefinition } from '../core/policy.ts'

const otherwise = {
  parameter: z.strictObject({ otherwise: z.literal('any').optional() }).optional(),
  parameterHint: 'otherwise: any, where no node satisfies it',
}

/** What is done ahead for the next stage. */
export const warms: readonly ChoiceDefinition[] = [
  { name: 'off', summary: 'Nothing is done ahead.' },
  { name: 'load', summary: "Loads the next stage's model while this stage runs, if a slot is free." },
  { name: 'prefix', summary: "Reads the known beginning of the next stage's prompt ahead, if a slot is free." },
]

/** Which node the next stage may use. */
export const placements: readonly ChoiceDefinition[] = [
  { name: 'any', summary: 'The first node with a free slot.' },
  { name: 'same', summary: 'The node of the interrupted call: its prefix cache may help.', ...otherwise },
  { name: 'other', summary: 'Another node: the slot of an aborted call may still be busy.', ...otherwise },
]

/** Where the run goes after an interrupt. */
export const thens: readonly ChoiceDefinition[] = [
  { name: 'next', summary: 'The next stage; after the last one the run ends.' },
  { name: 'again', summary: 'The same stage once more, with the new input.' },
  {
    name: 'start',
    summary: 'The first stage. So it is by default in a pipeline with a history, where the signal brings an input.',
  },
  { name: 'stage', summary: 'The stage with this id.', parameterHint: "a stage's id" },
  { name: 'end', summary: 'Nowhere: the run ends with what there is.' },
]
