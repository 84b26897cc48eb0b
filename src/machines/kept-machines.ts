import type { Actor, AnyActorRef, Snapshot } from 'xstate'
import { z } from 'zod'
import type { Nanoseconds } from '../core/clock.ts'
import type { InterruptContext } from './interrupt.ts'
import type { runMachine } from './run.ts'
import type { RunContext } from './run-draft.ts'
import type { StageContext } from './stage.ts'

const endPlaces = ['completed', 'cancelled', 'failed'] as const
const runPlaces = ['ready', 'running', 'ending', ...endPlaces] as const
const stagePlaces = ['waiting', 'answering', 'cancelling', 'pausing', 'settled'] as const
const interruptPlaces = ['waiting', 'timed', 'resolved'] as const

interface Kept<Place, Context> {
  readonly at: Place
  readonly context: Context
}

/**
 * The state of a run's machines, to be kept with its journal: plain JSON of ours, from which the machines are built again. It says where each
 * machine is and what it knows. What follows from that (the calls of stages, the deadlines of interrupts, how XState keeps an actor) is not in it.
 */
export interface KeptMachines {
  readonly run: Kept<(typeof runPlaces)[number], RunContext>
  /** The stages that were entered and not left, by their entry. */
  readonly stages: Readonly<Record<string, Kept<(typeof stagePlaces)[number], StageContext>>>
  /** The interrupts that are being handled, by their actor. */
  readonly interrupts: Readonly<Record<string, Kept<(typeof interruptPlaces)[number], InterruptContext>>>
  /** When the run is to be woken, by the actor that does so. */
  readonly wakes: Readonly<Record<string, Nanoseconds>>
}

const kept = <P extends readonly [string, ...string[]]>(places: P, context: z.ZodRawShape) =>
  z.strictObject({ at: z.enum(places), context: z.looseObject(context) })

/** What is read of the state where it was kept elsewhere: the shape, and what its machines cannot do without. */
export const keptMachinesSchema = z.strictObject({
  run: kept(runPlaces, {
    live: z.array(z.looseObject({ entry: z.string(), stage: z.string(), callId: z.string() })),
    outputs: z.record(z.string(), z.string()),
  }),
  stages: z.record(
    z.string(),
    kept(stagePlaces, {
      callId: z.string(),
      retry: z.looseObject({ attempts: z.number() }),
      fallback: z.array(z.string()),
      retryAt: z.number(),
    }),
  ),
  interrupts: z.record(
    z.string(),
    kept(interruptPlaces, {
      callId: z.string(),
      response: z.looseObject({ name: z.string() }),
      deadlineAt: z.number().nullable(),
    }),
  ),
  wakes: z.record(z.string(), z.number()),
})

/** What of an actor this needs, as it lives and as XState keeps it. */
interface ActorView {
  readonly src: unknown
  readonly value?: unknown
  readonly context?: unknown
  readonly input?: unknown
}

/** The state of a live run. */
export function machinesOf(actor: Actor<typeof runMachine>): KeptMachines {
  const { value, context, children } = actor.getSnapshot()
  const views = Object.entries(children as Readonly<Record<string, AnyActorRef | undefined>>).flatMap(
    ([id, child]): [string, ActorView][] =>
      child === undefined ? [] : [[id, { src: child.src, ...(child.getSnapshot() as object) }]],
  )
  return keptOf({ src: 'run', value, context }, views)
}

/** What XState had kept of a run (`getPersistedSnapshot`), as version 2 of the fleet wrote it. Undefined where it is none. */
export function machinesOfSnapshot(snapshot: unknown): KeptMachines | undefined {
  const { value, context, children } = Object(snapshot) as Record<string, unknown>
  if (value === undefined || Object(context) !== context || Object(children) !== children) return undefined
  const views = Object.entries(children as Record<string, { snapshot?: object; src?: unknown }>).map(
    ([id, child]): [string, ActorView] => [id, { src: child.src, ...child.snapshot }],
  )
  return keptOf({ src: 'run', value, context }, views)
}

/** The innermost of nested states, such as `answering` of `{ calling: 'answering' }`. */
const innermost = (value: unknown): string =>
  typeof value === 'object' && value !== null ? innermost(Object.values(value)[0]) : String(value)
const outermost = (value: unknown): string =>
  typeof value === 'object' && value !== null ? String(Object.keys(value)[0]) : String(value)

function keptOf(run: ActorView, children: readonly (readonly [string, ActorView])[]): KeptMachines {
  const of = <K>(src: string, keep: (view: ActorView) => K): Record<string, K> =>
    Object.fromEntries(children.flatMap(([id, view]) => (view.src === src ? [[id, keep(view)]] : [])))
  const place = ({ value, context }: ActorView) => ({ at: innermost(value), context })
  return {
    run: { at: outermost(run.value), context: run.context },
    stages: of('stage', place),
    interrupts: of('interrupt', place),
    wakes: of('deadline', ({ input }) => (input as { readonly at: Nanoseconds }).at),
  } as KeptMachines
}

/** An actor as XState keeps it. */
const child = (src: string, snapshot: object) => ({
  src,
  syncSnapshot: false,
  snapshot: { status: 'active', ...snapshot },
})
const machine = (value: unknown, context: object, children: object = {}) => ({
  ...{ value, historyValue: {}, context, children },
})

/** What XState builds a run's machines from. The only place that knows how XState keeps them. */
export function snapshotOf({ run, stages, interrupts, wakes }: KeptMachines): Snapshot<unknown> {
  const { handling } = run.context
  const value = run.at === 'running' ? { running: handling === null ? 'staging' : 'interrupting' } : run.at
  const children = {
    ...mapped(stages, ({ at, context }) => child('stage', stageOf(at, context))),
    ...mapped(interrupts, ({ at, context }) => child('interrupt', interruptOf(at, context))),
    ...mapped(wakes, (at) => child('deadline', { input: { at } })),
  }
  const status = endPlaces.some((end) => end === run.at) ? ('done' as const) : ('active' as const)
  return { status, output: undefined, error: undefined, ...machine(value, run.context, children) }
}

const mapped = <K, R>(of: Readonly<Record<string, K>>, build: (kept: K) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(of).map(([id, kept]) => [id, build(kept)]))

/** The call, or the pause before the next one, is invoked by the state that it belongs to. */
function stageOf(at: (typeof stagePlaces)[number], context: StageContext): object {
  if (at === 'settled') return machine(at, context)
  if (at === 'pausing') return machine(at, context, { deadline: child('deadline', { input: { at: context.retryAt } }) })
  return machine({ calling: at }, context, { call: child('call', { input: { callId: context.callId } }) })
}

const interruptOf = (at: (typeof interruptPlaces)[number], context: InterruptContext): object =>
  machine(
    at,
    context,
    at === 'timed' ? { deadline: child('deadline', { input: { at: context.deadlineAt ?? 0 } }) } : {},
  )
