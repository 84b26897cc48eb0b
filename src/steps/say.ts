import { z } from 'zod'
import { type Step, stepKind } from '../core/step.ts'

/** A fixed text. It asks no model, needs no node and no slot, and costs no token. */
export interface SayStep extends Step {
  readonly kind: 'say'
  /** A Liquid template. */
  readonly say: string
}

export const sayShape = {
  say: z
    .string('a text')
    .describe('What the stage says, without asking a model; a Liquid template that sees what a prompt sees.'),
}

/** There is nothing to wait for, so it sets no marks. Whoever takes the run over says it again, and readers are told once. */
export const say = stepKind<z.output<z.ZodObject<typeof sayShape>>, SayStep, { kind: 'say'; text: string }>({
  name: 'say',
  summary: 'Says a fixed text. Costs no token and no slot.',
  shape: sayShape,
  takesTime: false,
  read: ({ say }) => ({ step: { kind: 'say', say } }),
  templates: ({ say }) => [{ path: ['say'], source: say, emptyHint: 'Write what is to be said.' }],
  open: ({ say }, { render }) => ({ work: { kind: 'say', text: render(say) } }),
  async perform({ text }, { signal, token }) {
    if (signal.aborted) return { end: 'cancelled' }
    token(text)
    return { end: 'completed' }
  },
})
