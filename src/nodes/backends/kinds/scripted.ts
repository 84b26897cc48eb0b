import type { z } from 'zod'
import { backendKind } from '../../../core/backend-kind.ts'
import { wholeWithin } from '../../../core/number-schema.ts'
import { present } from '../../../core/present.ts'
import { type Script, scriptedBackend } from '../scripted.ts'
import { DEFAULT_TOKENS, scriptSaying, timedScript } from '../scripted-pieces.ts'

const LARGEST = 1_000_000
const shape = {
  tokens: wholeWithin(1, LARGEST).optional().describe('Pieces of an answer; the prompt, a word a piece, by default.'),
  firstTokenMs: wholeWithin(0, LARGEST).optional().describe('From a request to the first piece; 0 by default.'),
  tokenMs: wholeWithin(0, LARGEST).optional().describe('Between two pieces; 0 by default.'),
}
type ScriptedConfig = z.output<z.ZodObject<typeof shape>>

/** Says the prompt back. */
const echo = (times: Pick<ScriptedConfig, 'firstTokenMs' | 'tokenMs'>): Script =>
  scriptSaying(({ messages }) => messages.at(-1)?.content.match(/\s*\S+/g) ?? [], present(times))

/** `backend: scripted`. */
export const scriptedKind = backendKind<ScriptedConfig>({
  name: 'scripted',
  summary: 'Says what it is told, when it is told: for tests.',
  shape,
  open({ tokens, firstTokenMs, tokenMs }) {
    const times = { firstTokenMs, tokenMs }
    return scriptedBackend(tokens === undefined ? echo(times) : timedScript({ tokens, ...present(times) }))
  },
  flags: ['tokens', 'firstTokenMs', 'tokenMs'],
  fromFlags: ({ tokens, firstTokenMs, tokenMs }, _, known) =>
    present({ tokens: tokens ?? (known ? undefined : DEFAULT_TOKENS), firstTokenMs, tokenMs }),
})
