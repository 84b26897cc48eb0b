import { fromCallback } from 'xstate'
import type { CallEnd } from '../core/call.ts'
import type { Nanoseconds } from '../core/clock.ts'
import { CallCancelled, summarize } from '../core/errors.ts'
import type { Transcript } from '../core/transcript.ts'
import { WellFormedPieces, wellFormed } from '../core/well-formed.ts'
import { checkAnswer, tellValue } from './answer-check.ts'
import { BesideNews } from './beside-news.ts'
import { CallWatch } from './call-watch.ts'
import { deliver } from './delivery.ts'
import { environmentOf } from './environment.ts'
import { Speech } from './speech.ts'
import { warmingOf } from './warm.ts'
import { executorOf, sentRequest } from './work.ts'

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
 * One call in flight. Its pieces are made well-formed here, whatever backend or worker they come from: half of a character is held
 * back until its other half comes, and is U+FFFD when the call ends without it. The piece that brought the half counts, and is the
 * first token where it is the first, at the instant at which it came; readers are told of the character with the next piece.
 *
 * Tokens go from here straight into the journal and to the trigger, and not through the machines: these hear of
 * the first token, of tokens while a response listens (`listening`), and of what happens once. Stopping the actor cancels the call.
 */
export const callLogic = fromCallback<CallOrder, { readonly callId: string }>(
  ({ input, system, sendBack, receive }) => {
    const environment = environmentOf(system)
    const { journal, clock, pipeline, inFlight, speeches } = environment
    const transcript = journal.call(input.callId)
    const { request, ledger } = transcript
    const news = (event: CallNews) => sendBack(event)
    const controller = new AbortController()
    let speech: Speech | undefined
    const cancel = (reason: string) => {
      // Of a call that has ended, and is still being spoken, nothing is aborted.
      if (transcript.end === undefined) ledger.set('abort-requested', journal.now())
      controller.abort(new CallCancelled(reason))
      speech?.stop()
    }
    const fail = (error: unknown, lost: boolean) => {
      if (transcript.passed !== undefined) return
      const summary = summarize(error)
      transcript.passed = { error: summary, lost }
      cancel(summary.message)
    }
    const stage = pipeline.stages.find(({ id }) => id === request.stage)!
    transcript.isSilent = stage.deliver === 'off'
    const watch = new CallWatch(environment, transcript, stage, {
      trigger: (trigger) => {
        transcript.triggered = true
        news({ type: 'call.trigger', trigger })
      },
      signal: (planned) => news({ type: 'call.signal', ...(planned.input !== undefined && { input: planned.input }) }),
      // A call that has been told to stop may take longer than its limits to do so.
      timeout: (error) => controller.signal.aborted || fail(error, false),
      fault: (error) => fail(error, true),
      sentenceEnd: () => transcript.listening && news({ type: 'call.sentenceEnd' }),
    })

    const warming = warmingOf(environment, stage, transcript)
    const pieces = new WellFormedPieces()
    const beside = new BesideNews(journal, transcript)
    let told = 0
    /** Tells the readers of a piece's text. False where the owner before has told it. */
    const tell = (text: string): boolean => {
      if (text === '') return told >= transcript.toldBefore
      told += 1
      if (told <= transcript.toldBefore) return false
      deliver(journal, transcript, text)
      return true
    }

    /** The next text for the readers. `again`: the owner before has told it, and has done what followed from it. */
    const utter = (text: string, at: Nanoseconds, again: boolean, endings?: number) => {
      const first = transcript.uttered === 0
      transcript.uttered += 1
      if (again) return watch.token(at, text, true, endings)
      if (first) news({ type: 'call.firstToken' })
      if (transcript.listening) news({ type: 'call.token', text })
      watch.token(at, text, false, endings)
      if (first && !controller.signal.aborted) warming.firstToken()
    }
    let endings = 0
    if (stage.speaking !== undefined) {
      speech = new Speech(clock, transcript, stage.speaking, {
        utter: (text, at, again) => {
          if (again) return utter(text, at, true)
          if (text !== '') deliver(journal, transcript, text)
          utter(text, journal.now(), false, endings)
          endings = 0
        },
        // A sentence is over when it is known what follows: whoever listens to that can stop before it is said.
        ahead: (text) => {
          endings = watch.endingsIn(text)
          if (transcript.listening) for (let each = endings; each > 0; each--) news({ type: 'call.sentenceEnd' })
        },
        over: () => settle(),
      })
      speeches.set(input.callId, speech)
    }
    const settle = () => {
      if (speech !== undefined) ledger.set('spoken', journal.now())
      watch.stop()
      speeches.delete(input.callId)
      transcript.end = judged(transcript, transcript.end!)
      // A tool call that readers were told of is as much of an answer as a text.
      const pieces = transcript.pieces + transcript.toolCalls.length
      news({ type: 'call.settled', end: transcript.end, pieces })
    }
    const finish = () => {
      if (speech === undefined) return settle()
      watch.ended(journal.now())
      // Of an answer that broke off no more is said than was said by then.
      if (transcript.end?.end !== 'completed') speech.stop()
      speech.end()
    }

    // A restored run attaches to a call that started long ago.
    const startedAt = ledger.at('call-start') ?? journal.now()
    ledger.set('call-start', startedAt)
    watch.started(startedAt)
    if (ledger.at('abort-requested') !== undefined) controller.abort(new CallCancelled('told to stop before'))
    if (controller.signal.aborted) speech?.stop()
    if (transcript.end !== undefined) {
      // It had ended, and was still being spoken, when this owner took the run over.
      for (const { text, at } of transcript.inPieces()) speech?.say(text, at)
      finish()
      receive((order) => cancel(order.reason))
      return () => {
        watch.stop()
        speech?.close()
      }
    }
    const settled = sent(() =>
      executorOf(environment, request).execute(sentRequest(environment, stage, transcript), {
        clock,
        signal: controller.signal,
        observer: {
          mark: (name, at) => ledger.set(name, at === undefined ? journal.now() : journal.fromClock(at)),
          placed: (place) => {
            transcript.place = place
            warming.placed()
          },
          token: (piece, when) => {
            const excess = journal.allowance.take(piece)
            if (excess !== undefined) return fail(excess, true)
            const at = when === undefined ? journal.now() : journal.fromClock(when)
            const text = pieces.push(piece)
            transcript.append(text, at)
            ledger.set('first-piece', at)
            if (transcript.pieces === 1) ledger.set('first-token', at)
            watch.arrived(at)
            if (speech === undefined) utter(text, at, !tell(text))
            else speech.say(text, at)
          },
          thinking: (piece, when) => {
            const excess = journal.allowance.take(piece)
            if (excess !== undefined) return fail(excess, true)
            const at = when === undefined ? journal.now() : journal.fromClock(when)
            ledger.set('first-piece', at)
            const isNew = beside.thought(piece, at)
            watch.thinking(at, !isNew)
          },
          toolCall: (call, when) => {
            const excess = journal.allowance.take(JSON.stringify(call))
            if (excess !== undefined) return fail(excess, true)
            const at = when === undefined ? journal.now() : journal.fromClock(when)
            ledger.set('first-piece', at)
            const isNew = beside.toolCall(call, at)
            watch.toolCall(at, !isNew)
          },
          load: (load) => {
            transcript.atStart = load
          },
          late: (ns) => {
            transcript.lateNs = ns
          },
        },
      }),
    )
      .catch((error: unknown): CallEnd => ({ end: 'failed', error: summarize(error) }))
      .then((end) => {
        warming.stop()
        inFlight.delete(settled)
        const left = pieces.end()
        if (left !== '') {
          transcript.amend(left)
          if (speech === undefined) tell(left)
          else speech.say(left, journal.now())
        }
        beside.end()
        if (transcript.lastTokenAt !== undefined) ledger.set('last-token', transcript.lastTokenAt)
        ledger.set('settled', journal.now())
        const found = judged(transcript, end)
        transcript.end = found === end ? checkAnswer(readable(end), transcript) : found
        tellValue(journal, transcript)
        finish()
      })
    inFlight.set(settled, (reason) => controller.abort(reason))

    receive((order) => cancel(order.reason))
    return () => {
      watch.stop()
      warming.stop()
      speech?.close()
      if (transcript.end === undefined && !environment.abandoned) cancel('the run has stopped')
    }
  },
)

/** How a call has ended: one that was stopped because it had passed a limit, or because its policy is at fault, has failed. */
const judged = ({ passed, pieces, toolCalls }: Transcript, end: CallEnd): CallEnd =>
  passed !== undefined && (passed.lost || end.end !== 'completed')
    ? { ...end, end: 'failed', error: passed.error, retryable: !passed.lost && pieces + toolCalls.length === 0 }
    : end

/** A worker or a backend may quote what it cut in the middle of a character. */
const readable = (end: CallEnd): CallEnd =>
  end.error === undefined ? end : { ...end, error: { ...end.error, message: wellFormed(end.error.message) } }

/** What is wrong with a call that is about to be sent is the end of that call. */
function sent(send: () => Promise<CallEnd>): Promise<CallEnd> {
  try {
    return send()
  } catch (error) {
    return Promise.reject(error)
  }
}
