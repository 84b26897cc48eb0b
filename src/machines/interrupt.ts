import { enqueueActions, sendParent, setup } from 'xstate'
import { msToNs, type Nanoseconds, nsToMs } from '../core/clock.ts'
import { type ErrorSummary, summarize } from '../core/errors.ts'
import type { BoundaryEvent, BoundaryView, Command, Factor, ResponseDefinition } from '../core/policy.ts'
import { checkDeadlines, commandsOf } from '../core/policy-calls.ts'
import { completeSentences } from '../core/sentence.ts'
import { type Speaking, withSpeech } from '../core/speaking.ts'
import type { Transcript } from '../core/transcript.ts'
import { type DeadlineEvent, deadlineLogic } from './deadline.ts'
import { environmentOf, keptOf, type RunEnvironment, responseOf } from './environment.ts'

/** What an interrupt orders from its run. */
export type InterruptOrder =
  | {
      readonly type: 'command'
      readonly command: 'cancelCall' | 'fireNext' | 'withdrawNext' | 'pauseDelivery' | 'releaseDelivery'
    }
  | { readonly type: 'decided'; readonly decision: string; readonly reason: string }
  /** The first orders were given: the time to decide is over. */
  | { readonly type: 'ordered' }
  /** The policy is at fault: the run cannot go on. */
  | { readonly type: 'fault'; readonly error: ErrorSummary }
  /** Nothing of this interrupt is left to do. */
  | { readonly type: 'resolved' }

/** All that an interrupt orders at one event, in order, so that the run carries it out in one turn. `actor` is its id. */
export interface InterruptOrders {
  readonly type: 'interrupt.orders'
  readonly actor: string
  readonly orders: readonly InterruptOrder[]
}

/** What the run tells an interrupt. */
export type InterruptNews =
  | { readonly type: 'boundary'; readonly event: BoundaryEvent }
  /** The next stage's call, once there is one; null when it was withdrawn. */
  | { readonly type: 'next'; readonly callId: string | null }
  /** The interrupted call failed; this one has taken its place. */
  | { readonly type: 'attempt'; readonly callId: string }

export interface InterruptInput {
  readonly actor: string
  readonly callId: string
  readonly response: Factor
  readonly carry: string
  readonly at: Nanoseconds
}

export interface InterruptContext extends InterruptInput {
  readonly nextCallId: string | null
  /** The call was told to stop. */
  readonly cancelled: boolean
  /** The call has settled, whatever the way. */
  readonly settled: boolean
  readonly fired: boolean
  /** The next stage is to be fired when the call settles. */
  readonly fireDue: boolean
  /** The call goes on as if nothing had been: a false interrupt. */
  readonly released: boolean
  readonly decided: boolean
  readonly deadlineAt: Nanoseconds | null
  /** How many have come. Absent in what older versions kept. */
  readonly deadlines?: number
}

type InterruptEvent = InterruptNews | DeadlineEvent

function viewOf(environment: RunEnvironment, context: InterruptContext): BoundaryView {
  const { journal, estimates } = environment
  const now = journal.now()
  const call = journal.call(context.callId)
  const next = context.nextCallId === null ? undefined : journal.call(context.nextCallId)
  const firstTokenAt = call.ledger.at('first-token')
  const nextFirstTokenAt = next?.ledger.at('first-token')
  return {
    now,
    interruptedAt: context.at,
    carry: context.carry,
    call: {
      startedAt: call.ledger.at('call-start') ?? context.at,
      ...(firstTokenAt !== undefined && { firstTokenAt }),
      tokens: call.pieces,
      settled: context.settled,
      complete: call.end?.end === 'completed' && !call.isCut,
      // Computed when a response asks: most never do.
      get inSentence() {
        const text = call.spokenText
        return completeSentences(text) < text.trimEnd().length
      },
      get wastedMs() {
        const slotAt = call.ledger.at('slot-acquired')
        if (slotAt === undefined) return 0
        const heldUntil = call.ledger.at('slot-released') ?? now
        return nsToMs(
          Math.max(0, heldUntil - (call.usedUpTo(keptOf(environment, call, context.carry).length).lastAt ?? slotAt)),
        )
      },
    },
    get expected() {
      return withSpeech(estimates.expect(call, now), call, speakingOf(environment, call))
    },
    next: { fired: context.fired, ...(nextFirstTokenAt !== undefined && { firstTokenAt: nextFirstTokenAt }) },
  }
}

