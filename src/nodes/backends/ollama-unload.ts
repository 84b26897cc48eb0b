import { setTimeout as sleep } from 'node:timers/promises'
import type { Ollama } from 'ollama'
import { z } from 'zod'

/** One request with an answer in one piece. Throws. */
type Ask = <T>(
  signal: AbortSignal,
  model: string | undefined,
  schema: z.ZodType<T>,
  request: (client: Ollama) => Promise<unknown>,
) => Promise<T>

const LOOK_EVERY_MS = 20
const accepted = z.object({ done: z.literal(true) })
const running = z.object({ models: z.array(z.object({ name: z.string() })).nullable() })

/** Has an Ollama server take a model out of memory, and waits until it is no longer listed there. Throws. */
export async function unloadWith(ask: Ask, model: string, signal: AbortSignal): Promise<void> {
  await ask(signal, model, accepted, (client) => client.generate({ model, prompt: '', keep_alive: 0, stream: false }))
  // It goes when the last call that holds it has ended.
  for (;;) {
    const { models } = await ask(signal, undefined, running, (client) => client.ps())
    if (!models?.some(({ name }) => name === model || name === `${model}:latest`)) return
    await sleep(LOOK_EVERY_MS, undefined, { signal })
  }
}
