import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { CallRequest } from '../../core/call.ts'
import { type Nanoseconds, systemClock } from '../../core/clock.ts'
import { CallCancelled } from '../../core/errors.ts'
import type { MarkName } from '../../core/ledger.ts'
import { answerLine, lastFields, loadLine, type Route } from './answer-lines.ts'
import { sendJson, writeLine } from './answer-stream.ts'
import type { CallSlots } from './call-slots.ts'
import { refusalOf } from './refusal.ts'
import type { AnswerRequest } from './requests.ts'
import type { ServedModel } from './served-model.ts'

/** What calls are made on. */
export interface Serving {
  readonly model: ServedModel
  readonly slots: CallSlots
  /** The server's own end. */
  readonly signal: AbortSignal
}

/**
 * Answers one request whose model is known, to the end of the response. A client that leaves ends it in every phase: the wait
 * for a slot, the load, the prefill, the decode. The slot is free when the backend has really stopped. Throws, also what
 * `Backend.load` does, while nothing has been sent.
 */
export async function answerCall(
  route: Route,
  request: AnswerRequest,
  response: ServerResponse,
  { model, slots, signal: closing }: Serving,
): Promise<void> {
  const start = systemClock.now()
  const options = request.options()
  const controller = new AbortController()
  const leave = () => controller.abort(new CallCancelled('the client left'))
  const { signal } = controller
  response.once('close', leave)
  closing.addEventListener('abort', leave, { once: true })
  if (response.closed || response.destroyed || closing.aborted) leave()
  try {
    if (request.messages.length === 0 && request.unload) {
      model.unload()
      return sendJson(response, 200, loadLine(route, request.model, true))
    }
    const backend = await model.acquire(signal)
    try {
      const loaded = systemClock.now()
      if (request.messages.length === 0) return sendJson(response, 200, loadLine(route, request.model, false))
      if (!(await slots.take(signal))) return
      const marks = new Map<MarkName, Nanoseconds>()
      let text = ''
      let firstToken: Nanoseconds | undefined
      const end = await backend
        .generate(callOf(model.name, request, options), {
          clock: systemClock,
          signal,
          mark: (name, at = systemClock.now()) => void marks.set(name, at),
          token(piece) {
            firstToken ??= systemClock.now()
            if (request.stream) writeLine(response, answerLine(route, request.model, piece))
            else text += piece
          },
        })
        .finally(() => slots.release())
      if (end.end === 'cancelled' || signal.aborted) return
      if (end.error !== undefined) {
        if (!response.headersSent) throw refusalOf(end.error)
        writeLine(response, { error: end.error.message })
        return void response.end()
      }
      const times = { start, loaded, marks, ...(firstToken !== undefined && { firstToken }), end: systemClock.now() }
      const last = answerLine(route, request.model, text, lastFields(end, times))
      if (!request.stream) return sendJson(response, 200, last)
      writeLine(response, last)
      response.end()
    } finally {
      model.release()
      if (request.unload) model.unload()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    response.off('close', leave)
    closing.removeEventListener('abort', leave)
    // A call that was cut off by the server itself leaves a client behind.
    if (signal.aborted) response.destroy()
  }
}

function callOf(model: string, { messages }: AnswerRequest, options: CallRequest['options']): CallRequest {
  const id = randomUUID()
  return {
    ...{ callId: id, runId: id, stage: 'call', attempt: 1, placement: 'any' },
    model,
    messages,
    options,
  }
}
