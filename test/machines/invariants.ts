import type { RunEvent } from '../../src/core/event.ts'
import type { CallRecord, InterruptRecord, RunRecord } from '../../src/core/record.ts'
import { checkChain } from './chain.ts'
import { eventsOf, must, type Played } from './played.ts'
import { checkPromises } from './promises.ts'

const ns = (ms: number): number => Math.round(ms * 1e6)

/** All that must hold of any run. Throws. */
export function checkRun(played: Played): void {
  const { record, events, fleet } = played
  must(fleet.offences.length === 0, fleet.offences)
  must(
    events.every(({ seq }, index) => seq === index + 1),
    'the events are not numbered from 1 on without a gap',
  )
  must(events.filter(({ type }) => type === 'run-end').length === 1, 'run-end is told once')
  must(events.at(-1)?.type === 'run-end', 'something is told after run-end')
  must(record.interrupts.filter(({ suppressed }) => !suppressed).length <= 6, 'more interrupts than maxInterrupts')
  if (record.outcome === 'cancelled') must(record.cancelReason === 'enough', 'cancelled for', record.cancelReason)
  for (const call of record.stages) checkCall(played, call)
  checkVisits(record)
  for (const callId of fleet.sights.keys()) {
    must(
      record.stages.some((call) => call.callId === callId),
      callId,
      'was sent and is not in the record',
    )
  }
  checkCost(record)
  for (const [index, interrupt] of record.interrupts.entries()) checkInterrupt(played, interrupt, index + 1)
  checkOnce(played)
  checkChain(played)
  checkPromises(played)
}

/** Visits are numbered by stage and attempts by visit, a call belongs to one visit, and only a fault makes a second attempt. */
function checkVisits({ visits = [], stages, interrupts }: RunRecord): void {
  const inOrder = (numbers: readonly (number | undefined)[]) => numbers.every((number, index) => number === index + 1)
  for (const id of new Set(stages.map((call) => call.id))) {
    const own = visits.filter(({ stage }) => stage === id)
    must(inOrder(own.map(({ visit }) => visit)), id, 'has the visits', own)
  }
  const listed = visits.flatMap(({ calls }) => calls)
  must(
    listed.length === stages.length && new Set(listed).size === stages.length,
    'a call is in no visit, or in two',
    visits,
  )
  for (const { stage, visit, from, calls } of visits) {
    const own = calls.map((callId) => stages.find((call) => call.callId === callId)!)
    must(own.length > 0, stage, 'has a visit without a call')
    must(
      own.every((call) => call.id === stage && call.visit === visit),
      stage,
      visit,
      'has the calls',
      own,
    )
    must(inOrder(own.map(({ attempt }) => attempt)), stage, visit, 'has the attempts', own)
    must(
      own.every(({ retryOf }, index) => retryOf === own[index - 1]?.callId),
      stage,
      visit,
      'was not tried again',
      own,
    )
    if (from !== 'again') continue
    must(
      interrupts.some((each) => each.from === stage),
      stage,
      visit,
      'was come to again without an interrupt',
    )
  }
}

function checkCall({ scenario, record, events, fleet }: Played, call: CallRecord): void {
  const { callId, settlement, tokens, text = '' } = call
  const sight = fleet.sights.get(callId)
  const own = eventsOf(events, callId)
  must(own[0]?.type === 'stage-start', callId, 'does not begin with its start')
  must(own.filter(({ type }) => type === 'stage-start').length === 1, callId, 'starts more than once')
  must(own.filter(({ type }) => type === 'stage-settle').length === 1, callId, 'does not settle exactly once')

  const script = sight?.script.tokens ?? []
  const said = sight?.said ?? 0
  must(text === script.slice(0, said).join(''), callId, 'said', script.slice(0, said), 'and the record has', text)
  const told = own.flatMap((event) => (event.type === 'token' ? event.text : []))
  must(
    told.every((piece, index) => piece === script[index]) && told.length <= said,
    callId,
    'said',
    script,
    'and its reader heard',
    told,
  )
  // What was held when the call was aborted, or failed, is never told.
  const policy = scenario.stages['abc'.indexOf(call.id)]!.policy
  const mayBeHeld =
    JSON.stringify(policy.response).includes('hold') &&
    record.interrupts.some(
      ({ from, decision }) =>
        from === call.id && decision !== 'suppressed' && (decision !== 'resume' || settlement === 'failed'),
    )
  const isWhole = settlement === 'completed' || settlement === 'drained'
  // What was not handed out when its speech was stopped, or its call failed, is never told.
  const mayBeCut = scenario.pace !== undefined && !isWhole
  must(mayBeHeld || mayBeCut || told.length === said, callId, 'said', said, 'pieces, and its reader heard', told.length)

  must(tokens.generated === said, callId, 'said', said, 'pieces and counts', tokens.generated)
  const most = scenario.reader === 'late' ? 0 : told.length
  must(tokens.delivered <= most, callId, 'counts more delivered than was read', tokens.delivered)
  must(tokens.wasted === said - used(own, script, said), callId, 'wastes', tokens.wasted, 'of', said, own)
  must(call.wastedSlotMs <= call.slotMs, callId, 'wastes more than it had')
  const { startMs, firstTokenMs = startMs, lastTokenMs = firstTokenMs, settledMs } = call
  const instants = [0, startMs, firstTokenMs, lastTokenMs, settledMs, record.durationMs]
  must(instants.join() === instants.toSorted((a, b) => a - b).join(), callId, 'has its instants in disorder', instants)

  const end = sight?.end?.end
  must(!isWhole || end === 'completed', callId, 'is', settlement, 'and its server says', end)
  const mayBeStopped = end === 'completed' && scenario.pace !== undefined
  must(
    settlement !== 'aborted' || end === 'cancelled' || end === undefined || mayBeStopped,
    callId,
    'is aborted, and was',
    end,
  )
  must(end !== 'failed' || settlement === 'failed' || settlement === 'withdrawn', callId, 'failed, and is', settlement)
  const codes = [sight?.script.fail?.code, 'CAESURA_E_TIMEOUT_FIRST_TOKEN', 'CAESURA_E_TIMEOUT_STALL']
  must(
    settlement !== 'failed' || [...codes, 'CAESURA_E_TIMEOUT_TOTAL'].includes(call.error?.code as never),
    callId,
    'failed with',
    call.error,
  )
}

