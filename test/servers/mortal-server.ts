import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startFaultServer } from './fault-server.ts'

/** A model server in a process of its own, to be killed. */
export interface MortalServer {
  readonly url: string
  /** Resolves when a request has come whole: the server "prefills" from here until it is killed or goes on. */
  readonly asked: Promise<void>
  /** SIGKILL: the process can neither answer nor say goodbye; the kernel closes its sockets. Resolves when it is gone. */
  kill(): Promise<void>
}

/** Starts one that answers a request with these lines and then works on for ever. Without lines it never comes to the headers. */
export async function startMortalServer(lines: readonly string[]): Promise<MortalServer> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...lines], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let printed = ''
  const told = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(printed)?.[1]
        if (found !== undefined) resolve(found)
      }
      child.stdout.on('data', (text) => {
        printed += text
        look()
      })
      void gone.then(() => reject(new Error(`the server ended: ${printed}`)))
    })
  const asked = told(/(asked)\n/).then(() => {})
  asked.catch(() => {})
  return {
    url: await told(/^(http:\S+)\n/),
    asked,
    kill: () => {
      child.kill('SIGKILL')
      return gone
    },
  }
}

if (import.meta.main) {
  const lines = process.argv.slice(2)
  const server = await startFaultServer(async (exchange) => {
    console.log('asked')
    if (lines.length === 0) return
    await exchange.head()
    for (const line of lines) await exchange.chunk(line)
  })
  console.log(server.url)
}
