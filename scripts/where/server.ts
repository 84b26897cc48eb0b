import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A server process of a trial. */
export interface Server {
  readonly port: number
  kill(): Promise<void>
  /** Lets it do nothing for so long, ms. */
  pause(ms: number): Promise<void>
}

/** Servers of one trial in a folder of their own. */
export class Servers {
  readonly program: string
  readonly folder: string
  readonly #children: ChildProcess[] = []

  static async of(program: string): Promise<Servers> {
    return new Servers(program, await mkdtemp(join(tmpdir(), 'caesura-where-')))
  }

  private constructor(program: string, folder: string) {
    this.program = program
    this.folder = folder
  }

  /** Starts one that saves nothing but its append-only file. Rejects with what it printed where it does not start. */
  async redis(port: number, ...flags: string[]): Promise<Server> {
    const plain = flags.includes('--port') ? [] : ['--port', String(port)]
    const shared = ['--bind', '127.0.0.1', '--dir', this.folder, '--save', '', '--appendonly', 'yes']
    const files = ['--appendfilename', `${port}.aof`, '--dbfilename', `${port}.rdb`]
    return this.start(port, [...plain, ...shared, ...files, ...flags])
  }

  async start(port: number, args: readonly string[]): Promise<Server> {
    const child = spawn(this.program, args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#children.push(child)
    let printed = ''
    await new Promise<void>((resolve, reject) => {
      const look = (text: Buffer) => {
        printed += text
        if (/Ready to accept connections|Sentinel ID is/.test(printed)) resolve()
      }
      child.stdout.on('data', look)
      child.stderr.on('data', look)
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`${this.program} ended with ${code}: ${printed.slice(-600)}`)))
    })
    const kill = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    const pause = async (ms: number) => {
      child.kill('SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, ms))
      child.kill('SIGCONT')
    }
    return { port, kill, pause }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Of this machine, that nobody listens on. `count` neighbours of the first may be used too. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
