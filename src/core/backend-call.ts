import { type CallEnd, type CallRequest, finishReasons, type GenerateContext, type ToolCallSeen } from './call.ts'
import { CaesuraError, type ErrorCode, errorCodes, summarize } from './errors.ts'
import { markNames } from './ledger.ts'
import type { Backend } from './ports.ts'
import { isRecord, orList, show } from './problems.ts'
import { type CallMaker, inTrace } from './trace-carrier.ts'

/** What makes a call, as far as this needs it: a backend, or a kind of step. */
interface Maker extends Pick<Backend, 'kind' | 'generate'> {
  /** What messages call it; `backend` by default. */
  readonly role?: CallMaker
}

const fault = ({ kind, role = 'backend' }: Maker, what: string): CaesuraError =>
  new CaesuraError('CAESURA_E_BACKEND', `the ${role} ${show(kind)} ${what}`)

/**
 * Has a backend make a call, whoever wrote it. Never rejects: a backend that throws, ends as none may, or hands over a piece or a mark
 * that is none, fails the call with `CAESURA_E_BACKEND`. What it says of the answer (counts, durations, why the model stopped) is left
 * out where it cannot be. What comes after its end is not heard.
 */
export async function generateOn(backend: Maker, request: CallRequest, context: GenerateContext): Promise<CallEnd> {
  let broken: CaesuraError | undefined
  let isOver = false
  const { signal } = context
  // Thrown into the backend too: it goes on, if it does, knowing that nothing more is taken.
  const refuse = (what: string): never => {
    broken ??= fault(backend, what)
    throw broken
  }
  const piece = (kind: 'token' | 'thinking') => (text: unknown, at?: number) => {
    if (isOver || text === '') return
    if (broken !== undefined) throw broken
    if (typeof text !== 'string') refuse(`hands over a piece that is no text: ${show(text)}`)
    context[kind](text as string, at === undefined ? at : instant(at))
  }
  const instant = (at: unknown): number =>
    Number.isFinite(at) ? (at as number) : refuse(`tells of no instant: ${show(at)}`)
  try {
    const told: GenerateContext = {
      clock: context.clock,
      signal,
      mark(name, at) {
        if (isOver) return
        if (!markNames.includes(name)) refuse(`sets a mark that is none: ${show(name)}`)
        context.mark(name, at === undefined ? at : instant(at))
      },
      token: piece('token'),
      thinking: piece('thinking'),
      toolCall(call: unknown, at?: number) {
        if (isOver) return
        if (broken !== undefined) throw broken
        if (!isToolCall(call)) refuse(`hands over a tool call that is none: ${shape(call)}`)
        context.toolCall?.(call as ToolCallSeen, at === undefined ? at : instant(at))
      },
      late: (ns) => {
        if (!isOver && isAmount(ns)) context.late?.(ns)
      },
    }
    const { trace } = request
    const end: unknown = await (trace === undefined
      ? backend.generate(request, told)
      : inTrace(trace, backend.role ?? 'backend', (headers) =>
          backend.generate(headers === trace ? request : { ...request, trace: headers }, told),
        ))
    isOver = true
    if (broken !== undefined) throw broken
    return readEnd(backend, end, signal)
  } catch (error) {
    isOver = true
    const thrown = broken ?? (error instanceof CaesuraError ? error : undefined)
    const reason = error instanceof Error ? error.message : show(error)
    return { end: 'failed', retryable: false, error: summarize(thrown ?? fault(backend, `has thrown: ${reason}`)) }
  }
}

/** A tool call with a name, and with arguments that are a mapping and JSON. */
function isToolCall(call: unknown): call is ToolCallSeen {
  if (!isRecord(call) || typeof call.name !== 'string' || call.name === '') return false
  if (call.id !== undefined && typeof call.id !== 'string') return false
  if (!isRecord(call.arguments)) return false
  try {
    return JSON.stringify(call.arguments) !== undefined
  } catch {
    return false
  }
}

/** What its arguments are may be text of a model. */
const shape = (call: unknown): string => (isRecord(call) ? `a mapping of ${Object.keys(call).join(', ')}` : typeof call)

/** Throws `CAESURA_E_BACKEND`. */
function readEnd(backend: Maker, given: unknown, signal: AbortSignal): CallEnd {
  const end = isRecord(given) ? given.end : undefined
  if (!isRecord(given) || (end !== 'completed' && end !== 'cancelled' && end !== 'failed')) {
    throw fault(
      backend,
      `ends a call with ${show(given)}; allowed: end: ${orList(['completed', 'cancelled', 'failed'])}`,
    )
  }
  if (end === 'cancelled' && !signal.aborted) throw fault(backend, 'ends a call as cancelled that nobody has cancelled')
  return { end, ...(end === 'failed' && failureOf(backend, given)), ...saidOf(given) }
}

function failureOf(backend: Maker, { error, retryable, retryAfterMs }: Record<string, unknown>): Partial<CallEnd> {
  const { code, message, received } =
    isRecord(error) || error instanceof Error ? (error as Record<string, unknown>) : {}
  if (typeof message !== 'string') throw fault(backend, 'fails a call without saying why: its end has no error')
  const isKnown = typeof code === 'string' && Object.hasOwn(errorCodes, code)
  return {
    error: isKnown
      ? { code: code as ErrorCode, message, ...(typeof received === 'string' && { received }) }
      : summarize(fault(backend, `has failed: ${message}`)),
    ...(typeof retryable === 'boolean' && { retryable }),
    ...(isAmount(retryAfterMs) && { retryAfterMs }),
  }
}

const isAmount = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Bookkeeping throws no answer away. */
function saidOf(given: Record<string, unknown>): Partial<CallEnd> {
  const { finishReason, finishSaid, ofAnswer, toolCalls, promptTokens, cachedTokens, generatedTokens } = given
  const { thinkingTokens, server } = given
  const reason = finishReasons.find((known) => known === finishReason)
  const durations = isRecord(server) ? Object.entries(server).filter(([, ns]) => isAmount(ns)) : []
  const tools = Array.isArray(toolCalls)
    ? toolCalls.flatMap((call: unknown) => {
        if (!isRecord(call) || typeof call.name !== 'string') return []
        return [{ ...(typeof call.id === 'string' && { id: call.id }), name: call.name }]
      })
    : []
  return {
    ...(reason !== undefined && { finishReason: reason }),
    ...(typeof finishSaid === 'string' && { finishSaid }),
    ...(ofAnswer === true && { ofAnswer }),
    ...(tools.length > 0 && { toolCalls: tools }),
    ...(isCount(promptTokens) && { promptTokens }),
    ...(isCount(cachedTokens) && { cachedTokens }),
    ...(isCount(generatedTokens) && { generatedTokens }),
    ...(isCount(thinkingTokens) && { thinkingTokens }),
    ...(durations.length > 0 && { server: Object.fromEntries(durations) }),
  }
}
