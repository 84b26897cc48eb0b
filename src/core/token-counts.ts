import type { CallRecord } from './record.ts'
import type { Transcript } from './transcript.ts'

/** Whether all of a call's answer stands: it ended by itself, and nothing of its text was given up. */
export const hasStood = ({ settlement, used, pieces }: Transcript): boolean =>
  (settlement === 'completed' || settlement === 'drained') && used.pieces === pieces

/**
 * The tokens of a call, all in one unit. Servers count tokens and send pieces, and a piece may be several tokens: what was delivered and
 * what was used are known in pieces, and are brought to tokens in the proportion of this call. All pieces of a whole answer are all of its
 * tokens, and a part of them is less. `delivered`: pieces of text that readers were handed.
 */
export function tokensOf(call: Transcript, delivered: number): CallRecord['tokens'] {
  const { end, pieces, thoughts, toolCalls, perPiece } = call
  // No model made them.
  if (call.request.work !== undefined) return { generated: 0, delivered: 0, wasted: 0 }
  // What a tool call took is not known where the server does not count: a token at least.
  const all = pieces + thoughts + toolCalls.length
  const told = end?.generatedTokens
  // A server may count less than came (Ollama 0.24 with a format counts its second pass alone): the larger is what it cost.
  const isCounted = told !== undefined && told >= all
  const learnt = told === undefined && all > 0 ? perPiece : undefined
  const generated = isCounted ? told : Math.max(all, Math.round(all * (learnt ?? 1)))
  const thinking = thinkingOf(call, generated, isCounted)
  // An engine that counts a call that was cut counts the token that it was at too, which nobody saw.
  const isWhole = end?.end === 'completed' || end?.error?.code === 'CAESURA_E_FORMAT'
  const isCut = isCounted && !isWhole
  const ofCalls = isCounted ? 0 : toolCalls.length
  const ofText = (count: number) => (isCut ? count : inTokens(count, pieces, generated - (thinking ?? 0) - ofCalls))
  const used = call.used.pieces
  // The thinking before a text was for that text: it is used with the first of it.
  const standing = used === 0 ? 0 : (thinking ?? 0) + ofText(used)
  return {
    ...(end?.promptTokens !== undefined && { prompt: end.promptTokens }),
    ...(end?.cachedTokens !== undefined && { cached: end.cachedTokens }),
    generated,
    ...(thinking !== undefined && { thinking }),
    delivered: ofText(Math.min(delivered, pieces)),
    wasted: hasStood(call) ? 0 : generated - standing,
    // What never had a server has nothing that could have been counted.
    ...((told !== undefined || all > 0) && { counted: isCounted ? ('server' as const) : ('pieces' as const) }),
    ...(learnt !== undefined && { perPiece: learnt }),
  }
}

/** The part that was thinking: as the server says, else in the proportion of the pieces. Undefined where the model did not think. */
function thinkingOf(call: Transcript, generated: number, isCounted: boolean): number | undefined {
  const { end, thoughts } = call
  const others = call.pieces + call.toolCalls.length
  const told = isCounted ? end?.thinkingTokens : undefined
  if (told !== undefined && told > 0) return Math.min(Math.max(told, thoughts), generated - others)
  if (thoughts === 0) return undefined
  if (others === 0) return generated
  const share = Math.round((generated * thoughts) / (thoughts + others))
  return Math.min(Math.max(share, thoughts), generated - others)
}

/** So many of `pieces` pieces, which are `tokens` tokens together: rising, 0 for none, all for all, less than all for a part. */
function inTokens(count: number, pieces: number, tokens: number): number {
  if (count >= pieces) return pieces === 0 ? 0 : tokens
  return Math.min(Math.round((count * tokens) / pieces), tokens - 1)
}
