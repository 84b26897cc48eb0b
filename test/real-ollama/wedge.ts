import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { DEMO_MODEL } from '../../scripts/ollama/model.ts'
import type { CallEnd } from '../../src/core/call.ts'

/** So long may a call wait here before the server counts as wedged, ms. The model answers in a few. */
export const WEDGED_AFTER_MS = 4_000

let mending: Promise<void> | undefined
/** How often the server was wedged so far. */
export let wedges = 0

/**
 * Brings a wedged Ollama back. A client that leaves in the moment in which a token is handed over can leave the generation
 * blocked for ever, with the model's only slot (ollama#17131; seen on 0.24 in 3 to 10 of 100 aborts of a model that makes a
 * token in half a millisecond). No client can avoid it; unloading the model ends it.
 */
export async function recoverFromWedge(url: string, end: CallEnd): Promise<boolean> {
  if (end.error?.code !== 'CAESURA_E_TIMEOUT_LOAD') return false
  await mend(url)
  return true
}

/** Unloads the model, and so ends a generation that is blocked. Callers at the same time share one. */
export function mend(url: string): Promise<void> {
  mending ??= unload(url).finally(() => {
    mending = undefined
  })
  return mending
}

const loaded = z.object({ models: z.array(z.object({ name: z.string() })) })

/** Whether the server has a model in memory. */
export async function isLoaded(url: string): Promise<boolean> {
  const { models } = loaded.parse(await fetch(`${url}/api/ps`).then((response) => response.json()))
  return models.length > 0
}

async function unload(url: string): Promise<void> {
  wedges += 1
  await fetch(`${url}/api/generate`, { method: 'POST', body: JSON.stringify({ model: DEMO_MODEL, keep_alive: 0 }) })
  // It goes when the last call that waits for it has given up.
  while (await isLoaded(url)) await sleep(50)
}
