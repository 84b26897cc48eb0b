import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** The name under which the server has the bundled model. */
export const DEMO_MODEL = 'caesura-demo'

const gguf = fileURLToPath(new URL('../../models/caesura-demo-3m.q8_0.gguf', import.meta.url))
const script = fileURLToPath(new URL('serve.py', import.meta.url))

/** A server that this process started. */
export interface OwnServer {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Starts llama.cpp's server on a free port with the bundled model: one slot, so that a test knows whom a call waits for. It
 * ends with this process, whatever ends that. Throws with the end of its log when it does not start.
 */
export async function startLlamaServer(python: string): Promise<OwnServer> {
  const child = spawn(python, [script, gguf, DEMO_MODEL], { stdio: ['pipe', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (text) => {
    log = `${log}${text}`.slice(-2_000)
  })
  const ended = once(child, 'close')
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('http://')) continue
    child.stdout.resume()
    const stop = async () => {
      child.stdin.end()
      await ended
    }
    return { url: line, stop }
  }
  await ended
  throw new Error(`the llama.cpp server did not start: ${log.trim().split('\n').at(-1)}`)
}
