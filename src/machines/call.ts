import { fromCallback } from 'xstate'
import type { CallEnd } from '../core/call.ts'
import { CallCancelled, type ErrorSummary, summarize } from '../core/errors.ts'
import { CallWatch } from './call-watch.ts'
import { deliver } from './delivery.ts'
import { environmentOf } from './environment.ts'
import { warmNext } from './warm.ts'

/** From the stage to its call. */
export type CallOrder = { readonly type: 'cancel'; readonly reason: string }

/** From a call to its stage. */
export type CallNews =
  | { readonly type: 'call.firstToken' }
  | { readonly type: 'call.token'; readonly text: string }
  | { readonly type: 'call.sentenceEnd' }
  | { readonly type: 'call.trigger'; readonly trigger: string }
  | { readonly type: 'call.signal'; readonly input?: string }
  | { readonly type: 'call.settled'; readonly end: CallEnd; readonly pieces: number }

/**
 * One call in flight. Tokens go from here straight into the journal and to the trigger, and not through the machines: these hear of
 * the first token, of tokens while a response listens (`listening`), and of what happens once. Stopping the actor cancels the call.
 */
export const callLogic = fromCallback<CallOrder, { readonly callId: string }>(
  ({ input, system, sendBack, receive }) => {
    const environment = environmentOf(system)
    const { journal, executor, clock, pipeline, emergency, inFlight } = environment
    const transcript = journal.call(input.callId)
    const { request, ledger } = transcript
    const news = (event: CallNews) => sendBack(event)
    const controller = new AbortController()
    let timedOut: ErrorSummary | undefined

    const cancel = (reason: string) => {
      ledger.set('abort-requested', journal.now())
      controller.abort(new CallCancelled(reason))
    }
    const stage = pipeline.stages.find(({ id }) => id === request.stage)!
    const watch = new CallWatch(environment, transcript, stage, {
      trigger: (trigger) => news({ type: 'call.trigger', trigger }),
      signal: (planned) => news({ type: 'call.signal', ...(planned.input !== undefined && { input: planned.input }) }),
      timeout: (error) => {
        timedOut ??= summarize(error)
        cancel(timedOut.message)
      },
      sentenceEnd: () => transcript.listening && news({ type: 'call.sentenceEnd' }),
    })

    const stopAtOnce = () => controller.abort(emergency.signal.reason)
    emergency.signal.addEventListener('abort', stopAtOnce, { once: true })
    // A restored run attaches to a call that started long ago.
    const startedAt = ledger.at('call-start') ?? journal.now()
    ledger.set('call-start', startedAt)
    watch.started(startedAt)
    const settled = executor
      .execute(request, {
        clock,
        signal: controller.signal,
        observer: {
          mark: (name, at) => ledger.set(name, at === undefined ? journal.now() : journal.fromClock(at)),
          placed: ({ name, backend }) => {
            transcript.node = name
            transcript.backend = backend
            warmNext(environment, stage, transcript)
          },
          token: (text) => {
            const at = journal.now()
            const first = transcript.pieces === 0
            transcript.append(text, at)
            if (first) ledger.set('first-token', at)
            deliver(journal, transcript, text)
            if (first) news({ type: 'call.firstToken' })
            if (transcript.listening) news({ type: 'call.token', text })
            watch.token(at, text)
          },
        },
      })
      .catch((error: unknown): CallEnd => ({ end: 'failed', error: summarize(error) }))
      .then((end) => {
        watch.stop()
        emergency.signal.removeEventListener('abort', stopAtOnce)
        inFlight.delete(settled)
        if (transcript.lastTokenAt !== undefined) ledger.set('last-token', transcript.lastTokenAt)
        ledger.set('settled', journal.now())
        const failedByLimit = timedOut !== undefined && end.end !== 'completed'
        transcript.end = failedByLimit
          ? { ...end, end: 'failed', error: timedOut!, retryable: transcript.pieces === 0 }
          : end
        news({ type: 'call.settled', end: transcript.end, pieces: transcript.pieces })
      })
    inFlight.add(settled)

    receive((order) => cancel(order.reason))
    return () => {
      watch.stop()
      if (transcript.end === undefined && !environment.abandoned) cancel('the run has stopped')
    }
  },
)
