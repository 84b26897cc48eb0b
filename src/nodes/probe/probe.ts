import { type Clock, nsToMs, systemClock } from '../../core/clock.ts'
import { CaesuraError, type ErrorSummary, summarize } from '../../core/errors.ts'
import type { Node, ServerInfo } from '../../core/ports.ts'
import { present } from '../../core/present.ts'
import type { ProbeResult } from '../../core/probe.ts'
import { measureDecodeAbort, measurePrefillAbort } from './abort-steps.ts'
import { adviceOf } from './advice.ts'
import { Fillers } from './fillers.ts'
import { type Findings, hiddenBoundMs, hiddenMs, idleMs, noFindings, type Step } from './findings.ts'
import { Line, ProbeStopped } from './line.ts'
import { measureLoadAbort } from './load-abort.ts'
import { judgePrefill } from './prefill-stops.ts'
import { measureQueueAbort } from './queue.ts'
import { Residence } from './residence.ts'
import { medianOf, rounded, spreadOf } from './samples.ts'
import { measureSlots } from './slots.ts'
import { measureDecode, measureFirstToken, measurePrefill } from './speed.ts'

export interface ProbeSettings {
  /** As the server knows it. */
  readonly model: string
  /** Of each measurement; 5 by default. The budget may leave room for fewer. */
  readonly repetitions?: number
  /** The longest time in all, ms; 60,000 by default. */
  readonly budgetMs?: number
  /** Aborted to stop it: what was measured by then is the result. */
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** Hears what is measured now: a few words, and how far it is. */
  tell?(what: string, done: number, of: number): void
}

const REPETITIONS = 5
const BUDGET_MS = 60_000
const SERVER_MS = 5_000

/**
 * Measures what a node does, above all when it is interrupted. Calls its server past our own queue, one call at a time where
 * calls at once are not what is measured; nothing else should use it meanwhile. A fault of the server after the first
 * measurement is a part of the result. Throws what `Backend.server` throws, the fault of the first call, and
 * `CAESURA_E_TIMEOUT_LOAD` when the budget went by before one was answered.
 */
export async function probeNode({ name, backend, slots }: Node, settings: ProbeSettings): Promise<ProbeResult> {
  const { model, repetitions = REPETITIONS, budgetMs = BUDGET_MS, clock = systemClock, tell } = settings
  const signal = settings.signal ?? new AbortController().signal
  const server = await backend.server(AbortSignal.any([signal, AbortSignal.timeout(SERVER_MS)]))
  const measuredAt = new Date(clock.wall()).toISOString()
  const line = new Line({ backend, model, clock, budgetMs, signal })
  const findings = noFindings()
  const fillers = new Fillers(line, findings.tokenInterval)
  const residence = new Residence(backend, model, line)
  const step = (what: string): Step => ({
    line,
    findings,
    fillers,
    residence,
    repetitions,
    tell: (done, of) => tell?.(what, done, of),
  })
  let ending: Pick<ProbeResult, 'stopped' | 'error'> = {}
  try {
    await measure(step, findings)
  } catch (error) {
    ending = endingOf(error, findings, budgetMs)
  } finally {
    await line.close()
    await residence.restore().catch((error: unknown) => {
      findings.notes.push(`The model was unloaded and could not be loaded again: ${summarize(error).message}`)
    })
  }
  const durationMs = rounded(nsToMs(clock.now() - line.startedAt))
  const figures = figuresOf(findings, { node: name, server, model, measuredAt, durationMs }, ending)
  return { ...figures, advice: adviceOf(figures, slots) }
}

/** Aborts come last, those in decode after others: Ollama may lose its slot in one (ollama#17131). Then what takes the model away. */
async function measure(step: (what: string) => Step, findings: Findings): Promise<void> {
  await measureFirstToken(step('time to first token'))
  await measureDecode(step('decode'))
  await measureSlots(step('calls at once'))
  await measurePrefill(step('prefill'))
  await measurePrefillAbort(step('abort in prefill'), laterMs(findings))
  await measureQueueAbort(step('abort in the queue'))
  await measureDecodeAbort(step('abort in decode'))
  await measureLoadAbort(step('abort in the load'))
}

