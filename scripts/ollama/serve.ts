import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A server that this process started. */
export interface OwnServer {
  readonly url: string
  /** Ends it with all its runners. */
  stop(): Promise<void>
}

const START_MS = 60_000
const STOP_MS = 10_000

/**
 * Starts `ollama serve` on a free port, with everything that it writes under `folder`. One answer at a time, so that a test
 * knows whom a call waits for. Throws with the end of the log when it does not answer within a minute.
 */
export async function startServer(binary: string, folder: string): Promise<OwnServer> {
  const port = await freePort()
  const log = await open(join(folder, 'server.log'), 'a')
  const child = spawn(binary, ['serve'], {
    env: {
      ...process.env,
      HOME: folder,
      OLLAMA_HOST: `127.0.0.1:${port}`,
      OLLAMA_MODELS: join(folder, 'models'),
      OLLAMA_NUM_PARALLEL: '1',
      OLLAMA_KEEP_ALIVE: '30m',
    },
    stdio: ['ignore', log.fd, log.fd],
    // A group of its own: a runner outlives a server that is killed. And Ctrl-C reaches us alone.
    detached: true,
  })
  const failure = once(child, 'error').then(([error]) => error as Error)
  await log.close()
  const url = `http://127.0.0.1:${port}`
  const stop = () => stopGroup(child)
  for (const until = Date.now() + START_MS; Date.now() < until; ) {
    if (await answers(url)) return { url, stop }
    const failed = await Promise.race([failure, sleep(100)])
    if (failed instanceof Error) throw failed
    if (child.exitCode !== null) break
  }
  await stop()
  const said = (await readFile(join(folder, 'server.log'), 'utf8')).trim().split('\n').slice(-5).join('\n')
  throw new Error(`${binary} serve does not answer on ${url}:\n${said}`)
}

async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, name)
    } catch {
      // nobody is left
    }
  }
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit')
    signal('SIGTERM')
    await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })])
  }
  signal('SIGKILL')
}

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/api/version`, { signal: AbortSignal.timeout(2_000) }).then(
    (response) => response.ok,
    () => false,
  )

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
