import type { CallRecord, InterruptRecord, Phase, RunRecord } from '../core/record.ts'
import { counted, listed, milliseconds, share } from '../pages/figures.ts'
import type { ClockError } from '../records/explaining/clock-errors.ts'

/** What was going on in a phase, as the end of `87 ms …`. */
function doing({ name, candidates }: Phase, { from, to }: InterruptRecord): string {
  const words: Record<Phase['name'], string> = {
    decide: 'deciding',
    drain: `waiting for ${from} to drain`,
    settle: `waiting for ${from} to be cancelled`,
    retry: 'in attempts that failed, and pauses after them',
    slot: 'waiting for a free slot',
    queue: 'waiting for a worker',
    connect: 'connecting',
    send: 'sending the request',
    'server-queue': 'queued at the server',
    load: 'loading the model',
    prefill: `prefill${to === undefined ? '' : ` of ${to}`}`,
    'first-token': 'sampling the first token',
    transport: 'transport',
    thinking: to === undefined ? 'thinking' : `thinking of ${to} before its first text`,
    tool: 'waiting for a tool',
    gate: 'waiting for a gate to open',
    unattributed: unattributedInWords(candidates),
  }
  return words[name]
}

/** As the end of `87 ms …`: what it could be, where that is known. */
export const unattributedInWords = (candidates: Phase['candidates']): string =>
  candidates === undefined || candidates.length === 0
    ? 'that no observation explains (unattributed)'
    : `unattributed: ${listed(candidates, 'or')}, and no observation tells which`

/** Phases shorter than this share are summed up. */
const SMALL = 0.01

/** Where the time between an interrupt and the next first token went, longest first; what came instead where there was none. */
export function interruptInWords(interrupt: InterruptRecord): string {
  const { phases, toFirstTokenMs: total, to } = interrupt
  if (interrupt.suppressed) return `The signal was refused: ${interrupt.reason}.`
  if (interrupt.superseded) return 'A newer interrupt took its place before the next stage began.'
  if (total === undefined)
    return to === undefined ? 'The run ended with it; no further stage began.' : `No first token of ${to} was seen.`
  const large = phases.filter((phase) => phase.ms > total * SMALL || phase.name === 'unattributed')
  const named = large
    .filter((phase) => phase.ms > 0)
    .sort((a, b) => b.ms - a.ms)
    .map(
      (phase) =>
        `${milliseconds(phase.ms)} ${doing(phase, interrupt)}${phase.source === 'inferred' ? ' (inferred)' : ''}`,
    )
  const rest = phases.filter((phase) => !large.includes(phase) && phase.ms > 0)
  if (rest.length > 0) {
    const ms = rest.reduce((sum, phase) => sum + phase.ms, 0)
    named.push(`${milliseconds(ms)} for the rest (${listed(rest.map((phase) => phase.name))})`)
  }
  const head = `${milliseconds(total)} from the interrupt to the first token${to === undefined ? '' : ` of ${to}`}`
  const sentences = [waitInWords(interrupt), silenceInWords(interrupt)].join('')
  return (named.length === 0 ? `${head}.` : `${head}: ${named.join(', ')}.`) + sentences
}

/** How long the old answer went on, where its reader was still handed some of it. */
const silenceInWords = ({ from, toSilenceMs = 0 }: InterruptRecord): string =>
  toSilenceMs < SAME_WAIT_MS ? '' : ` The reader was handed text of ${from} for ${milliseconds(toSilenceMs)} more.`

/** Waits that differ by less from the signal and from the interrupt are one, ms. */
export const SAME_WAIT_MS = 1

/** How long whoever sent the signal waited, where that is longer: as a sentence behind others, or nothing. */
function waitInWords({ firstSignalAt, at, toFirstTokenFromSignalMs }: InterruptRecord): string {
  if (firstSignalAt === undefined || toFirstTokenFromSignalMs === undefined) return ''
  if (at - firstSignalAt < SAME_WAIT_MS) return ''
  return ` Whoever sent the first signal waited ${milliseconds(toFirstTokenFromSignalMs)}: it came ${milliseconds(at - firstSignalAt)} before the interrupt.`
}

/** A busy machine is this late all the time, ms: it is in the record, and worth no line. */
const LATE_MS = 50

/** What is to be known of how the answers came, and of what their servers said: a sentence each. */
export const callsInWords = ({ stages }: Pick<RunRecord, 'stages'>): string[] =>
  stages.flatMap((call) => [...fallbackInWords(call, stages), ...callInWords(call)])

/** A call that another model took over, and why. */
function fallbackInWords({ id, model, retryOf }: CallRecord, stages: readonly CallRecord[]): string[] {
  const before = retryOf === undefined ? undefined : stages.find(({ callId }) => callId === retryOf)
  if (before?.error === undefined || before.model === model) return []
  return [`${id} fell back from ${before.model} to ${model}. ${faultInWords(before.error)}`]
}

function callInWords({ id, arrival, lateLoopMs, server, firstPieceMs, firstTokenMs }: CallRecord): string[] {
  const firstMs = firstPieceMs ?? firstTokenMs
  const by = firstMs === undefined ? '' : ` at ${milliseconds(firstMs)}`
  return [
    ...(arrival === 'bunched'
      ? [
          `The answer of ${id} came all at once${by}: something between here and the model holds it back, such as a proxy that buffers.`,
        ]
      : []),
    ...(lateLoopMs === undefined || lateLoopMs < LATE_MS
      ? []
      : [
          `The process that made the call of ${id} was busy: it read a part of the answer up to ${milliseconds(lateLoopMs)} late.`,
        ]),
    ...(server?.unused === undefined
      ? []
      : [`The durations that the server of ${id} reported are not used: ${server.unused}.`]),
  ]
}

/** What a run cost, and what of it was for nothing. */
export function costInWords({ cost, stages }: RunRecord): string {
  const { generatedTokens, wastedTokens, slotMs, wastedSlotMs } = cost
  if (generatedTokens === 0 && slotMs === 0) return 'No slot was used and no token generated.'
  const thought = stages.reduce((sum, { tokens }) => sum + (tokens.thinking ?? 0), 0)
  const ofThem = thought === 0 ? '' : ` (${thought} of thinking)`
  const used = `${counted(generatedTokens, 'token')}${ofThem} in ${milliseconds(slotMs)} of slot time`
  if (wastedTokens === 0 && wastedSlotMs === 0) return `${used}; nothing was wasted.`
  return `${used}; wasted: ${counted(wastedTokens, 'token')} and ${milliseconds(wastedSlotMs)} of slot time (${share(wastedSlotMs, slotMs)}).`
}

/** A fault of a run, with what was received where that is kept. */
export const faultInWords = ({ code, message, received }: NonNullable<RunRecord['error']>): string =>
  `${code}: ${message}${received === undefined ? '' : ` (received: ${received})`}`

/** How far off the instants of one process may be. */
export const clockInWords = ({ stage, process, errorMs }: ClockError): string =>
  `Instants of ${process}${stage === undefined ? '' : `, which made the call of ${stage},`} may be off by ${milliseconds(errorMs)}.`
