import { assign, enqueueActions, sendParent, sendTo, setup } from 'xstate'
import type { CallEnd, Settlement } from '../core/call.ts'
import { msToNs, type Nanoseconds } from '../core/clock.ts'
import type { Retry } from '../core/pipeline.ts'
import { type CallNews, type CallOrder, callLogic } from './call.ts'
import { type DeadlineEvent, deadlineLogic } from './deadline.ts'
import { environmentOf, type RunEnvironment } from './environment.ts'
import { type FailedAttempt, mayFallBack, mayTryAgain, pauseMs } from './next-attempt.ts'
import { openNextAttempt } from './open-call.ts'

/** From the run to a stage. `withdraw`: its answer is not wanted any more, whatever it is. */
export type StageOrder = { readonly type: 'cancel'; readonly kind: 'abort' | 'withdraw'; readonly reason: string }

/** From a stage to its run. `entry` is the stage actor's id. */
export type StageNews = { readonly entry: string; readonly callId: string } & (
  | { readonly type: 'stage.firstToken' }
  | { readonly type: 'stage.token'; readonly text: string }
  | { readonly type: 'stage.sentenceEnd' }
  | { readonly type: 'stage.trigger'; readonly trigger: string }
  | { readonly type: 'stage.signal'; readonly input?: string }
  /** The call before failed; this one takes its place. */
  | { readonly type: 'stage.attempt' }
  /** `ordered`: the run had told it to stop. */
  | { readonly type: 'stage.settled'; readonly settlement: Settlement; readonly ordered: boolean }
)

export interface StageInput {
  readonly entry: string
  readonly callId: string
  readonly retry: Retry
  /** Models or nodes still to be turned to, in order. */
  readonly fallback: readonly string[]
}

export interface StageContext extends StageInput {
  readonly cancelKind: 'abort' | 'withdraw' | null
  readonly retryAt: Nanoseconds
  /** Calls of the present target, the running one included. */
  readonly attempts: number
}

type StageEvent = StageOrder | CallNews | DeadlineEvent

/** Writes down how the call ended: the settlement follows from what was asked of it. */
function settle(
  environment: RunEnvironment,
  callId: string,
  end: CallEnd,
  cancelKind: StageContext['cancelKind'],
): Settlement {
  const { journal } = environment
  const transcript = journal.call(callId)
  const settlement: Settlement =
    cancelKind === 'withdraw'
      ? 'withdrawn'
      : end.end === 'failed'
        ? 'failed'
        : end.end === 'cancelled' || transcript.isCut
          ? 'aborted'
          : transcript.interrupted
            ? 'drained'
            : 'completed'
  transcript.settlement = settlement
  if (end.generatedTokens === undefined) {
    const perPiece = environment.estimates.tokensPerPiece(transcript)
    if (perPiece !== undefined) transcript.perPiece = perPiece
  }
  // How long a model takes is learnt from its calls alone.
  if (transcript.request.work === undefined) environment.estimates.observe(transcript)
  journal.tell({
    type: 'stage-settle',
    stage: transcript.request.stage,
    callId,
    settlement,
    ...(end.error !== undefined && { error: end.error }),
  })
  return settlement
}

/** What has failed by this event; undefined where the call was told to stop: an interrupt is never retried. */
const failedBy = ({ cancelKind, attempts }: StageContext, event: StageEvent): FailedAttempt | undefined =>
  event.type === 'call.settled' && cancelKind === null ? { end: event.end, pieces: event.pieces, attempts } : undefined

