import { createActor, type Subscription } from 'xstate'
import { assembleRecord } from '../core/assemble.ts'
import { endedAnswer, endedHearing, type RunHandle, type SignalAnswer } from '../core/engine.ts'
import { CallCancelled, summarize } from '../core/errors.ts'
import type { Journal } from '../core/journal.ts'
import { present } from '../core/present.ts'
import type { RunRecord } from '../core/record.ts'
import type { Acknowledgement, AcknowledgementAnswer } from '../core/speaking.ts'
import { wellFormed } from '../core/well-formed.ts'
import { bindEnvironment, type RunEnvironment } from './environment.ts'
import { hear, type ReaderPlace } from './hearing.ts'
import { type KeptMachines, machinesOf, snapshotOf } from './kept-machines.ts'
import { planRunSignals } from './planned-signals.ts'
import { runMachine } from './run.ts'
import type { PendingSignal } from './run-draft.ts'
import { keepTurns } from './turns-of-run.ts'

export interface HostedRun extends RunHandle {
  /** The state of its machines now. */
  persist(): KeptMachines
  /**
   * A signal that somebody waits to hear of under this ticket (`RunEnvironment.tickets`). `since`: when it was sent, ns from the run's
   * start, where that was before now.
   */
  signal(ticket: number, signal: Pick<PendingSignal, 'input' | 'since' | 'own'>): void
  /** A signal that is an input of the session: `own` is the run that it becomes where no visit of this one sees it. Resolves as `interrupt`. */
  say(input: string, own: string): Promise<SignalAnswer>
  /** Takes an acknowledgement of a reader in another process: what it was handed may not be known here yet. */
  hear(acknowledgement: Acknowledgement): AcknowledgementAnswer
  /** Calls back whenever the run's machine has taken a step. */
  onStep(listener: () => void): void
  /** Leaves the run to another owner: nothing is sent to it any more, and its calls are not cancelled by us. */
  abandon(): void
}

function tellStart(journal: Journal): void {
  const { pipeline, trace, run } = journal
  const { name, arm } = run.experiment ?? {}
  journal.tell({
    type: 'run-start',
    pipeline,
    traceId: trace.traceId,
    ...(name !== undefined && arm !== undefined && { experiment: { name, arm } }),
  })
}

/**
 * Starts a run, one root actor, or goes on with one of which the state was kept. `cancelSignal` cancels it when aborted.
 * The input and the variables are made well-formed Unicode: this is where those of a library's caller, the command line and the API
 * come together. Going on, calls that had not settled are executed again with the same id: the executor attaches to them, or starts them anew.
 */
export function startRun(given: RunEnvironment, cancelSignal?: AbortSignal, kept?: KeptMachines): HostedRun {
  const vars = Object.fromEntries(Object.entries(given.vars).map(([name, text]) => [name, wellFormed(text)]))
  const environment = { ...given, input: wellFormed(given.input), vars }
  const { journal } = environment
  const actor = createActor(runMachine, kept === undefined ? {} : { snapshot: snapshotOf(kept) })
  bindEnvironment(actor.system, environment)
  let tickets = 0
  let subscription: Subscription | undefined
  let withdrawPlanned: () => void = () => undefined

  const result = new Promise<RunRecord>((resolve) => {
    const finish = () => {
      withdrawPlanned()
      cancelSignal?.removeEventListener('abort', cancelBySignal)
      // Who still waits to hear of a signal hears that the run ended before it was decided.
      for (const { answer } of journal.interrupts) answer?.(endedAnswer)
      for (const answer of environment.tickets.values()) answer(endedAnswer)
      environment.tickets.clear()
      keepTurns(environment)
      resolve(assembleRecord(journal, environment.planned))
    }
    subscription = actor.subscribe({
      complete: finish,
      // XState stops a machine whose action threw, but not its children (xstate#5153): end every call, then the run.
      error: async (error) => {
        const { inFlight } = environment
        for (const stop of inFlight.values()) stop(new CallCancelled('the run broke'))
        await Promise.allSettled(inFlight.keys())
        if (journal.end === undefined) journal.close({ outcome: 'failed', error: summarize(error) })
        finish()
      },
    })
  })
  const cancel = (reason = 'cancelled') => actor.send({ type: 'cancel', reason })
  const cancelBySignal = () =>
    cancel(String(cancelSignal?.reason instanceof Error ? cancelSignal.reason.message : cancelSignal?.reason))

  const hearNow = (acknowledgement: Acknowledgement, place: ReaderPlace) => {
    if (journal.end === undefined) return hear(environment, acknowledgement, place)
    // The record is written. The session still learns what was heard of its last answer.
    if (!environment.conversation?.isNewest?.()) return endedHearing
    const answer = hear(environment, acknowledgement, place)
    keepTurns(environment)
    return answer
  }
  const send = ({ input, own }: Pick<PendingSignal, 'input' | 'own'>): Promise<SignalAnswer> => {
    if (journal.end !== undefined) return Promise.resolve(endedAnswer)
    return new Promise((resolve) => {
      const ticket = ++tickets
      environment.tickets.set(ticket, resolve)
      actor.send({ type: 'signal', ticket, ...present({ input, own }) })
    })
  }

  if (kept === undefined) tellStart(journal)
  actor.start()
  if (kept === undefined) actor.send({ type: 'start' })
  withdrawPlanned = planRunSignals(environment, (input) => actor.send({ type: 'signal', ...input }))
  if (cancelSignal?.aborted) cancelBySignal()
  else cancelSignal?.addEventListener('abort', cancelBySignal, { once: true })

  return {
    runId: journal.runId,
    traceId: journal.trace.traceId,
    events: { [Symbol.asyncIterator]: () => journal.log.after(0) },
    eventsAfter: (seq) => journal.log.after(seq),
    heard: async (acknowledgement) => hearNow(acknowledgement, 'here'),
    hear: (acknowledgement) => hearNow(acknowledgement, 'elsewhere'),
    interrupt: ({ heard, ...signal } = {}) => {
      if (heard !== undefined) hearNow(heard, 'here')
      return send(signal)
    },
    say: (input, own) => send({ input, own }),
    cancel: (reason) => {
      if (journal.end === undefined) cancel(reason)
    },
    signal: (ticket, signal) => actor.send({ type: 'signal', ticket, ...signal }),
    onStep: (listener) => void actor.subscribe({ next: listener, error: () => undefined }),
    persist: () => machinesOf(actor),
    abandon: () => {
      withdrawPlanned()
      environment.abandoned = true
      subscription?.unsubscribe()
      actor.stop()
    },
    result,
  }
}
