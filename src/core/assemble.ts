import { activityAt } from './activity.ts'
import { type Arrival, arrivalOf, cameAtOnce } from './arrival.ts'
import type { ServerDurations } from './call.ts'
import { msToNs, type Nanoseconds, NS_PER_MS, nsToMs } from './clock.ts'
import { COUNTING } from './counting.ts'
import type { PlannedSignal } from './engine.ts'
import { exposureOf } from './exposure.ts'
import { withoutPicture } from './image.ts'
import type { InterruptEntry, Journal, RunIdentity } from './journal.ts'
import { interruptPhases, type MarkReader } from './phases.ts'
import { policyName } from './policy.ts'
import { present } from './present.ts'
import type { CallRecord, InterruptRecord, RunRecord } from './record.ts'
import { whyUnused } from './server-report.ts'
import { heardOf, isAnyAcknowledged } from './speaking.ts'
import { hasStood, tokensOf } from './token-counts.ts'
import type { Transcript } from './transcript.ts'

/** The record of a run that has ended, derived from its journal alone. `planned`: signals that were planned and have not come. */
export function assembleRecord(journal: Journal, planned: Iterable<PlannedSignal> = []): RunRecord {
  const end = journal.end
  if (end === undefined) throw new Error(`run ${journal.runId} has not ended`)
  const stages = [...journal.calls.values()].map((call) => callRecord(call, journal))
  const sum = (read: (stage: CallRecord) => number) => stages.reduce((total, stage) => total + read(stage), 0)
  const unusedSignals = [...planned].map((signal) =>
    signal.input === undefined ? signal : { ...signal, input: withoutPicture(signal.input) },
  )
  const slotNs = sum((stage) => Math.round(stage.slotMs * 1e6))
  const wastedNs = sum((stage) => Math.round(stage.wastedSlotMs * 1e6))
  return {
    schema: 'caesura.record/2',
    runId: journal.runId,
    pipeline: journal.pipeline,
    traceId: journal.trace.traceId,
    ...traceOf(journal),
    ...identityOf(journal.run),
    outcome: end.outcome,
    ...(end.error !== undefined && { error: end.error }),
    ...(end.cancelReason !== undefined && { cancelReason: end.cancelReason }),
    ...(end.answerCall !== undefined && { output: answer(journal.call(end.answerCall), end.outcome) }),
    startedAt: new Date(journal.startedUnixMs).toISOString(),
    startedUnixMs: journal.startedUnixMs,
    durationMs: nsToMs(end.at),
    stages,
    visits: journal.visits.map((visit) => ({ ...visit, calls: journal.callsIn(visit) })),
    interrupts: interruptRecords(journal),
    ...(unusedSignals.length > 0 && { unusedSignals }),
    ...(journal.owners.length > 0 && {
      owners: journal.owners.map(({ from, ...owner }) => ({ ...owner, fromMs: nsToMs(from) })),
    }),
    cost: {
      generatedTokens: sum((stage) => stage.tokens.generated),
      wastedTokens: sum((stage) => stage.tokens.wasted),
      slotMs: nsToMs(slotNs),
      wastedSlotMs: nsToMs(wastedNs),
    },
  }
}

/** Who asked for the run, and for what. */
const identityOf = ({ session, tenant, tags, submittedBy, input }: RunIdentity): Partial<RunRecord> =>
  present({
    session,
    tenant,
    tags: tags && { ...tags },
    submittedBy,
    input: input === undefined ? input : withoutPicture(input),
  })

function traceOf(journal: Journal): Partial<RunRecord> {
  const { trace, experiment } = journal.run
  const exposure = exposureOf(journal)
  return {
    ...(trace.parentSpanId !== undefined && { parentSpanId: trace.parentSpanId }),
    ...(trace.state !== undefined && { traceState: trace.state }),
    ...(trace.sampled !== undefined && { sampled: trace.sampled }),
    ...(experiment !== undefined && {
      experiment: {
        ...experiment,
        ...(exposure !== undefined && { exposedMs: nsToMs(exposure.at) }),
        counting: COUNTING,
      },
    }),
  }
}

/** Sentence ends of one call that a record tells. */
const MOST_SENTENCE_ENDS = 32

/** Instants of pieces that a record tells. */
const MOST_PIECE_TIMES = 16

/** What stood of the answer; after a failure or a cancel, what had come. */
const answer = (call: Transcript, outcome: RunRecord['outcome']): string =>
  outcome === 'completed' ? call.keptText : call.text