/** What the response orders at an event. A newer signal restarts a next stage that was fired with the older input. */
function react(
  response: ResponseDefinition,
  event: BoundaryEvent,
  view: BoundaryView,
  parameter: unknown,
): readonly Command[] {
  const reaction = response.on?.[event.type] as
    | ((view: BoundaryView, parameter: unknown, event: BoundaryEvent) => readonly Command[])
    | undefined
  if (reaction !== undefined) return reaction(view, parameter, event)
  return event.type === 'superseded' && view.next.fired ? [{ type: 'withdrawNext' }, { type: 'fireNext' }] : []
}

const speakingOf = ({ pipeline }: RunEnvironment, { request }: Transcript): Speaking | undefined =>
  pipeline.stages.find(({ id }) => id === request.stage)?.speaking

type Draft = { -readonly [K in keyof InterruptContext]: InterruptContext[K] }

/** The orders that `decide` comes to; where the policy is at fault, the one that says so. */
function orderedBy(decide: () => InterruptOrder[]): InterruptOrder[] {
  try {
    return decide()
  } catch (error) {
    return [{ type: 'fault', error: summarize(error) }]
  }
}

/** Carries commands out: changes the draft, and lists what is to be sent to the run, in order. */
function carryOut(
  draft: Draft,
  commands: readonly Command[],
  response: ResponseDefinition,
  now: Nanoseconds,
): InterruptOrder[] {
  const orders: InterruptOrder[] = []
  const order = (command: Extract<InterruptOrder, { type: 'command' }>['command']) =>
    orders.push({ type: 'command', command })
  const fire = () => {
    if (draft.fired) return
    draft.fired = true
    draft.fireDue = false
    order('fireNext')
  }
  let spoken: { decision: string; reason: string } | undefined
  for (const command of commands) {
    switch (command.type) {
      case 'cancelCall':
        if (!draft.cancelled && !draft.settled) order('cancelCall')
        draft.cancelled = true
        break
      case 'fireNext':
        fire()
        break
      case 'fireWhenSettled':
        if (draft.settled) fire()
        else draft.fireDue = true
        break
      case 'withdrawNext':
        if (draft.fired) order('withdrawNext')
        draft.fired = false
        break
      case 'pauseDelivery':
        order('pauseDelivery')
        break
      case 'releaseDelivery':
        // What was held when the call was told to stop is never told.
        if (draft.cancelled) break
        order('releaseDelivery')
        draft.released = !draft.fired && !draft.fireDue
        break
      case 'setDeadline':
        draft.deadlineAt = now + msToNs(command.ms)
        break
      case 'decide':
        spoken = command
        break
    }
  }
  const clear = draft.cancelled || draft.fired || draft.fireDue || draft.released
  // Decided once: a deadline that comes after it, or one more signal, decides nothing anew.
  if (!draft.decided && (spoken !== undefined || clear)) {
    draft.decided = true
    const said = spoken ?? { decision: draft.released ? 'resume' : response.name, reason: response.summary }
    orders.unshift({ type: 'decided', decision: said.decision, reason: said.reason })
  }
  return orders
}

/** The fate of both calls is decided: nothing that happens later would change what this interrupt does. */
const isResolved = (context: InterruptContext): boolean =>
  context.released || (context.fired && (context.cancelled || context.settled))

