import type { Nanoseconds } from '../../core/clock.ts'
import type { CallEvent, Factor, TriggerDefinition } from '../../core/policy.ts'

interface Member {
  readonly state: unknown
  readonly wakeAt?: Nanoseconds
}

/**
 * Interrupts when the first of several triggers does. Its parameter is a list of triggers; its state keeps each one's
 * state and the instant that each wants to be woken at, and it asks for the earliest.
 * `find` looks a member up; it is handed in because a trigger knows no other trigger.
 */
export function anyOf(
  find: (name: string) => TriggerDefinition,
): TriggerDefinition<readonly Factor[], readonly Member[]> {
  function stepMember(member: Member, factor: Factor, event: CallEvent): Member & { interrupt?: string } {
    const { interrupt, state, wakeAt } = find(factor.name).step(member.state, event, factor.parameter)
    // A wish stands until its instant has come or a newer one replaces it.
    const due = wakeAt ?? (member.wakeAt !== undefined && member.wakeAt > event.at ? member.wakeAt : undefined)
    return { state, ...(due !== undefined && { wakeAt: due }), ...(interrupt !== undefined && { interrupt }) }
  }
  return {
    name: 'any',
    summary: 'Interrupts when the first of several triggers does.',
    parameterHint: '[..]: a list of triggers',
    initial: (factors) => factors.map((factor) => ({ state: find(factor.name).initial(factor.parameter) })),
    step(members, event, factors) {
      const stepped = members.map((member, index) => stepMember(member, factors[index]!, event))
      const state = stepped.map(({ interrupt: _, ...member }) => member)
      const fired = stepped.find((member) => member.interrupt !== undefined)?.interrupt
      if (fired !== undefined) return { state, interrupt: fired }
      const wishes = state.flatMap((member) => member.wakeAt ?? [])
      return wishes.length === 0 ? { state } : { state, wakeAt: Math.min(...wishes) }
    },
  }
}
