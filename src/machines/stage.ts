import { assign, enqueueActions, sendParent, sendTo, setup } from 'xstate'
import type { CallEnd, Settlement } from '../core/call.ts'
import { msToNs, type Nanoseconds } from '../core/clock.ts'
import { type CallNews, type CallOrder, callLogic } from './call.ts'
import { type DeadlineEvent, deadlineLogic } from './deadline.ts'
import { environmentOf, type RunEnvironment } from './environment.ts'
import { openCall } from './open-call.ts'

/** From the run to a stage. `withdraw`: its answer is not wanted any more, whatever it is. */
export type StageOrder = { readonly type: 'cancel'; readonly kind: 'abort' | 'withdraw'; readonly reason: string }

/** From a stage to its run. `entry` is the stage actor's id. */
export type StageNews = { readonly entry: string; readonly callId: string } & (
  | { readonly type: 'stage.firstToken' }
  | { readonly type: 'stage.token'; readonly text: string }
  | { readonly type: 'stage.sentenceEnd' }
  | { readonly type: 'stage.trigger'; readonly trigger: string }
  | { readonly type: 'stage.signal'; readonly input?: string }
  /** The first attempt failed; this is the call that tries again. */
  | { readonly type: 'stage.attempt' }
  /** `ordered`: the run had told it to stop. */
  | { readonly type: 'stage.settled'; readonly settlement: Settlement; readonly ordered: boolean }
)

export interface StageInput {
  readonly entry: string
  readonly callId: string
  readonly attemptsLeft: number
}

export interface StageContext extends StageInput {
  readonly cancelKind: 'abort' | 'withdraw' | null
  readonly retryAt: Nanoseconds
  readonly retries: number
}

/** The pause before the second attempt; it doubles with each further one. */
const RETRY_PAUSE_MS = 200

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
        : end.end === 'cancelled'
          ? 'aborted'
          : transcript.interrupted
            ? 'drained'
            : 'completed'
  transcript.settlement = settlement
  journal.tell({
    type: 'stage-settle',
    stage: transcript.request.stage,
    callId,
    settlement,
    ...(end.error !== undefined && { error: end.error }),
  })
  return settlement
}

/** One entry of a stage: its call, and further attempts after a fault that came before the first token. */
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
    noteCancel: assign({ cancelKind: ({ event }) => (event as StageOrder).kind }),
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
      if (event.type !== 'call.settled') return
      const environment = environmentOf(system)
      settle(environment, context.callId, event.end, null)
      const pause = RETRY_PAUSE_MS * 2 ** context.retries
      enqueue.assign({
        attemptsLeft: context.attemptsLeft - 1,
        retries: context.retries + 1,
        retryAt: environment.journal.now() + msToNs(pause),
      })
    }),
    openNextAttempt: enqueueActions(({ context, enqueue, system }) => {
      const { request } = environmentOf(system).journal.call(context.callId)
      const callId = openCall(environmentOf(system), request).request.callId
      enqueue.assign({ callId })
      enqueue.sendParent({ type: 'stage.attempt', entry: context.entry, callId })
    }),
  },
  guards: {
    mayTryAgain: ({ context, event }) =>
      event.type === 'call.settled' &&
      event.end.end === 'failed' &&
      event.end.retryable === true &&
      context.cancelKind === null &&
      event.pieces === 0 &&
      context.attemptsLeft > 1,
  },
}).createMachine({
  id: 'stage',
  context: ({ input }) => ({ ...input, cancelKind: null, retryAt: 0, retries: 0 }),
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
        deadline: { target: 'calling', actions: 'openNextAttempt' },
        cancel: { target: 'settled', actions: ['noteCancel', 'settleWithoutCall'] },
      },
    },
    // Not final: the run stops a settled stage, and hears of it once, by `stage.settled`.
    settled: {},
  },
})