/** What three repetitions of the steps after the aborts in prefill need, ms; the aborts in a load take what is left. */
const laterMs = (findings: Findings): number =>
  3 * (6 * idleMs(findings) + 20 * hiddenMs(findings) + 40 * (medianOf(findings.tokenInterval) ?? 0))

/** Nothing measured is an error, not a result. */
function endingOf(error: unknown, findings: Findings, budgetMs: number): Pick<ProbeResult, 'stopped' | 'error'> {
  const nothing = findings.firstToken.length === 0
  if (error instanceof ProbeStopped) {
    if (nothing && error.why === 'budget')
      throw new CaesuraError('CAESURA_E_TIMEOUT_LOAD', `no call was answered within the budget of ${budgetMs} ms`, {
        hint: 'The model may still be loading: try again, or give more time with --budget.',
      })
    return { stopped: error.why }
  }
  if (nothing || !(error instanceof CaesuraError)) throw error
  const summary: ErrorSummary = summarize(error)
  return { stopped: 'fault', error: summary }
}

type Subject = Pick<ProbeResult, 'node' | 'model' | 'measuredAt' | 'durationMs'> & { readonly server: ServerInfo }

function figuresOf(
  findings: Findings,
  { node, server, model, measuredAt, durationMs }: Subject,
  ending: Pick<ProbeResult, 'stopped' | 'error'>,
): Omit<ProbeResult, 'advice'> {
  const { long, lags, slots, abortedLoad, prefixReuse, witness, wedges } = findings
  const verdict = judgePrefill(findings)
  const firstTokenMs = spreadOf(findings.firstToken)
  const coldFirstTokenMs = spreadOf(findings.coldFirstToken)
  const preparation = medianOf(findings.preparation)
  const interval = medianOf(findings.tokenInterval)
  const prefill = medianOf(findings.prefillRate)
  return {
    schema: 'caesura.probe/1',
    node,
    ...present({ address: server.address }),
    server: { kind: server.kind, ...present({ version: server.version }) },
    model,
    measuredAt,
    durationMs,
    ...present({ firstTokenMs, coldFirstTokenMs }),
    tokensPerSecond: {
      ...(prefill !== undefined && { prefill: rounded(prefill) }),
      ...(interval !== undefined && interval > 0 && { decode: rounded(1000 / interval) }),
    },
    ...(preparation !== undefined && { warmPreparationMs: rounded(preparation) }),
    ...(long !== undefined && {
      longPrompt: { ...present({ tokens: long.tokens }), prefillMs: rounded(long.prefillMs) },
    }),
    slotFreeAfterAbortMs: Object.fromEntries(
      Object.entries(lags).flatMap(([when, sample]) => {
        const spread = spreadOf(sample.map((lag) => Math.max(0, lag)))
        return spread === undefined ? [] : [[when, spread]]
      }),
    ),
    ...present({ witness, prefillStops: verdict?.stops, abortedLoad }),
    ...(wedges > 0 && { wedges }),
    ...(slots !== undefined && { slots: slots.count, ...(slots.bounded && { moreSlots: true as const }) }),
    ...present({ prefixReuse }),
    notes: [
      ...limits(findings),
      ...(verdict === undefined || verdict.stops !== undefined
        ? []
        : [`Whether a prefill can be stopped was not told: ${verdict.why}`]),
      ...findings.notes,
    ],
    ...ending,
  }
}

/** What the figures cannot show. */
function limits(findings: Findings): string[] {
  const { lags, witness, abortedLoad } = findings
  // A call that finds a load under way is faster by nature.
  const differences = [...lags.decode, ...lags.prefill, ...lags.queue, ...(abortedLoad === 'kept' ? [] : lags.load)]
  const clipped = differences.filter((lag) => lag < 0).length
  const hidden = hiddenBoundMs(findings)
  const isKnown = findings.preparation.length > 0
  return [
    ...(clipped > 0
      ? [
          `${clipped} of ${differences.length} calls after an abort were faster than on an idle server; they count as 0.`,
        ]
      : []),
    ...(witness === 'server' ? ['When a slot was free after an abort, the server itself said.'] : []),
    ...(witness === 'call' && hidden >= 1
      ? [
          `A slot that is free within ${isKnown ? '' : 'up to '}${hidden.toFixed(0)} ms of an abort counts as free at once: the call that looks for it ${isKnown ? 'needs as long' : 'may need as long'} to get there.`,
        ]
      : []),
  ]
}
