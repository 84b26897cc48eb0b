import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A process that is killed and started again. */
export interface Victim {
  readonly kind: 'pipelines' | 'stages'
  readonly name: string
  /** The id of its worker, while it is up. */
  id: string | undefined
  child: ChildProcess | undefined
}

const workerFile = fileURLToPath(new URL('./worker.ts', import.meta.url))

export async function startVictim(victim: Victim, url: string): Promise<void> {
  const child = fork(workerFile, [victim.kind, url, victim.name], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  victim.child = child
  if (process.env.CHAOS_LOG !== undefined) child.stderr?.pipe(process.stderr)
  else child.stderr?.resume()
  const ready = await new Promise<string | undefined>((resolve) => {
    child.once('message', (message: { ready: string }) => resolve(message.ready))
    child.once('exit', () => resolve(undefined))
  })
  victim.id = ready
  // It could not start, for Redis was away. Whoever keeps services alive tries again.
  if (ready === undefined && child.signalCode === null) await startVictim(victim, url)
}

export async function kill(victim: Victim): Promise<string | undefined> {
  const { child, id } = victim
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return undefined
  child.kill('SIGKILL')
  await once(child, 'exit')
  victim.id = undefined
  return id
}
