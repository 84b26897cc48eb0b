import { CaesuraError } from './errors.ts'
import type {
  CallEvent,
  CarryDefinition,
  Command,
  PartialOutput,
  ResponseDefinition,
  TriggerDefinition,
  TriggerStep,
} from './policy.ts'
import { isRecord, orList, show } from './problems.ts'

/**
 * Policies may be written by whoever uses the library. Every call of one goes through here, so that one that throws, or returns what
 * it may not, ends its run with `CAESURA_E_POLICY` and the policy's name, and nothing else.
 */

const commands: Readonly<Record<Command['type'], true>> = {
  cancelCall: true,
  fireNext: true,
  fireWhenSettled: true,
  withdrawNext: true,
  pauseDelivery: true,
  releaseDelivery: true,
  setDeadline: true,
  decide: true,
}
const LONGEST_DEADLINE_MS = 24 * 3_600_000

/** `subject`: its kind and its name, such as `response drain`. */
const fault = (subject: string, what: string, received: unknown, expected: string): CaesuraError =>
  new CaesuraError('CAESURA_E_POLICY', `the ${subject} ${what}: ${show(received)}; allowed: ${expected}`, {
    received: show(received),
    expected,
  })

function asked<T>(kind: string, name: string, call: () => T): T {
  try {
    return call()
  } catch (cause) {
    // A response may have looked at what a carry would keep.
    if (cause instanceof CaesuraError) throw cause
    const reason = cause instanceof Error ? cause.message : show(cause)
    throw new CaesuraError('CAESURA_E_POLICY', `the ${kind} ${name} has thrown: ${reason}`, { cause })
  }
}

/** What a response orders. Throws `CAESURA_E_POLICY`. */
export function commandsOf({ name }: ResponseDefinition, call: () => unknown): readonly Command[] {
  const given = asked('response', name, call)
  if (!Array.isArray(given)) throw fault(`response ${name}`, 'orders what is no list', given, 'a list of commands')
  for (const command of given as unknown[]) {
    const type = isRecord(command) ? command.type : undefined
    if (typeof type !== 'string' || !Object.hasOwn(commands, type))
      throw fault(`response ${name}`, 'orders what is no command', command, orList(Object.keys(commands)))
    const { ms, decision, reason } = command as Record<string, unknown>
    if (type === 'setDeadline' && !(typeof ms === 'number' && ms >= 0 && ms <= LONGEST_DEADLINE_MS))
      throw fault(`response ${name}`, 'sets a deadline that never comes', ms, `0 to ${LONGEST_DEADLINE_MS} ms`)
    if (type === 'decide' && !(typeof decision === 'string' && typeof reason === 'string'))
      throw fault(`response ${name}`, 'decides without words', command, 'decision and reason, two texts')
  }
  return given as Command[]
}

/** The state in which a trigger begins. Throws `CAESURA_E_POLICY`. */
export const initialOf = (trigger: TriggerDefinition, parameter: unknown): unknown =>
  asked('trigger', trigger.name, () => trigger.initial(parameter))

/** What a trigger says to an event. Throws `CAESURA_E_POLICY`. */
export function stepOf(
  trigger: TriggerDefinition,
  state: unknown,
  event: CallEvent,
  parameter: unknown,
): TriggerStep<unknown> {
  const { name } = trigger
  const given: unknown = asked('trigger', name, () => trigger.step(state, event, parameter))
  if (!isRecord(given)) throw fault(`trigger ${name}`, 'answers with no step', given, '{ state, interrupt?, wakeAt? }')
  const { interrupt, wakeAt } = given
  if (interrupt !== undefined && (typeof interrupt !== 'string' || interrupt === ''))
    throw fault(`trigger ${name}`, 'interrupts without a name', interrupt, 'a text')
  if (wakeAt !== undefined && !Number.isFinite(wakeAt))
    throw fault(`trigger ${name}`, 'wants to be woken at no instant', wakeAt, 'ns from the start of the run')
  return given as unknown as TriggerStep<unknown>
}

/** What a carry keeps. Throws `CAESURA_E_POLICY`. */
export function keptBy(carry: CarryDefinition, output: PartialOutput): string {
  const kept: unknown = asked('carry', carry.name, () => carry.keep(output))
  if (typeof kept === 'string' && output.text.startsWith(kept)) return kept
  throw fault(`carry ${carry.name}`, 'keeps what is no beginning of the text', kept, 'a beginning of it')
}

/** A response whose deadlines have come so often does nothing else any more. */
const MOST_DEADLINES = 1000
/** A trigger that was woken so often, each time at an instant that was over, does nothing else any more. */
const MOST_LATE_WAKES = 1000

/** Throws `CAESURA_E_POLICY` where a response was given this many deadlines in one interrupt. */
export function checkDeadlines({ name }: ResponseDefinition, count: number): void {
  if (count > MOST_DEADLINES)
    throw fault(`response ${name}`, 'sets one deadline after the other', count, `${MOST_DEADLINES} in one interrupt`)
}

/** Throws `CAESURA_E_POLICY` where a trigger wanted to be woken this often at an instant that was over. */
export function checkWakes({ name }: TriggerDefinition, count: number): void {
  if (count > MOST_LATE_WAKES)
    throw fault(`trigger ${name}`, 'wants to be woken again and again in the past', count, `${MOST_LATE_WAKES} times`)
}
