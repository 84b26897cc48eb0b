import type { CallRecord, InterruptRecord, RunRecord } from '../../src/core/record.ts'
import { eventsOf, must, type Played } from './played.ts'

/** One entry of a stage: its call and the attempts that took its place. */
interface Entry {
  readonly calls: CallRecord[]
  /** The entry whose boundary led here; absent for the first. */
  readonly from?: Entry
  /** The call of `from` that stood when this one was fired. */
  readonly fromCall?: CallRecord
}

/**
 * The entries of a run in the order in which they were fired, told apart by what their servers saw: an attempt sends the very
 * messages of the one before. Undefined where a call that never had a slot could be an attempt as well as a new entry.
 */
function entriesOf({ record, events, fleet }: Played): Entry[] | undefined {
  const entries: Entry[] = []
  const failed = new Set<string>()
  const sentBy = ({ callId }: CallRecord) => fleet.sights.get(callId)?.request.messages
  for (const [index, event] of events.entries()) {
    if (event.type === 'stage-settle' && event.settlement === 'failed') failed.add(event.callId)
    if (event.type !== 'stage-start') continue
    const call = record.stages.find(({ callId }) => callId === event.callId)!
    const sent = sentBy(call)
    const cause = events[index - 1]!
    const isBoundary = cause.type === 'output-commit' || cause.type === 'output-withdraw'

    const open = entries.filter(({ calls }) => calls[0]!.id === call.id && failed.has(calls.at(-1)!.callId))
    const unclear = open.filter(({ calls }) => sent === undefined || !calls.some(sentBy))
    let tried = open.find(({ calls }) => sent !== undefined && calls.some((before) => sentBy(before) === sent))
    if (tried === undefined && unclear.length > 0) {
      if (isBoundary || unclear.length > 1) return undefined
      tried = unclear[0]
    }
    if (tried !== undefined) {
      tried.calls.push(call)
      continue
    }
    const from = isBoundary && entries.find(({ calls }) => calls.some(({ callId }) => callId === cause.callId))
    must(from || entries.length === 0, call.callId, 'is fired, and nothing of a call before stands or is given up')
    entries.push({ calls: [call], ...(from && { from, fromCall: from.calls.at(-1)! }) })
  }
  return entries
}

/** Each boundary is passed once: what was fired and not taken back is a chain from the first stage to the answer. */
export function checkChain(played: Played): void {
  const { record, events } = played
  const entries = entriesOf(played)
  if (entries === undefined) return
  /** Its answer was given up, and the same boundary was passed anew: an older call won a race, or a newer signal came. */
  const isTakenBack = (entry: Entry) => {
    if (entry.from === undefined || entry.from !== entries[entries.indexOf(entry) + 1]?.from) return false
    const { callId, settlement } = entry.calls.at(-1)!
    const isWhole = settlement === 'completed' || settlement === 'drained'
    return !isWhole && eventsOf(events, callId).some(({ type }) => type === 'output-withdraw')
  }
  let last: Entry | undefined
  for (const entry of entries) {
    must(entry.from === last, entry.calls[0]!.callId, 'follows', entry.from?.calls, 'and not', last?.calls)
    checkEntry(played, entry)
    if (!isTakenBack(entry)) last = entry
  }
  if (record.outcome !== 'completed') return
  const answer = last?.calls.at(-1)
  const commit = events.findLast((event) => event.type === 'output-commit' && event.callId === answer?.callId)
  const stands = commit?.type === 'output-commit' ? commit.characters : 0
  must(record.output === answer?.text?.slice(0, stands), 'the answer is', record.output, 'and not of', answer)
}

/** The attempts of one entry, and the boundary that led to it. */
function checkEntry(played: Played, entry: Entry): void {
  const { calls, from, fromCall } = entry
  for (const call of calls.slice(0, -1)) {
    must(call.settlement === 'failed', call.callId, 'is tried again and was', call.settlement)
    must(call.tokens.wasted === call.tokens.generated, call.callId, 'is tried again and its text is used')
  }
  if (from === undefined || fromCall === undefined) return
  const { interrupts } = played.record
  const ids = calls.map(({ callId }) => callId)
  const interrupt = interrupts.find(({ toCall }) => toCall !== undefined && ids.includes(toCall))
  if (interrupt !== undefined) {
    const isOfIt = from.calls.some(({ callId }) => callId === interrupt.fromCall)
    must(isOfIt, ids, 'is the next of', interrupt.fromCall, 'and follows', fromCall.callId)
    checkTarget(played, entry, interrupt)
  }
  checkPlacement(played, entry, fromCall)
  checkPrompt(played, entry, fromCall, interrupt)
}

const indexOf = (stage: string) => 'abc'.indexOf(stage)

