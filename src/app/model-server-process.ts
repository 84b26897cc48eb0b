import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { CaesuraError, type ErrorCode, errorCodes } from '../core/errors.ts'
import { present } from '../core/present.ts'

/** A model server of this process's own, in a process of its own. */
export interface ModelServerProcess {
  readonly url: string
  readonly model: string
  readonly pid: number
  /** Aborted, with a `CaesuraError` as reason, when it ends before it is stopped. */
  readonly lost: AbortSignal
  stop(): Promise<void>
}

export interface ModelServerFlags {
  /** A GGUF file. */
  readonly model: string
  readonly slots: number
}

/** The command line beside this file, as sources or as built. */
const main = fileURLToPath(new URL(`../cli/main${extname(import.meta.url)}`, import.meta.url))
const announced = z.object({ url: z.string(), model: z.string(), pid: z.int() })
const refused = z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }) })
/** A large model may take long to load. */
const START_MS = 120_000
const STOP_MS = 5_000

/**
 * Starts `caesura model-server` on a free port; resolves when it listens with its model loaded. It ends with this process,
 * however that ends: by the channel between the two. Throws what the server says (`CAESURA_E_NO_MODEL`, `CAESURA_E_NO_BACKEND`,
 * `CAESURA_E_LISTEN`, …), and `CAESURA_E_NO_SERVER` where it says nothing.
 */
export async function startModelServerProcess({ model, slots }: ModelServerFlags): Promise<ModelServerProcess> {
  const flags = ['--port', '0', '--json', '--log-level', 'warn', '--model', model, '--slots', String(slots)]
  const child = spawn(process.execPath, [main, 'model-server', ...flags], {
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
    // Ctrl-C is for us: we stop it when the last trial is over.
    detached: true,
  })
  const lost = new AbortController()
  let stopping = false
  const ended = once(child, 'exit').catch(() => [])
  child.once('exit', (status, signal) => {
    if (!stopping) lost.abort(serverLost(child.pid, status, signal))
  })
  const stop = async () => {
    stopping = true
    await stopChild(child, ended)
  }
  try {
    return { ...(await announcement(child)), lost: lost.signal, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What it prints when it listens, or why it does not. */
async function announcement(child: ChildProcess): Promise<z.infer<typeof announced>> {
  let printed = ''
  child.stdout?.setEncoding('utf8')
  const timeout = AbortSignal.timeout(START_MS)
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new CaesuraError('CAESURA_E_NO_SERVER', `the model server did not start: ${why}`, { cause }))
    child.once('error', (error) => fail(error.message, error))
    child.once('close', (status, signal) => fail(`it ended with ${signal ?? status} and said nothing`))
    timeout.addEventListener('abort', () => fail(`it says nothing after ${START_MS / 1000} s`))
    child.stdout?.on('data', (text: string) => {
      printed += text
      let said: unknown
      try {
        said = JSON.parse(printed)
      } catch {
        return
      }
      const refusal = refused.safeParse(said).data?.error
      if (refusal !== undefined) return reject(asError(refusal))
      const { data, error } = announced.safeParse(said)
      if (data === undefined) fail('what it prints is not understood', error)
      else resolve(data)
    })
  })
}

function asError({ code, message, hint }: z.infer<typeof refused>['error']): CaesuraError {
  const known = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'CAESURA_E_NO_SERVER'
  return new CaesuraError(known, message, present({ hint }))
}

const serverLost = (pid: number | undefined, status: number | null, signal: NodeJS.Signals | null) =>
  new CaesuraError('CAESURA_E_CONNECTION', `the model server (process ${pid}) has ended: ${signal ?? `exit ${status}`}`)

async function stopChild(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  child.kill('SIGTERM')
  const inTime = await Promise.race([ended.then(() => true), sleep(STOP_MS, false, { ref: false })])
  if (inTime) return
  child.kill('SIGKILL')
  await ended
}