function callRecord(call: Transcript, journal: Journal): CallRecord {
  const { ledger, end, request } = call
  const at = (ns: Nanoseconds | undefined) => (ns === undefined ? undefined : nsToMs(ns))
  const settledAt = ledger.at('settled') ?? journal.end!.at
  const slotAt = ledger.at('slot-acquired')
  const slotFreeAt = ledger.at('slot-released') ?? settledAt
  const stood = hasStood(call)
  const wastedSince = stood ? slotFreeAt : (call.used.lastAt ?? slotAt)
  const firstPieceMs = at(ledger.at('first-piece'))
  const firstTokenMs = at(ledger.at('first-token'))
  const lastTokenMs = at(ledger.at('last-token'))
  const { totalNs, loadNs, prefillNs, decodeNs } = end?.server ?? {}
  const { arrival, unused } = reportOf(call)
  const sentAt = ledger.at('request-sent')
  // Pieces that never crossed a wire may well be made at once.
  const isBunched = arrival !== undefined && sentAt !== undefined && cameAtOnce(arrival, sentAt, decodeNs)
  const { stop: _, ...options } = request.options
  const policy = journal.run.stages?.find(({ id }) => id === request.stage)?.policy
  const sentenceEnds = call.sentenceEnds(MOST_SENTENCE_ENDS)
  const pieceTimes = call.pieceTimes(MOST_PIECE_TIMES)
  const delivered = journal.log.deliveredText(request.callId).text.length
  const heard = heardOf(journal.calls, call, delivered)
  const heardTokens = isAnyAcknowledged(journal.calls)
    ? tokensOf(call, call.usedUpTo(heard).pieces).delivered
    : undefined
  const spokenMs = at(ledger.at('spoken'))
  const marks = ledger.toArray().map((mark) => ({ name: mark.name, ms: nsToMs(mark.at) }))
  const abortedAt = at(ledger.at('abort-requested'))
  const { name, backend, address, process } = call.place ?? {}
  return {
    id: request.stage,
    callId: request.callId,
    ...(request.visit !== undefined && { visit: request.visit }),
    attempt: request.attempt,
    ...(name !== undefined && { node: name }),
    ...(backend !== undefined && { backend }),
    ...(address !== undefined && { address }),
    kind: request.work?.kind ?? 'model',
    ...(request.work === undefined && { model: request.model }),
    ...(Object.keys(options).length > 0 && { options }),
    ...(policy !== undefined && { policy: policyName(policy) }),
    ...(call.retryOf !== undefined && { retryOf: call.retryOf }),
    ...(process !== undefined && { process }),
    settlement: call.settlement ?? 'aborted',
    ...(end?.error !== undefined && { error: end.error }),
    ...(end?.finishReason !== undefined && { finishReason: end.finishReason }),
    ...(end?.finishSaid !== undefined && { finishSaid: end.finishSaid }),
    ...toolCallsOf(call),
    text: call.text,
    ...(call.thinking !== '' && { thinking: call.thinking }),
    ...(request.format !== undefined && call.value !== undefined && { value: call.value }),
    tokens: { ...tokensOf(call, call.usedUpTo(delivered).pieces), ...present({ heard: heardTokens }) },
    startMs: nsToMs(ledger.at('call-start') ?? 0),
    ...(firstPieceMs !== undefined && { firstPieceMs }),
    ...(firstTokenMs !== undefined && { firstTokenMs }),
    ...(lastTokenMs !== undefined && { lastTokenMs }),
    settledMs: nsToMs(settledAt),
    ...(spokenMs !== undefined && { spokenMs }),
    characters: { generated: call.text.length, delivered, heard },
    slotMs: slotAt === undefined ? 0 : nsToMs(slotFreeAt - slotAt),
    wastedSlotMs: slotAt === undefined ? 0 : nsToMs(Math.max(0, slotFreeAt - Math.max(slotAt, wastedSince ?? slotAt))),
    ...(call.warmed !== undefined && { warmed: call.warmed }),
    marks,
    ...(request.work === undefined && {
      messageLengths: request.messages.map(({ role, content }) => ({ role, characters: content.length })),
      messages: request.messages.map(({ role, content }) => ({ role, content })),
    }),
    ...(pieceTimes.length > 0 && { pieceTimes: pieceTimes.map(nsToMs) }),
    ...(call.atStart !== undefined && { atStart: call.atStart }),
    ...(abortedAt !== undefined && { abortedWhile: activityAt({ marks, ...present({ firstTokenMs }) }, abortedAt) }),
    ...(sentenceEnds.length > 0 && { sentenceEnds: sentenceEnds.map(nsToMs) }),
    ...(isBunched && { arrival: 'bunched' as const }),
    ...(call.lateNs !== undefined && { lateLoopMs: nsToMs(call.lateNs) }),
    ...(end?.server !== undefined && {
      server: {
        ...(totalNs !== undefined && { totalMs: nsToMs(totalNs) }),
        ...(loadNs !== undefined && { loadMs: nsToMs(loadNs) }),
        ...(prefillNs !== undefined && { prefillMs: nsToMs(prefillNs) }),
        ...(decodeNs !== undefined && { decodeMs: nsToMs(decodeNs) }),
        ...(unused !== undefined && { unused }),
      },
    }),
  }
}

