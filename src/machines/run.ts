import { enqueueActions, setup } from 'xstate'
import { deadlineLogic } from './deadline.ts'
import { environmentOf } from './environment.ts'
import { interruptMachine } from './interrupt.ts'
import { type RunContext, RunDraft } from './run-draft.ts'
import { type RunEvent, stopAll, takeTurn } from './run-turn.ts'
import { stageMachine } from './stage.ts'

/** The root actor of a run. What it does at each event is in `takeTurn`; here is when, and what state the run is in. */
export const runMachine = setup({
  types: {
    context: {} as RunContext,
    events: {} as RunEvent,
  },
  actors: { stage: stageMachine, interrupt: interruptMachine, deadline: deadlineLogic },
  actions: {
    take: enqueueActions(({ context, event, enqueue, system }, ending?: boolean) => {
      const draft = new RunDraft(context, environmentOf(system))
      if (ending) stopAll(draft)
      else takeTurn(draft, event)
      enqueue.assign(draft.context)
      // A call that is to start goes first: what is cancelled or stopped in the same turn must not delay it.
      const starts = draft.effects.filter((effect) => effect.do === 'enter')
      const others = draft.effects.filter((effect) => effect.do !== 'enter')
      for (const effect of [...starts, ...others]) {
        if (effect.do === 'enter') enqueue.spawnChild('stage', { id: effect.input.entry, input: effect.input })
        else if (effect.do === 'interrupt')
          enqueue.spawnChild('interrupt', { id: effect.input.actor, input: effect.input })
        else if (effect.do === 'wake') enqueue.spawnChild('deadline', { id: effect.actor, input: { at: effect.at } })
        else if (effect.do === 'send') enqueue.sendTo(effect.to, effect.event)
        // A child that has nothing left to do stays in `children` until it is stopped.
        else enqueue.stopChild(effect.actor)
      }
    }),
    close: ({ context, system }) => {
      environmentOf(system).journal.close(context.end!)
    },
  },
  guards: {
    isOver: ({ context }) => context.end !== null,
    isInterrupted: ({ context }) => context.handling !== null,
    isUninterrupted: ({ context }) => context.handling === null,
    isQuietAndCompleted: ({ context }) => context.live.length === 0 && context.end?.outcome === 'completed',
    isQuietAndCancelled: ({ context }) => context.live.length === 0 && context.end?.outcome === 'cancelled',
    isQuiet: ({ context }) => context.live.length === 0,
  },
}).createMachine({
  id: 'run',
  context: { current: null, live: [], handling: null, pending: null, outputs: {}, lastInterrupt: null, end: null },
  initial: 'ready',
  states: {
    // XState computes the first state's actions when the actor is made, before it has its environment.
    ready: { on: { start: { target: 'running', actions: 'take' } } },
    running: {
      initial: 'staging',
      always: { guard: 'isOver', target: 'ending' },
      on: {
        signal: { actions: 'take' },
        cancel: { actions: 'take' },
        deadline: { actions: 'take' },
        'stage.*': { actions: 'take' },
        'interrupt.orders': { actions: 'take' },
      },
      states: {
        staging: { always: { guard: 'isInterrupted', target: 'interrupting' } },
        interrupting: { always: { guard: 'isUninterrupted', target: 'staging' } },
      },
    },
    ending: {
      entry: { type: 'take', params: true },
      always: [
        { guard: 'isQuietAndCompleted', target: 'completed' },
        { guard: 'isQuietAndCancelled', target: 'cancelled' },
        { guard: 'isQuiet', target: 'failed' },
      ],
      on: {
        signal: { actions: 'take' },
        'stage.settled': { actions: 'take' },
      },
    },
    completed: { type: 'final', entry: 'close' },
    cancelled: { type: 'final', entry: 'close' },
    failed: { type: 'final', entry: 'close' },
  },
})
