import type { Nanoseconds } from '../core/clock.ts'
import type { ErrorSummary } from '../core/errors.ts'
import type { Stage } from '../core/pipeline.ts'
import type { BoundaryEvent } from '../core/policy.ts'
import type { RunRecord } from '../core/record.ts'
import type { RunEnvironment } from './environment.ts'
import type { InterruptInput, InterruptNews } from './interrupt.ts'
import type { StageInput, StageOrder } from './stage.ts'
import type { HandedOn } from './work.ts'

/** A stage that the run has entered: the stage actor and its newest call. */
export interface Entry {
  readonly entry: string
  readonly stage: string
  readonly callId: string
}

/** An interrupt whose response still decides. `id` is that of the newest signal. */
export interface Handling {
  readonly actor: string
  readonly id: number
  readonly from: Entry
  /** The next stage's entry, once it was fired. */
  readonly to: Entry | null
}

/** A signal that waits for its debounce to end. Plain JSON. */
export interface PendingSignal {
  readonly at: Nanoseconds
  /** The first signal of its gesture was sent then, where that was before `at`. */
  readonly since?: Nanoseconds
  readonly input?: string
  readonly ticket?: number
  /** As in `InterruptEntry`. */
  readonly own?: string
}

/** The state of a run beside its machine's states. Plain JSON. */
export interface RunContext {
  /** What signals apply to: the stage entered last. */
  readonly current: Entry | null
  /** Entries whose call has not settled. */
  readonly live: readonly Entry[]
  readonly handling: Handling | null
  /** The signal whose debounce is running. */
  readonly pending: PendingSignal | null
  /** What each stage hands on, after carry. */
  readonly outputs: Readonly<Record<string, string>>
  /** Whose answer that is. Absent in what older versions kept. */
  readonly answers?: Readonly<Record<string, HandedOn>>
  /** The newest interrupt, for prompts. `at` in ms. */
  readonly lastInterrupt: { readonly input?: string; readonly at: number } | null
  readonly end: {
    readonly outcome: RunRecord['outcome']
    readonly error?: ErrorSummary
    readonly cancelReason?: string
    readonly answerCall?: string
  } | null
}

/** What a step wants done by the machine, in order. */
export type Effect =
  | { readonly do: 'enter'; readonly input: StageInput }
  | { readonly do: 'interrupt'; readonly input: InterruptInput }
  | { readonly do: 'send'; readonly to: string; readonly event: StageOrder | InterruptNews }
  /** Sends the run a `deadline` at this instant. */
  | { readonly do: 'wake'; readonly actor: string; readonly at: Nanoseconds }
  | { readonly do: 'stop'; readonly actor: string }

/** A run's context while one event is being taken: steps change it and list effects; the machine then adopts both. */
export class RunDraft {
  context: RunContext
  readonly effects: Effect[] = []
  readonly environment: RunEnvironment

  constructor(context: RunContext, environment: RunEnvironment) {
    this.context = context
    this.environment = environment
  }

  update(change: Partial<RunContext>): void {
    this.context = { ...this.context, ...change }
  }

  send(to: string, event: StageOrder | InterruptNews): void {
    this.effects.push({ do: 'send', to, event })
  }

  stop(actor: string): void {
    this.effects.push({ do: 'stop', actor })
  }

  /** Tells the interrupt that is being handled what happened to its call, or to the next one. */
  tellBoundary(entry: string, ofCall?: BoundaryEvent, ofNext?: BoundaryEvent): void {
    const { handling } = this.context
    if (handling === null) return
    const event = entry === handling.from.entry ? ofCall : entry === handling.to?.entry ? ofNext : undefined
    if (event !== undefined) this.send(handling.actor, { type: 'boundary', event })
  }

  /** The run is to end like this, once every call has settled. The first reason stands. */
  end(end: NonNullable<RunContext['end']>): void {
    const answerCall = end.answerCall ?? this.context.current?.callId
    if (this.context.end === null) this.update({ end: { ...end, ...(answerCall !== undefined && { answerCall }) } })
  }

  isLive({ entry }: Entry): boolean {
    return this.context.live.some((live) => live.entry === entry)
  }

  stage(id: string): Stage {
    return this.environment.pipeline.stages.find((stage) => stage.id === id)!
  }

  /** The stage hands this much of a call's answer on; `whole`: all of it, and its value. */
  handOn(stage: string, output: string, from: HandedOn): void {
    const { outputs, answers } = this.context
    this.update({ outputs: { ...outputs, [stage]: output }, answers: { ...answers, [stage]: from } })
  }

  /** The stage after this one in the pipeline. */
  stageAfter(id: string): Stage | undefined {
    const { stages } = this.environment.pipeline
    return stages[stages.findIndex((stage) => stage.id === id) + 1]
  }
}