/** Those that came whole, then the names of others that the server told of at the end. */
function toolCallsOf({ end, toolCalls }: Transcript): Pick<CallRecord, 'toolCalls'> {
  const all = [...toolCalls, ...(end?.toolCalls ?? []).slice(toolCalls.length)]
  return all.length > 0
    ? { toolCalls: all.map((call) => ({ ...call, ...(call.arguments && { arguments: { ...call.arguments } }) })) }
    : {}
}

/** How the pieces of a call came, and either what its server reported of it or why that is not used. */
function reportOf(call: Transcript): { arrival?: Arrival; server?: ServerDurations; unused?: string } {
  const { ledger, end } = call
  const arrival = arrivalOf(call)
  const server = end?.server
  const seen = arrival === undefined ? {} : { arrival }
  if (server === undefined) return seen
  const [sentAt, doneAt] = [ledger.at('request-sent'), ledger.at('done')]
  const sendFrom = Math.max(
    ...(['call-start', 'slot-acquired', 'connected'] as const).map((name) => ledger.at(name) ?? 0),
  )
  const unused = whyUnused({
    server,
    sendFrom,
    ...(sentAt !== undefined && { sentAt }),
    ...(doneAt !== undefined && { doneAt }),
    ...(end?.generatedTokens !== undefined && { generatedTokens: end.generatedTokens }),
    ...(call.lateNs !== undefined && { lateNs: call.lateNs }),
    ...seen,
  })
  return unused === undefined ? { ...seen, server } : { ...seen, unused }
}

function interruptRecords(journal: Journal): InterruptRecord[] {
  const spokenAt = journal.interrupts.length === 0 ? undefined : journal.log.lastTokens()
  return journal.interrupts.map((entry) => {
    const last = spokenAt!.get(entry.endCall ?? entry.fromCall) ?? 0
    const since = nsToMs(entry.firstSignalAt ?? entry.at)
    const toSilenceMs = entry.hasLeft ? Math.max(0, nsToMs(msToNs(last) - msToNs(since))) : undefined
    return { ...interruptRecord(entry, journal), ...present({ toSilenceMs }) }
  })
}

/**
 * The marks of a stage as interrupts see them. It is over when its call had settled and its text was handed out. What stopped it after its
 * call had ended stopped what was still to be handed out.
 */
const marksOfStage =
  ({ ledger, isCut }: Transcript): MarkReader =>
  (name) => {
    const at = ledger.at(name)
    const spokenAt = ledger.at('spoken')
    if (spokenAt === undefined) return at
    if (name === 'abort-requested') return at ?? (isCut ? spokenAt : undefined)
    return name === 'settled' && at !== undefined ? Math.max(at, spokenAt) : at
  }

function interruptRecord(entry: InterruptEntry, journal: Journal): InterruptRecord {
  const from = journal.call(entry.fromCall)
  const ended = entry.endCall === undefined ? from : journal.call(entry.endCall)
  const to = entry.toCall === undefined ? undefined : journal.call(entry.toCall)
  const firstTry = entry.firstTry === undefined ? undefined : journal.call(entry.firstTry)
  // The cancel reaches the call only once the token that brought the interrupt is dealt with.
  const decidedAt = (entry.cancelsAtOnce ? marksOfStage(from)('abort-requested') : undefined) ?? entry.decidedAt
  const { arrival, server } = to === undefined ? {} : reportOf(to)
  const split =
    to &&
    interruptPhases({
      interruptedAt: entry.at,
      ...(decidedAt !== undefined && { decidedAt }),
      call: marksOfStage(ended),
      ...(firstTry !== undefined && { firstTry: (name) => firstTry.ledger.at(name) }),
      next: (name) => to.ledger.at(name),
      requestBytes: to.request.messages.reduce((sum, { content }) => sum + content.length, 0),
      ...(server !== undefined && { server }),
      ...(arrival !== undefined && { arrival }),
      isOwn: to.request.work !== undefined,
    })
  const { firstSignalAt } = entry
  const waitedNs = firstSignalAt === undefined ? 0 : entry.at - firstSignalAt
  return {
    at: nsToMs(entry.at),
    ...(firstSignalAt !== undefined && { firstSignalAt: nsToMs(firstSignalAt) }),
    from: from.request.stage,
    fromCall: entry.fromCall,
    ...(to !== undefined && { to: to.request.stage, toCall: to.request.callId }),
    trigger: entry.trigger,
    ...(entry.input !== undefined && { input: withoutPicture(entry.input) }),
    response: entry.response,
    decision: entry.decision ?? (entry.superseded ? 'superseded' : 'none'),
    reason: entry.reason ?? (entry.superseded ? 'a newer signal took its place' : 'the run ended first'),
    carry: entry.carry,
    superseded: entry.superseded,
    ...(entry.suppressed && { suppressed: true as const }),
    ...(split !== undefined && { toFirstTokenMs: split.toFirstTokenMs }),
    ...(split !== undefined &&
      firstSignalAt !== undefined && {
        toFirstTokenFromSignalMs: nsToMs(Math.round(split.toFirstTokenMs * NS_PER_MS) + waitedNs),
      }),
    phases: split?.phases ?? [],
  }
}