/** Pieces of which a part stands, by what the readers were told. */
function used(own: readonly RunEvent[], script: readonly string[], said: number): number {
  let standing = 0
  for (const event of own) {
    if (event.type === 'output-commit') standing = event.characters
    if (event.type === 'output-withdraw') standing = 0
  }
  let pieces = 0
  for (let length = 0; pieces < said && length < standing; pieces++) length += script[pieces]!.length
  return pieces
}

function checkCost({ stages, cost }: RunRecord): void {
  const sum = (read: (call: CallRecord) => number) => stages.reduce((total, call) => total + read(call), 0)
  must(sum((call) => call.tokens.generated) === cost.generatedTokens, 'generated tokens do not add up')
  must(sum((call) => call.tokens.wasted) === cost.wastedTokens, 'wasted tokens do not add up')
  must(sum((call) => ns(call.slotMs)) === ns(cost.slotMs), 'slot time does not add up')
  must(sum((call) => ns(call.wastedSlotMs)) === ns(cost.wastedSlotMs), 'wasted slot time does not add up')
}

function checkInterrupt({ record, events }: Played, interrupt: InterruptRecord, id: number): void {
  const { toCall, fromCall, toFirstTokenMs, phases, at } = interrupt
  const sum = phases.reduce((total, { ms }) => total + ns(ms), 0)
  must(sum === ns(toFirstTokenMs ?? 0), 'the phases of interrupt', id, 'sum to', sum, 'ns of', toFirstTokenMs, 'ms')
  must(
    phases.every(({ ms }) => ms > 0),
    'interrupt',
    id,
    'has an empty phase',
    phases,
  )
  const next = record.stages.find((call) => call.callId === toCall)
  must((next === undefined) === (toCall === undefined), 'interrupt', id, 'leads to an unknown call', toCall)
  if (next?.firstTokenMs !== undefined && next.firstTokenMs >= at) {
    must(ns(next.firstTokenMs) - ns(at) === ns(toFirstTokenMs ?? -1), 'interrupt', id, 'took', toFirstTokenMs, 'ms')
  } else must(toFirstTokenMs === undefined, 'interrupt', id, 'has a first token that its next call has not')
  must(!(interrupt.superseded && toCall !== undefined), 'interrupt', id, 'is superseded and leads to', toCall)
  must(!(interrupt.suppressed && toCall !== undefined), 'interrupt', id, 'is suppressed and leads to', toCall)

  const told = events.filter((event) => 'interrupt' in event && event.interrupt === id)
  must(told.filter(({ type }) => type === 'interrupt-signal').length === 1, 'interrupt', id, 'is not told once')
  must(
    told.every((event) => 'callId' in event && event.callId === fromCall),
    'interrupt',
    id,
    'is told of another call',
  )
  const decisions = told.filter(({ type }) => type === 'interrupt-decide')
  must(decisions.length <= 1, 'interrupt', id, 'is decided', decisions.length, 'times')
  must(toCall === undefined || decisions.length === 1, 'interrupt', id, 'leads on and was never decided')
}

/** Nothing is handled twice: no signal, no trigger, no next call. */
function checkOnce({ scenario, record }: Played): void {
  const fired = record.interrupts.flatMap(({ toCall }) => toCall ?? [])
  must(new Set(fired).size === fired.length, 'a call is the next one of two interrupts', fired)
  const signals = record.interrupts.filter(({ trigger }) => trigger === 'signal').length
  const sent = scenario.signals.length + scenario.asked.length
  must(signals <= sent, signals, 'interrupts came of', sent, 'signals')
  const triggered = record.interrupts.filter(({ trigger }) => trigger !== 'signal').map(({ fromCall }) => fromCall)
  must(new Set(triggered).size === triggered.length, 'a trigger fired twice for a call', triggered)
}