/** Of a signal without input that took the place of one with input, the older one's. */
function inputOf({ interrupts }: RunRecord, interrupt: InterruptRecord): string | undefined {
  let input = interrupt.input
  const handled = interrupts.slice(0, interrupts.indexOf(interrupt)).filter(({ suppressed }) => !suppressed)
  for (const older of handled.toReversed()) {
    if (!older.superseded || input !== undefined) break
    input = older.input
  }
  return input
}

/** `then` and its `limit` lead to this stage. */
function checkTarget({ scenario, record }: Played, { calls }: Entry, interrupt: InterruptRecord): void {
  const { from } = interrupt
  const input = inputOf(record, interrupt)
  const { policy } = scenario.stages[indexOf(from)]!
  const led = record.interrupts
    .slice(0, record.interrupts.indexOf(interrupt))
    .filter((earlier) => earlier.toCall !== undefined && earlier.from === from).length
  const next = scenario.stages[indexOf(from) + 1]?.id
  const then = policy.then ?? (next !== undefined ? 'next' : input === undefined ? 'end' : 'again')
  const isNext = then === 'next' || led >= (policy.limit ?? Number.POSITIVE_INFINITY)
  const target = isNext ? next : then === 'again' ? from : then
  must(calls[0]!.id === target, calls[0]!.callId, 'is fired; then:', then, 'after', led, 'of', policy.limit)
}

function checkPlacement({ scenario, fleet }: Played, { calls }: Entry, before: CallRecord): void {
  const { placement } = scenario.stages[indexOf(before.id)]!.policy
  const slotAt = before.marks.find(({ name }) => name === 'slot-acquired')?.ms
  // A call that still waited when the next one was fired had no node to keep to, or to avoid.
  if (slotAt === undefined || slotAt >= calls[0]!.startMs) return
  for (const { node, callId } of calls) {
    if (node === undefined) continue
    const pinned = fleet.sights.get(callId)?.request.node
    if (pinned !== undefined) must(node === pinned, callId, 'is meant for', pinned, 'and ran on', node)
    else if (placement === 'same') must(node === before.node, callId, 'ran on', node, 'and before it', before)
    else if (placement !== 'any' && scenario.slots.length > 1) must(node !== before.node, callId, 'ran again on', node)
  }
}

/** Where the last complete sentence of a scenario's text ends. */
const sentences = /^.*(?:\.(?=\s+[^a-z\s]|\s*$)|。|!)/su

/** The next prompt holds what the policy carries of the text that there was, and what was said to stand is that. */
function checkPrompt(played: Played, { calls }: Entry, before: CallRecord, interrupt?: InterruptRecord): void {
  const { events, fleet, scenario, record } = played
  const prompt = calls
    .map(({ callId }) => fleet.sights.get(callId))
    .find(Boolean)
    ?.request.messages.at(-1)?.content
  if (prompt === undefined) return
  const { callId, id, text = '' } = before
  const part = (name: string) => new RegExp(`${name}=\\[([^\\]]*)\\]`).exec(prompt)?.[1] ?? 'nothing'
  const seen = part(id)
  const startedAt = events.findIndex((event) => event.type === 'stage-start' && event.callId === calls[0]!.callId)
  const earlier = eventsOf(events.slice(0, startedAt), callId)
  const told = earlier.flatMap((event) => (event.type === 'token' ? event.text : [])).join('')
  const isSettled = earlier.some(({ type }) => type === 'stage-settle')
  const isWhole = isSettled && fleet.sights.get(callId)?.end?.end === 'completed'
  const there = isSettled ? text : told

  const isInterrupted =
    interrupt !== undefined ||
    record.interrupts.some(
      ({ fromCall, decision }) => fromCall === callId && !['resume', 'suppressed'].includes(decision),
    )
  const { carry } = scenario.stages[indexOf(id)]!.policy
  const isRight = !isInterrupted
    ? seen === text && isWhole
    : carry === 'delivered'
      ? (scenario.reader === 'late' ? '' : told).startsWith(seen)
      : // What had been generated is more than its reader was told, where it is handed out at a pace.
        scenario.pace !== undefined && carry !== 'none'
        ? text.startsWith(seen)
        : seen === { none: '', all: there, sentences: isWhole ? text : (sentences.exec(there)?.[0] ?? '') }[carry]
  must(isRight, calls[0]!.callId, 'sees', seen, 'of', there, 'with carry', carry)
  const commit = earlier.at(-1)
  const stands = commit?.type === 'output-commit' ? commit.characters : 0
  must(
    // An answer that was handed out to its end is given, also while its last word is still being said.
    stands === seen.length || ((isWhole || told === text) && stands === text.length),
    callId,
    'stands up to',
    stands,
    'and',
    seen,
    'goes on',
  )
  if (interrupt !== undefined) {
    must(part('in') === (inputOf(record, interrupt) ?? ''), 'the prompt has the input', part('in'), 'at', interrupt)
  }
}
