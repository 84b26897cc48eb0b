import type { KeptSession, RunConversation } from '../core/session.ts'
import { correctedTurn, type Turn, turnSchema } from '../core/turn.ts'
import type { FleetRedis } from './redis.ts'
import type { RunSession } from './run-session.ts'
import type { RunSpec } from './run-spec.ts'
import { parseJson } from './wire.ts'

/** How long a session is kept after its last turn, ms: 7 days; and the most bytes of its turns: beyond them the oldest go. */
export const SESSION_KEEP_MS = 7 * 24 * 3_600_000
const MOST_SESSION_BYTES = 4 * 1024 * 1024

const FIELD = /^turn:(.+):(\d+)$/

/** A turn as Redis has it: its place among the turns, then JSON. Undefined for what is none. */
function placedTurn(value: string): { readonly place: number; readonly turn: Turn } | undefined {
  const [, place, json] = /^(\d+) (.*)$/s.exec(value) ?? []
  const { data: turn } = turnSchema.safeParse(parseJson(json))
  return turn && { place: Number(place), turn }
}

/** A session of a fleet; undefined where there is none. What is no turn is left out. */
export async function readSession({ client, keys }: FleetRedis, id: string): Promise<KeptSession | undefined> {
  const { tenant, ...fields } = await client.hgetall(keys.session(id))
  if (tenant === undefined) return undefined
  const placed = Object.entries(fields).flatMap(([field, value]) =>
    FIELD.test(field) ? (placedTurn(value) ?? []) : [],
  )
  return { tenant, turns: placed.toSorted((one, other) => one.place - other.place).map(({ turn }) => turn) }
}

/** Corrects the last turn of a session, as `correctedTurn`. False where nothing was to be corrected, or the session has gone on meanwhile. */
export async function correctTurn(
  redis: FleetRedis,
  id: string,
  heard: { readonly runId: string; readonly text: string },
): Promise<boolean> {
  const turns = (await readSession(redis, id))?.turns ?? []
  const turn = correctedTurn(turns, heard.runId, heard.text)
  if (turn === undefined) return false
  const { runId, number } = turn
  const [answer] = await redis.call('correctTurn', id, runId, number, JSON.stringify(turn))
  return answer === 'ok'
}

/** The turns of a run's session before its own; none where the session counts for another tenant. */
export async function turnsBefore(redis: FleetRedis, runId: string, spec: RunSpec): Promise<readonly Turn[]> {
  if (spec.session === undefined || !spec.keepsTurns) return []
  const session = await readSession(redis, spec.session)
  if (session?.tenant !== spec.tenant) return []
  const own = session.turns.findIndex((turn) => turn.runId === runId)
  return own < 0 ? session.turns : session.turns.slice(0, own)
}

/** The conversation of a run that this process owns: what its turns are is written together with the state that they follow from. */
export function ownedConversation(session: Pick<RunSession, 'order'>, before: readonly Turn[]): RunConversation {
  const written = new Map<number, string>()
  return {
    before,
    keep(turns) {
      for (const turn of turns) {
        const text = JSON.stringify(turn)
        if (written.get(turn.number) === text) continue
        written.set(turn.number, text)
        session.order(['turn', turn.number, text, SESSION_KEEP_MS, MOST_SESSION_BYTES])
      }
    },
    seen(own) {
      for (const runId of own) session.order(['seen', runId])
    },
  }
}
