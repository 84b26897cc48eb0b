import { z } from 'zod'
import type { ChatMessage } from '../core/call.ts'
import { countSchema } from '../core/duration.ts'
import { CaesuraError } from '../core/errors.ts'
import { numberWithin, textWithin, wholeWithin } from '../core/number-schema.ts'
import { present } from '../core/present.ts'
import { type Step, stepKind } from '../core/step.ts'
import { mentionsInterruptInput } from '../pipelines/template.ts'

/** A call of a model. */
export interface ModelStep extends Step {
  readonly kind: 'model'
  /** Liquid templates. */
  readonly system?: string
  readonly prompt: string
}

const optionsSchema = z.strictObject({
  temperature: numberWithin(0, 2).optional().describe('0 is greedy.'),
  maxTokens: countSchema.optional().describe('The most tokens to generate.'),
  seed: wholeWithin(0, 2_147_483_647).optional(),
  topK: wholeWithin(0, 1_000_000).optional(),
  topP: numberWithin(0, 1).optional(),
  stop: z
    .array(z.string('a text').min(1, 'a text that is not empty'))
    .max(16, 'at most 16 texts')
    .optional()
    .describe('Texts that end the answer.'),
  contextTokens: wholeWithin(1, 10_000_000)
    .optional()
    .describe('The size of the context window. On Ollama a change reloads the model.'),
})

export const modelShape = {
  model: textWithin(500).describe("An alias of the configuration, or a model's name as the server knows it."),
  system: z.string('a text').optional().describe('The system prompt; a Liquid template.'),
  prompt: z
    .string('a text')
    .describe('A Liquid template; it sees input, <stage>.output, interrupt.input, interrupt.at and vars.*.'),
  options: optionsSchema.optional().describe("What steers sampling; what is left out is the server's default."),
}

export const model = stepKind<z.output<z.ZodObject<typeof modelShape>>, ModelStep, never>({
  name: 'model',
  summary: 'Asks a model. Costs its tokens, and a slot of a node while it generates.',
  shape: modelShape,
  takesTime: true,
  read: ({ model, system, prompt, options }) => ({
    step: { kind: 'model', ...present({ system }), prompt },
    asks: { model, options: present(options ?? {}) },
  }),
  templates: ({ system, prompt }) => [
    { path: ['system'], source: system },
    { path: ['prompt'], source: prompt, emptyHint: 'Write `prompt: "{{ input }}"`.' },
  ],
  warnings: ({ prompt }, policy) =>
    policy.then !== 'again' || mentionsInterruptInput(prompt)
      ? []
      : [
          {
            key: 'prompt',
            message: 'starts again after an interrupt, but its prompt never asks for interrupt.input',
            hint: 'Add `{% if interrupt.input %}{{ interrupt.input }}{% endif %}` to the prompt.',
          },
        ],
  open({ system, prompt }, { stage, render, emptyOutputs }) {
    const instruction = system === undefined ? '' : render(system)
    const question = render(prompt)
    if (question.trim() === '') {
      const message = `the prompt of stage ${stage} is empty after its template was filled in`
      const why = emptyOutputs(prompt).join('; ')
      throw new CaesuraError('CAESURA_E_PROMPT_EMPTY', why === '' ? message : `${message}: ${why}`)
    }
    return { messages: [...systemOf(instruction), { role: 'user', content: question }] }
  },
  openAhead({ system, prompt }, known) {
    const instruction = system === undefined ? { text: '', isCut: false } : known(system)
    const messages = systemOf(instruction.text)
    if (instruction.isCut) return { messages, isCut: true }
    const { text, isCut } = known(prompt)
    if (text !== '' || messages.length > 0) messages.push({ role: 'user', content: text })
    return { messages, isCut }
  },
})

const systemOf = (content: string): ChatMessage[] => (content === '' ? [] : [{ role: 'system', content }])
