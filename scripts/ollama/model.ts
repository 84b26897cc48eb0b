import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Ollama } from 'ollama'

/** The name under which tests find the bundled model. */
export const DEMO_MODEL = 'caesura-demo'

const gguf = fileURLToPath(new URL('../../models/caesura-demo-3m.q8_0.gguf', import.meta.url))

/** The Modelfile of the model's card, and one thread: two threads on two busy cores wait for each other at every token. */
const parameters = { num_ctx: 1024, temperature: 0, repeat_penalty: 1, stop: ['<|im_end|>'], num_thread: 1 }

/**
 * Gives a server the bundled model, unless it has one of that name. Returns what takes it away again, which does nothing
 * where the model was there before.
 */
export async function importDemoModel(url: string): Promise<() => Promise<void>> {
  const client = new Ollama({ host: url })
  const { models } = await client.list()
  if (models.some(({ name }) => name === `${DEMO_MODEL}:latest`)) return async () => {}
  const file = await readFile(gguf)
  const digest = `sha256:${createHash('sha256').update(file).digest('hex')}`
  const stored = await fetch(`${url}/api/blobs/${digest}`, { method: 'POST', body: file })
  if (!stored.ok) throw new Error(`${url} did not take the model: ${stored.status} ${await stored.text()}`)
  // The client's type knows no `files`, which the server takes since 0.5.5.
  const created = await fetch(`${url}/api/create`, {
    method: 'POST',
    body: JSON.stringify({ model: DEMO_MODEL, files: { 'model.gguf': digest }, parameters, stream: false }),
  })
  if (!created.ok) throw new Error(`${url} did not make ${DEMO_MODEL}: ${created.status} ${await created.text()}`)
  return async () => {
    await client.delete({ model: DEMO_MODEL })
  }
}