/** One entry of a stage: its call, and after a fault further attempts, then its fallbacks. */
export const stageMachine = setup({
  types: {
    context: {} as StageContext,
    input: {} as StageInput,
    events: {} as StageEvent,
  },
  actors: { call: callLogic, deadline: deadlineLogic },
  actions: {
    /** Passes what the call tells on to the run, under the names that the run knows it by. */
    forward: sendParent(({ context: { entry, callId }, event }): StageNews => {
      const place = { entry, callId }
      if (event.type === 'call.token') return { type: 'stage.token', ...place, text: event.text }
      if (event.type === 'call.sentenceEnd') return { type: 'stage.sentenceEnd', ...place }
      if (event.type === 'call.trigger') return { type: 'stage.trigger', ...place, trigger: event.trigger }
      if (event.type === 'call.signal') return { ...event, type: 'stage.signal', ...place }
      return { type: 'stage.firstToken', ...place }
    }),
    cancelCall: sendTo('call', ({ event }): CallOrder => ({ type: 'cancel', reason: (event as StageOrder).reason })),
    /** The first order counts: a call that has lost a race is withdrawn, also when the run ends before it has settled. */
    noteCancel: assign({ cancelKind: ({ context, event }) => context.cancelKind ?? (event as StageOrder).kind }),
    settle: enqueueActions(({ context, event, enqueue, system }) => {
      if (event.type !== 'call.settled') return
      const settlement = settle(environmentOf(system), context.callId, event.end, context.cancelKind)
      enqueue.sendParent({
        type: 'stage.settled',
        entry: context.entry,
        callId: context.callId,
        settlement,
        ordered: context.cancelKind !== null,
      })
    }),
    settleWithoutCall: enqueueActions(({ context, enqueue }) => {
      enqueue.sendParent({
        type: 'stage.settled',
        entry: context.entry,
        callId: context.callId,
        settlement: 'aborted',
        ordered: true,
      })
    }),
    failAttempt: enqueueActions(({ context, event, enqueue, system }) => {
      const failed = failedBy(context, event)
      if (failed === undefined) return
      const environment = environmentOf(system)
      settle(environment, context.callId, failed.end, null)
      const pause = pauseMs(failed, context.retry, environment.random)
      enqueue.assign({ retryAt: environment.journal.now() + msToNs(pause) })
    }),
    tryAgain: enqueueActions(({ context, enqueue, system }) => {
      const { callId } = openNextAttempt(environmentOf(system), context.callId).request
      enqueue.assign({ callId, attempts: context.attempts + 1 })
      enqueue.sendParent({ type: 'stage.attempt', entry: context.entry, callId })
    }),
    fallBack: enqueueActions(({ context, event, enqueue, system }) => {
      const failed = failedBy(context, event)
      if (failed === undefined) return
      settle(environmentOf(system), context.callId, failed.end, null)
      const [next, ...fallback] = context.fallback
      const { callId } = openNextAttempt(environmentOf(system), context.callId, next).request
      enqueue.assign({ callId, fallback, attempts: 1 })
      enqueue.sendParent({ type: 'stage.attempt', entry: context.entry, callId })
    }),
  },
  guards: {
    mayTryAgain: ({ context, event }) => {
      const failed = failedBy(context, event)
      return failed !== undefined && mayTryAgain(failed, context.retry)
    },
    mayFallBack: ({ context, event }) => {
      const failed = failedBy(context, event)
      return failed !== undefined && context.fallback.length > 0 && mayFallBack(failed, context.retry)
    },
  },
}).createMachine({
  id: 'stage',
  context: ({ input }) => ({ ...input, cancelKind: null, retryAt: 0, attempts: 1 }),
  initial: 'calling',
  states: {
    calling: {
      invoke: { id: 'call', src: 'call', input: ({ context }) => ({ callId: context.callId }) },
      initial: 'waiting',
      on: {
        'call.trigger': { actions: 'forward' },
        'call.signal': { actions: 'forward' },
        'call.token': { actions: 'forward' },
        'call.sentenceEnd': { actions: 'forward' },
        'call.settled': [
          { guard: 'mayTryAgain', target: 'pausing', actions: 'failAttempt' },
          { guard: 'mayFallBack', target: 'calling', reenter: true, actions: 'fallBack' },
          { target: 'settled', actions: 'settle' },
        ],
        cancel: { target: '.cancelling', actions: ['noteCancel', 'cancelCall'] },
      },
      states: {
        waiting: { on: { 'call.firstToken': { target: 'answering', actions: 'forward' } } },
        answering: {},
        cancelling: { on: { 'call.firstToken': { actions: 'forward' } } },
      },
    },
    pausing: {
      invoke: { id: 'deadline', src: 'deadline', input: ({ context }) => ({ at: context.retryAt }) },
      on: {
        deadline: { target: 'calling', actions: 'tryAgain' },
        cancel: { target: 'settled', actions: ['noteCancel', 'settleWithoutCall'] },
      },
    },
    // Not final: the run stops a settled stage, and hears of it once, by `stage.settled`.
    settled: {},
  },
})
