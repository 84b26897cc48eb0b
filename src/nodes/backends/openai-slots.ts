import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'

/** `GET /slots` of llama.cpp's server, as far as it is looked at. */
const slotsSchema = z.array(z.object({ is_processing: z.boolean() }))

const FIRST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 25

/** How many slots work. Throws a `ZodError` or a `SyntaxError` for anything but a list of slots. */
export const busySlots = (body: string): number =>
  slotsSchema.parse(JSON.parse(body)).filter((slot) => slot.is_processing).length

/**
 * Asks the server until no more slots work than `expected` allows: true when it was seen so, false when `signal` was aborted
 * first or the server does not tell. A free slot counts at once when a busy one was seen before, else at the second look: the
 * server may not have come to the abandoned request yet.
 */
export async function untilSlotFree(
  busy: () => Promise<number>,
  expected: () => number,
  signal: AbortSignal,
): Promise<boolean> {
  let [looks, pause] = [0, FIRST_PAUSE_MS]
  try {
    for (;;) {
      const free = (await busy()) <= expected()
      if (free && looks > 0) return true
      looks += 1
      await sleep(pause, undefined, { signal })
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS)
    }
  } catch {
    // No such route, no answer in time: the witness says nothing, and nothing is claimed.
    return false
  }
}
