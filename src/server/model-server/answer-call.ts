import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { CallEnd, CallRequest, ToolCallSeen } from '../../core/call.ts'
import { type Clock, type Nanoseconds, nsToMs, systemClock } from '../../core/clock.ts'
import { CallCancelled } from '../../core/errors.ts'
import type { Figures } from '../../core/figures.ts'
import type { MarkName } from '../../core/ledger.ts'
import type { Log } from '../../core/log.ts'
import type { Backend } from '../../core/ports.ts'
import { answerLine, type CallTimes, lastFields, loadLine, type Route, type Said } from './answer-lines.ts'
import { sendJson, writeLine } from './answer-stream.ts'
import type { CallSlots } from './call-slots.ts'
import { refusalOf } from './refusal.ts'
import type { AnswerRequest } from './requests.ts'
import type { ServedModel } from './served-model.ts'

/** The system's clock, but what is due already comes in the next turn of the event loop: a timer would take 1 ms. */
const clock: Clock = {
  ...systemClock,
  schedule(at, wake) {
    if (at > systemClock.now()) return systemClock.schedule(at, wake)
    const turn = setImmediate(wake)
    return () => clearImmediate(turn)
  },
}

/** What calls are made on. */
export interface Serving {
  readonly model: ServedModel
  readonly slots: CallSlots
  /** The server's own end. */
  readonly signal: AbortSignal
  readonly figures: Figures
  readonly log: Log
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
  { model, slots, signal: closing, figures, log }: Serving,
  mark: (name: MarkName, unixMs: number) => void = () => undefined,
): Promise<void> {
  const start = clock.now()
  const zeroMs = clock.wall() - nsToMs(start)
  const note = (name: MarkName, at = clock.now()) => mark(name, zeroMs + nsToMs(at))
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
      const loaded = clock.now()
      note('load-end', loaded)
      if (request.messages.length === 0) return sendJson(response, 200, loadLine(route, request.model, false))
      if (!(await slots.take(signal))) return
      note('slot-acquired')
      const tell = (said: Said) => {
        if (request.stream) writeLine(response, answerLine(route, request.model, said))
      }
      const call = callOf(model.name, request, options)
      const spoken = await speak(backend, call, { signal, tell, note }).finally(() => {
        note('slot-released')
        slots.release()
      })
      figures.count('caesura.model_server.calls', { end: spoken.end.end })
      const { error } = spoken.end
      if (error !== undefined && !signal.aborted)
        log.info(`a call has failed (${error.code})`, { route, code: error.code }, { error: error.message })
      if (!signal.aborted) finish(route, request, response, spoken, { start, loaded, end: clock.now() })
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

interface Spoken extends Pick<CallTimes, 'marks' | 'firstToken'> {
  readonly end: CallEnd
  /** All of it. */
  readonly said: Said
}

async function speak(
  backend: Backend,
  call: CallRequest,
  {
    signal,
    tell,
    note,
  }: {
    readonly signal: AbortSignal
    readonly tell: (said: Said) => void
    readonly note: (name: MarkName, at?: Nanoseconds) => void
  },
): Promise<Spoken> {
  const marks = new Map<MarkName, Nanoseconds>()
  const whole = { text: '', thinking: '', toolCalls: [] as ToolCallSeen[] }
  let firstToken: Nanoseconds | undefined
  const begun = () => {
    if (firstToken !== undefined) return
    firstToken = clock.now()
    note('first-token', firstToken)
  }
  const end = await backend.generate(call, {
    clock,
    signal,
    mark(name, at = clock.now()) {
      marks.set(name, at)
      note(name, at)
    },
    token(text) {
      begun()
      whole.text += text
      tell({ text })
    },
    thinking(thinking) {
      begun()
      whole.thinking += thinking
      tell({ thinking })
    },
    toolCall(call) {
      begun()
      whole.toolCalls.push(call)
      tell({ toolCalls: [call] })
    },
  })
  return { end, said: whole, marks, ...(firstToken !== undefined && { firstToken }) }
}

/** Writes what comes after the tokens. Throws a `Refusal` for a call that failed before the first. */
function finish(
  route: Route,
  { model, stream }: AnswerRequest,
  response: ServerResponse,
  { end, said, ...observed }: Spoken,
  times: Pick<CallTimes, 'start' | 'loaded' | 'end'>,
): void {
  if (end.error !== undefined && !response.headersSent) throw refusalOf(end.error)
  const last = () => answerLine(route, model, stream ? {} : said, lastFields(end, { ...observed, ...times }))
  if (!stream) sendJson(response, 200, last())
  else {
    writeLine(response, end.error === undefined ? last() : { error: end.error.message })
    response.end()
  }
}

function callOf(model: string, { messages, asks }: AnswerRequest, options: CallRequest['options']): CallRequest {
  const id = randomUUID()
  return {
    ...{ callId: id, runId: id, stage: 'call', attempt: 1, placement: 'any' },
    model,
    messages,
    options,
    ...asks,
  }
}
