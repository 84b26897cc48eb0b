import type { Nanoseconds } from '../../core/clock.ts'
import type { Factor, TriggerDefinition } from '../../core/policy.ts'

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
  return {
    name: 'any',
    summary: 'Interrupts when the first of several triggers does.',
    parameterHint: '[..]: a list of triggers',
    initial: (factors) => factors.map((factor) => ({ state: find(factor.name).initial(factor.parameter) })),
    step(members, event, factors) {
      const state: Member[] = []
      let fired: string | undefined
      let earliest = Number.POSITIVE_INFINITY
      for (let index = 0; index < members.length; index++) {
        const { name, parameter } = factors[index]!
        const member = members[index]!
        const next = find(name).step(member.state, event, parameter)
        fired ??= next.interrupt
        // A wish stands until its instant has come or a newer one replaces it.
        const due = next.wakeAt ?? ((member.wakeAt ?? 0) > event.at ? member.wakeAt : undefined)
        state.push(due === undefined ? { state: next.state } : { state: next.state, wakeAt: due })
        if (due !== undefined && due < earliest) earliest = due
      }
      if (fired !== undefined) return { state, interrupt: fired }
      return earliest === Number.POSITIVE_INFINITY ? { state } : { state, wakeAt: earliest }
    },
  }
}
