import { durationSchema } from '../core/duration.ts'
import type { PlannedSignal } from '../core/engine.ts'
import { CaesuraError } from '../core/errors.ts'
import { present } from '../core/present.ts'

/** What `--interrupt` takes. */
export const interruptGrammar = '[stage=ID,](DURATION | tokens=N)[:TEXT], such as 100ms, "tokens=12:I have no vinegar."'

const MOST_TOKENS = 1_000_000

/**
 * Reads a signal that is planned on the command line. Everything after the first `:` is the new input, whatever stands
 * in it. Throws `CAESURA_E_USAGE` with the grammar.
 */
export function parseInterruptSpec(spec: string): PlannedSignal {
  const colon = spec.indexOf(':')
  const when = colon === -1 ? spec : spec.slice(0, colon)
  const input = colon === -1 ? undefined : spec.slice(colon + 1)
  if (input?.trim() === '') throw wrong(spec, 'there is no text after the colon')

  const parts = when.split(',').map((part) => part.trim())
  const place = parts.length > 1 ? parts.shift() : undefined
  const [moment] = parts
  if (parts.length !== 1 || moment === undefined || moment === '') throw wrong(spec, 'it does not say when')
  return { ...stageOf(place, spec), ...momentOf(moment, spec), ...present({ input }) }
}

function stageOf(place: string | undefined, spec: string): { stage?: string } {
  if (place === undefined) return {}
  const stage = /^stage=(\S+)$/.exec(place)?.[1]
  if (stage === undefined) throw wrong(spec, `\`${place}\` does not name a stage`)
  return { stage }
}

function momentOf(moment: string, spec: string): { afterMs: number } | { afterTokens: number } {
  if (moment.startsWith('tokens=')) {
    const count = moment.slice('tokens='.length)
    if (!/^[1-9]\d{0,6}$/.test(count) || Number(count) > MOST_TOKENS)
      throw wrong(spec, `\`${count}\` is not a number of tokens from 1 to 1,000,000`)
    return { afterTokens: Number(count) }
  }
  // A bare number is a number of ms, as in a pipeline file.
  const duration = durationSchema.safeParse(/^\d+(\.\d+)?$/.test(moment) ? Number(moment) : moment)
  if (!duration.success) throw wrong(spec, `\`${moment}\` is neither a duration of 0 to 24 h nor tokens=N`)
  return { afterMs: duration.data }
}

const wrong = (received: string, why: string) =>
  new CaesuraError('CAESURA_E_USAGE', `--interrupt cannot be read: ${why}`, { received, expected: interruptGrammar })