/** What goes to the run after an event. An interrupt that is resolved by it says so in the same breath. */
function send(context: InterruptContext, orders: readonly InterruptOrder[]): InterruptOrders {
  const last: InterruptOrder[] = isResolved(context) ? [{ type: 'resolved' }] : []
  return { type: 'interrupt.orders', actor: context.actor, orders: [...orders, ...last] }
}

/** One interrupt that is being handled: it interprets the commands of the policy's response. */
export const interruptMachine = setup({
  types: {
    context: {} as InterruptContext,
    input: {} as InterruptInput,
    events: {} as InterruptEvent,
  },
  actors: { deadline: deadlineLogic },
  actions: {
    start: enqueueActions(({ context, enqueue, system }) => {
      const environment = environmentOf(system)
      const response = responseOf(environment, context.response.name)
      const view = viewOf(environment, context)
      const draft: Draft = { ...context }
      const orders = orderedBy(() => {
        const commands = commandsOf(response, () => response.start(view, context.response.parameter))
        return carryOut(draft, commands, response, view.now)
      })
      enqueue.assign(draft)
      enqueue(sendParent(send(draft, [...orders, { type: 'ordered' }])))
    }),
    react: enqueueActions(({ context, event, enqueue, system }) => {
      const environment = environmentOf(system)
      const response = responseOf(environment, context.response.name)
      const draft: Draft = { ...context }
      const boundary: BoundaryEvent = event.type === 'boundary' ? event.event : { type: 'deadline' }
      if (boundary.type === 'callSettled') draft.settled = true
      if (boundary.type === 'deadline') {
        draft.deadlineAt = null
        draft.deadlines = (draft.deadlines ?? 0) + 1
      }
      const view = viewOf(environment, draft)
      const orders = orderedBy(() => {
        checkDeadlines(response, draft.deadlines ?? 0)
        const commands = commandsOf(response, () => react(response, boundary, view, context.response.parameter))
        const ordered = carryOut(draft, commands, response, view.now)
        // A settled call that nothing waits for any more: whatever the response forgot, the run goes on.
        if (draft.settled && !draft.fired && !draft.released && (draft.fireDue || draft.deadlineAt === null))
          ordered.push(...carryOut(draft, [{ type: 'fireNext' }], response, view.now))
        return ordered
      })
      enqueue.assign(draft)
      const told = send(draft, orders)
      if (told.orders.length > 0) enqueue(sendParent(told))
    }),
    noteCall: enqueueActions(({ event, enqueue }) => {
      if (event.type === 'next') enqueue.assign({ nextCallId: event.callId })
      if (event.type === 'attempt') enqueue.assign({ callId: event.callId })
    }),
  },
  guards: {
    isResolved: ({ context }) => isResolved(context),
    hasDeadline: ({ context }) => context.deadlineAt !== null,
  },
}).createMachine({
  id: 'interrupt',
  context: ({ input }) => ({
    ...input,
    nextCallId: null,
    cancelled: false,
    settled: false,
    fired: false,
    fireDue: false,
    released: false,
    decided: false,
    deadlineAt: null,
  }),
  initial: 'deciding',
  on: { next: { actions: 'noteCall' }, attempt: { actions: 'noteCall' } },
  states: {
    deciding: {
      entry: 'start',
      always: [
        { guard: 'isResolved', target: 'resolved' },
        { guard: 'hasDeadline', target: 'timed' },
        { target: 'waiting' },
      ],
    },
    waiting: {
      on: { boundary: { target: 'judging', actions: 'react' } },
    },
    timed: {
      invoke: { id: 'deadline', src: 'deadline', input: ({ context }) => ({ at: context.deadlineAt ?? 0 }) },
      on: {
        boundary: { target: 'judging', actions: 'react' },
        deadline: { target: 'judging', actions: 'react' },
      },
    },
    judging: {
      always: [
        { guard: 'isResolved', target: 'resolved' },
        { guard: 'hasDeadline', target: 'timed' },
        { target: 'waiting' },
      ],
    },
    // Not final: the run stops a resolved interrupt.
    resolved: {},
  },
})
